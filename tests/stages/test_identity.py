"""A run is more than its recipe: changed data, plugins or guiding weights are refused."""

import json
import re

import pytest
import torch

import fmcore
from fmcore import RunError, stages
from fmcore.registry import forget, registry
from fmcore.stages import identity
from fmcore_couplings import pairs

pytestmark = pytest.mark.usefixtures("no_pictures")

PAIRS = """
data: {name: pairs, file: FILE, held_out: 4}
path: linear
coupling: reflow
model: {name: mlp, width: 8, depth: 1}
train: {steps: 4, batch_size: 4, checkpoint_every: 2}
sample: {solver: {name: euler, steps: 2}, count: 4}
evaluate: {metrics: [nfe]}
"""


def write_pairs(file, seed):
    from safetensors.torch import save_file

    draw = torch.Generator().manual_seed(seed)
    save_file({k: torch.randn(12, 2, generator=draw) for k in ("x0", "x1")}, file)
    pairs._read.cache_clear()  # the next command would be another process


@pytest.fixture
def finished(tmp_path):
    """A run of a file of pairs, to be changed under it."""
    write_pairs(tmp_path / "pairs.safetensors", 0)
    recipe = tmp_path / "r.yaml"
    recipe.write_text(PAIRS.replace("FILE", str(tmp_path / "pairs.safetensors")))
    return fmcore.run(recipe, out=tmp_path / "run", device="cpu", quiet=True)


def facts(run):
    return json.loads((run.folder.root / "run.json").read_text())


def test_other_data_are_refused_with_both_fingerprints_and_nothing_is_recorded(finished, tmp_path):
    before = facts(finished)
    write_pairs(tmp_path / "pairs.safetensors", 1)
    root = finished.folder.root
    for command in (
        lambda: fmcore.run(tmp_path / "r.yaml", out=root, quiet=True),
        lambda: stages.evaluate(root, quiet=True),
        lambda: stages.sample(root, ("solver.steps=3",), quiet=True),
    ):
        with pytest.raises(RunError, match="fingerprint of the data 'train'") as caught:
            command()
        assert before["data"]["fingerprint"] in str(caught.value)
        assert "--accept-changes" in str(caught.value)
    assert facts(finished) == before


def test_an_accepted_change_is_recorded_and_the_first_data_stay_in_run_json(finished, tmp_path):
    before = facts(finished)
    write_pairs(tmp_path / "pairs.safetensors", 1)
    again = fmcore.run(
        tmp_path / "r.yaml", out=finished.folder.root, quiet=True, accept_changes=True
    )
    after = facts(again)
    assert after["data"] == before["data"]
    (entry,) = after["history"]
    then, now = entry["changed"]["data.train"]
    assert then == before["identity"]["data.train"] != now
    assert (entry["step"], entry["accepted"]) == (4, True)
    fmcore.run(tmp_path / "r.yaml", out=finished.folder.root, quiet=True)  # accepted once for all
    assert facts(again)["history"] == after["history"]


PLUGIN = """
from dataclasses import dataclass
from fmcore import SchedulePath, hookimpl

@dataclass(frozen=True)
class Smooth(SchedulePath):
    '''x.'''
    def alpha(self, t): return t ** POWER
    def sigma(self, t): return 1 - self.alpha(t)

@hookimpl
def register_paths(register):
    register("smooth", Smooth)
"""


@pytest.fixture
def plugin(tmp_path):
    """Writes and loads a one-file plugin."""

    def load(power):
        forget()
        (tmp_path / "smoothly.py").write_text(PLUGIN.replace("POWER", str(power)))
        registry().add_file(tmp_path / "smoothly.py")

    yield load
    forget()


def test_another_plugin_is_refused_or_kept_next_to_the_first(tiny, tmp_path, plugin):
    def start(**options):
        overrides = ("path=smooth", "evaluate=null")
        return fmcore.run(tiny, overrides, out=tmp_path / "run", quiet=True, **options)

    plugin(1.0)
    first = start().samples(4)
    plugin(2.0)
    with pytest.raises(RunError, match="plugin 'smoothly': sha256:"):
        start()
    assert "t ** 1.0" in (tmp_path / "run/plugins/smoothly.py").read_text()
    assert not torch.equal(start(accept_changes=True).samples(4), first)  # drawn again
    copies = {p.name: p.read_text() for p in (tmp_path / "run/plugins").iterdir()}
    assert "t ** 2.0" in copies.pop("smoothly.py")
    (name,) = copies
    assert re.fullmatch(r"smoothly\.py\.[0-9a-f]{12}", name)
    assert "t ** 1.0" in copies[name]


def test_a_plugin_that_the_recipe_does_not_use_may_change(tiny, tmp_path, plugin):
    plugin(1.0)
    fmcore.run(tiny, ("train.steps=1",), out=tmp_path / "run", quiet=True)
    plugin(2.0)
    fmcore.run(tiny, ("train.steps=1",), out=tmp_path / "run", quiet=True)


def test_another_network_of_the_guiding_run_is_refused(tiny, tmp_path):
    small = ("model.width=8", "train.steps=2", "sample=null", "evaluate=null")
    weak = fmcore.run(tiny, small, out=tmp_path / "weak", quiet=True)
    guidance = f"[{{name: autoguidance, scale: 1.5, weak: {weak.folder.root}}}]"
    guided = ("train.steps=2", f"sample.guidance={guidance}")
    made = fmcore.run(tiny, guided, out=tmp_path / "run", quiet=True)
    assert (
        "sha256" in made.results["nfe"]["provenance"]["sampler"]["runs"]["sample.guidance.0.weak"]
    )
    (old,) = weak.folder.checkpoints.root.glob("*.json")
    old.write_text(old.read_text().replace('"sha256": "', '"sha256": "0'))
    with pytest.raises(
        RunError, match=r"weights of the run 'sample\.guidance\.0\.weak': step 2, sha256"
    ):
        fmcore.run(tiny, guided, out=tmp_path / "run", quiet=True)


def test_another_version_of_torch_is_a_warning_and_recorded(tiny, tmp_path, monkeypatch, capsys):
    short = ("train.steps=1", "sample=null", "evaluate=null")
    made = fmcore.run(tiny, short, out=tmp_path / "run", quiet=True)
    began = facts(made)["identity"]["torch"]
    now = {**identity._versions(facts(made)), "torch": "9.9"}
    monkeypatch.setattr(identity, "_versions", lambda surroundings: now)
    fmcore.run(tiny, short, out=tmp_path / "run", quiet=True)
    assert (
        f"warning: the run was started with torch {began}; this is 9.9" in capsys.readouterr().err
    )
    assert facts(made)["history"][-1]["changed"] == {"torch": [began, "9.9"]}
    assert facts(made)["versions"]["torch"] == began


def test_further_metrics_are_no_change(finished):
    more = ("metrics=[nfe, energy_distance]",)
    again = stages.evaluate(finished.folder.root, more, device="cpu", quiet=True)
    assert set(again.results) == {"nfe", "energy_distance"}
    assert "history" not in facts(again)

"""Many samples: drawn as they are measured, by several processes, resumed after a stop."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import fmcore
from fmcore import RunError, stages
from fmcore.report.page import make_report
from fmcore.runs.files import sha256_of
from fmcore.runs.partial_metrics import PartialMetrics
from fmcore.runs.samples import Shards
from fmcore.stages.sampler import Sampler

RECIPE = """
seed: 3
data: {name: toy, figure: checkerboard}
path: ot
model: {name: mlp, width: 8, depth: 1}
train: {steps: 4, batch_size: 16, checkpoint_every: 4, log_every: 4}
sample: {solver: {name: midpoint, nfe: 4}, count: 56, batch_size: 8}
evaluate:
  metrics: [nfe, energy_distance, {name: nll, solver: {name: heun2, steps: 2}}]
  count: 40
  batch_size: 8
"""


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    """They take most of the time, and are tested elsewhere."""
    module = sys.modules["fmcore.stages.run"]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("illustrate_samples", "illustrate_training", "write_report"):
            patch.setattr(module, name, lambda *_: None)
        yield


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scale")
    (folder / "r.yaml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def whole(workplace):
    """The run in one process, with every sample on disk."""
    return fmcore.run(workplace / "r.yaml", out=workplace / "whole", device="cpu", quiet=True)


def run(workplace, name, *overrides):
    made = fmcore.run(
        workplace / "r.yaml", overrides, out=workplace / name, device="cpu", quiet=True
    )
    log = made.folder.root / "log.txt"
    return made, log.read_text() if log.exists() else ""


def test_samples_that_are_not_kept_give_the_bits_of_those_that_are(workplace, whole):
    made, log = run(workplace, "few", "sample.keep_on_disk=12")
    shards = sorted(p.name for p in made.folder.samples.glob("shard-*"))
    assert shards == [
        "shard-00000000-00000008.safetensors",
        "shard-00000008-00000016.safetensors",
    ]
    assert made.results == whole.results
    assert made.results["nfe"]["provenance"]["count"] == 56
    assert "the first 16 of 56 samples are kept on disk; the others are drawn when they" in log
    assert "of 56 samples 40 were not kept: they are drawn as they are measured" in log
    assert torch.equal(made.samples(16), whole.samples(16))
    assert len(made.nfe()) == 16
    with pytest.raises(RunError, match=r"the first 16 were kept, not 20: .* keep_on_disk=20"):
        made.samples(20)
    page = make_report(made.folder).read_text()
    assert "56 samples were drawn with the solver &#39;midpoint&#39;, of which the first 12" in page
    assert not made.folder.partial_metrics.exists()


def test_measuring_a_variant_draws_what_was_not_kept_with_its_own_solver(workplace, whole):
    made, _ = run(workplace, "again", "sample.keep_on_disk=8")
    other = stages.sample(made.folder.root, ("solver.nfe=6",), device="cpu", quiet=True)
    changed = stages.evaluate(other.folder.root, device="cpu", quiet=True).results
    assert changed["nfe"]["value"] == 6.0
    assert changed["nfe"]["provenance"]["sampler"]["solver"]["nfe"] == 6
    assert changed["energy_distance"]["value"] != whole.results["energy_distance"]["value"]
    assert made.results == whole.results  # the run's own numbers stay


def test_more_samples_can_be_kept_afterwards_and_never_fewer(workplace, whole):
    made, _ = run(workplace, "more", "sample.keep_on_disk=8")
    kept = made.samples(8)
    more = stages.sample(made.folder.root, ("keep_on_disk=null",), device="cpu", quiet=True)
    assert more.folder.root == made.folder.root
    assert len(list(made.folder.samples.glob("shard-*"))) == 7
    assert torch.equal(made.samples(8), kept)
    fewer = stages.sample(made.folder.root, ("keep_on_disk=20",), device="cpu", quiet=True)
    assert fewer.folder.root != made.folder.root
    assert len(list(fewer.folder.samples.glob("shard-*"))) == 3
    assert len(list(made.folder.samples.glob("shard-*"))) == 7
    assert stages.evaluate(made.folder.root, device="cpu", quiet=True).results == whole.results


def test_samples_along_another_path_have_another_provenance(workplace):
    made, _ = run(workplace, "along", "evaluate.metrics=[energy_distance]")
    straight = made.samples(8)
    again = stages.sample(made.folder.root, ("path=cosine",), device="cpu", quiet=True)
    assert not torch.equal(again.samples(8), straight)
    results = stages.evaluate(again.folder.root, device="cpu", quiet=True).results
    assert results["energy_distance"]["provenance"]["sampler"]["along"]["name"] == "cosine"


def test_samples_of_an_earlier_network_are_not_mixed_with_those_of_a_later(workplace):
    made, _ = run(workplace, "trained-on", "sample.keep_on_disk=8")
    facts = made.folder.samples / "made.json"
    made_by = {**json.loads(facts.read_text()), "step": 2}
    made_by.pop("sha256")
    facts.write_text(json.dumps(made_by))
    with pytest.raises(RunError, match=r"of step 2, .* step 4: draw all again with fmcore sample"):
        stages.evaluate(made.folder.root, device="cpu", quiet=True)


TOGETHER = """
import sys
import fmcore
fmcore.run("r.yaml", tuple(sys.argv[2:]), out=sys.argv[1], device="cpu", quiet=True)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def test_two_processes_find_the_bits_of_one(workplace):
    """Each measures its pieces of samples that are not kept, and of the held-out data."""
    (workplace / "together.py").write_text(TOGETHER)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    alone, _ = run(workplace, "two", "sample.keep_on_disk=8")
    expected, pieces = alone.results, alone.folder.root / "per_sample" / "nll.safetensors"
    values = load_file(pieces)["values"]
    for file in (alone.folder.results_file, pieces):
        file.unlink()
    alone.folder.record({"measured": None})
    done = subprocess.run(
        [*launcher, "--nproc-per-node", "2", "together.py", "two", "sample.keep_on_disk=8"],
        cwd=workplace,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert alone.folder.facts()["history"][-1]["changed"]["processes"] == [1, 2]
    assert alone.results == expected
    assert torch.equal(load_file(pieces)["values"], values)


KILLED = """
import os, signal, sys
from fmcore.stages import evaluate
from fmcore.runs.partial_metrics import PartialMetrics
write = PartialMetrics.write
def writing(self, piece, *rest):
    write(self, piece, *rest)
    if piece.start == 24:
        os.kill(os.getpid(), int(sys.argv[2]))
PartialMetrics.write = writing
evaluate(sys.argv[1], device="cpu")
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_evaluation_that_was_stopped_resumes_to_the_same_numbers(
    workplace, whole, number, monkeypatch
):
    made, _ = run(workplace, f"killed-{number}", "sample.keep_on_disk=8")
    made.folder.results_file.unlink()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(made.folder.root), str(int(number))],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert not made.folder.results_file.exists()
    if number == signal.SIGTERM:
        assert "To resume, give the same command again" in done.stderr
    there = sorted(p.name for p in (made.folder.partial_metrics / "samples").glob("piece-*"))
    assert len(there) == 4
    measured = []
    write = PartialMetrics.write
    monkeypatch.setattr(
        PartialMetrics,
        "write",
        lambda self, piece, *rest: (measured.append(piece.start), write(self, piece, *rest)),
    )
    results = stages.evaluate(made.folder.root, device="cpu", quiet=True).results
    assert results == whole.results
    assert measured[:3] == [32, 40, 48]  # samples; then the held-out data from its beginning
    assert "resuming from 32 of 56 examples" in (made.folder.root / "log.txt").read_text()


@pytest.fixture
def stopped(workplace, monkeypatch):
    """An evaluation stopped after its first two pieces of samples."""
    count = len(list(workplace.glob("stopped-*")))
    made, _ = run(workplace, f"stopped-{count}", "sample.keep_on_disk=8")
    write = PartialMetrics.write

    def writing(self, piece, *rest):
        write(self, piece, *rest)
        if piece.start == 8:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(PartialMetrics, "write", writing)
        with pytest.raises(fmcore.errors.Interrupted):
            stages.evaluate(made.folder.root, device="cpu", quiet=True)
    return made


def resumed(made, monkeypatch, *overrides) -> tuple[list[int], dict]:
    """The samples that were measured, by the first index of their piece."""
    measured, write = [], PartialMetrics.write

    def writing(self, piece, *rest):
        if self.root.name == "samples":
            measured.append(piece.start)
        write(self, piece, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(PartialMetrics, "write", writing)
        results = stages.evaluate(made.folder.root, overrides, device="cpu", quiet=True).results
    return measured, results


def test_a_corrupt_state_is_measured_again(stopped, whole, monkeypatch):
    file = stopped.folder.partial_metrics / "samples" / "piece-00000000-00000008.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    measured, results = resumed(stopped, monkeypatch)
    assert measured == [0, 16, 24, 32, 40, 48]
    assert results == whole.results


@pytest.mark.parametrize("change", ["metrics=[nfe, energy_distance, coverage]", "batch_size=4"])
def test_states_of_another_option_are_not_used(stopped, monkeypatch, change):
    measured, _ = resumed(stopped, monkeypatch, change)
    assert measured == [0, 8, 16, 24, 32, 40, 48]


def test_states_of_other_weights_are_not_used(stopped, monkeypatch):
    (file,) = stopped.folder.checkpoints.root.glob("*.safetensors")
    tensors = load_file(file)
    name = next(n for n in tensors if n.startswith("ema/"))
    tensors[name] = tensors[name] + 1e-3
    save_file(tensors, file)
    facts = file.with_suffix(".json")
    described = json.loads(facts.read_text())
    described["sha256"] = sha256_of(file)
    facts.write_text(json.dumps(described))
    measured, _ = resumed(stopped, monkeypatch)
    assert measured == [0, 8, 16, 24, 32, 40, 48]


WHOLE = '''
from fmcore import Metric, Result, hookimpl


class Mean(Metric):
    """The mean of the samples."""

    def begin(self, evaluation): self.rows = []
    def update(self, batch): self.rows.append(batch.x)
    def compute(self):
        import torch
        x = torch.cat(self.rows)
        return {"mean": Result(float(x.mean()), None, {"count": len(x)})}


@hookimpl
def register_metrics(register):
    register("mean", Mean)
'''


def test_a_metric_without_states_measures_the_whole_stream(workplace, whole):
    from fmcore.registry import registry

    file = workplace / "whole_metric.py"
    file.write_text(WHOLE)
    registry().add_file(file)
    made, log = run(workplace, "unparted", "sample.keep_on_disk=8", "evaluate.metrics=[mean, nfe]")
    assert "Mean cannot be measured in parts: one process measures all 56 examples" in log
    assert made.results["mean"]["provenance"]["count"] == 56
    assert made.results["mean"]["value"] == pytest.approx(float(whole.samples(56).mean()))
    one, other = ({**run.results["nfe"], "origin": {}} for run in (made, whole))
    assert one == other


def test_no_more_samples_are_drawn_than_the_metrics_count(workplace, monkeypatch):
    drawn, draw = [], Sampler.draw

    def drawing(self, indices):
        drawn.append(indices.start)
        return draw(self, indices)

    monkeypatch.setattr(Sampler, "draw", drawing)
    made, _ = run(
        workplace, "counted", "sample.keep_on_disk=8", "evaluate.metrics=[{name: nfe, count: 20}]"
    )
    assert drawn == [0, 8, 16]
    assert made.results["nfe"]["provenance"]["count"] == 20
    assert Shards.on_disk(made.folder.samples).count == 56

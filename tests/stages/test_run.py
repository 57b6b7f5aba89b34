"""A recipe runs end to end, and writes what is documented."""

import json
import os
import signal

import pytest
import torch

import fmcore
from fmcore import RunError, load_recipe, stages
from fmcore.errors import CheckpointError, ExpectationError, Interrupted, TrainingError
from fmcore.runs.folder import RunFolder
from fmcore.stages.sampler import Sampler


@pytest.fixture
def finished(tiny, tmp_path):
    return fmcore.run(load_recipe(tiny), out=tmp_path / "run", device="cpu", quiet=True)


def test_a_run_writes_every_documented_file(finished):
    root = finished.folder.root
    for name in (
        "recipe.yaml",
        "run.json",
        "metrics.jsonl",
        "results.json",
        "training.png",
        "samples/density.png",
        "samples/trajectories.png",
    ):
        assert (root / name).stat().st_size > 0, name
    facts = json.loads((root / "run.json").read_text())
    assert facts["data"]["shape"] == [2]
    assert {"versions", "machine", "plugins", "seconds", "digest"} <= facts.keys()
    curve = (root / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in curve] == list(range(5, 41, 5))


def test_every_result_has_its_provenance(finished):
    result = finished.results["nfe"]
    assert result["value"] == 8
    assert result["provenance"]["sampler"]["solver"]["name"] == "midpoint"
    assert result["provenance"]["metric"] == {"name": "nfe", "count": None}
    assert result["origin"]["step"] == 40


def test_the_saved_recipe_is_complete_and_is_the_same_recipe(finished, tiny):
    assert finished.folder.recipe().digest == load_recipe(tiny).digest
    assert "sigma_min" in finished.folder.recipe_file.read_text()


def test_the_same_command_again_does_nothing_twice(finished, tiny):
    root = finished.folder.root
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*.safetensors")}
    fmcore.run(load_recipe(tiny), out=root, device="cpu", quiet=True)
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*.safetensors")} == before


def test_a_folder_of_another_recipe_is_refused_with_the_differences(finished, tiny):
    with pytest.raises(RunError, match=r"another recipe:\n  train\.lr: 0\.001 there, 0\.1 asked"):
        fmcore.run(load_recipe(tiny, ["train.lr=0.1"]), out=finished.folder.root, quiet=True)


def test_a_folder_that_is_no_run_is_left_alone(tiny, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match="not a run"):
        fmcore.run(load_recipe(tiny), out=tmp_path / "mine", quiet=True)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_sample_i_is_the_same_for_any_batch_size_and_count(finished):
    reference = finished.samples(32)
    again = stages.sample(
        finished.folder.root, ("batch_size=5", "count=20"), device="cpu", quiet=True
    )
    torch.testing.assert_close(again.samples(20), reference[:20], rtol=1e-5, atol=1e-5)


def test_other_solvers_can_be_used_afterwards(finished):
    again = stages.sample(
        finished.folder.root, ("solver={name: rk4, nfe: 16}",), device="cpu", quiet=True
    )
    assert again.samples(32).shape == (32, 2)
    measured = stages.evaluate(again.folder.root, device="cpu", quiet=True).results["nfe"]
    assert measured["value"] == 16
    assert measured["provenance"]["sampler"]["solver"]["name"] == "rk4"
    assert measured["origin"]["step"] == 40  # with the network of the run itself


@pytest.mark.filterwarnings("always::fmcore.FmcoreWarning")
def test_an_unavailable_backend_is_a_warning_in_the_log(finished, monkeypatch):
    monkeypatch.setattr("fmcore.solving.backends.select._warned", set())
    options = ("solver={name: midpoint, nfe: 4, backend: graph}",)
    again = stages.sample(finished.folder.root, options, device="cpu", quiet=True)
    assert again.samples(32).shape == (32, 2)
    log = (again.folder.root / "log.txt").read_text(encoding="utf-8")
    assert "warning: solver 'midpoint': no backend 'graph' here: CUDA graphs need" in log


def test_results_that_miss_a_bound_end_the_run_with_exit_code_3(tiny, tmp_path):
    recipe = load_recipe(tiny, ["expect.nfe.max=4"])
    with pytest.raises(ExpectationError, match="nfe = 8, expected at most 4") as caught:
        fmcore.run(recipe, out=tmp_path / "run", device="cpu", quiet=True)
    assert caught.value.exit_code == 3
    assert (tmp_path / "run" / "results.json").exists()


def test_a_loss_that_is_not_finite_stops_with_step_batch_and_last_good_checkpoint(tiny, tmp_path):
    recipe = load_recipe(tiny, ["train.lr=1e30", "train.log_every=4"])
    with pytest.raises(
        TrainingError, match=r"gradient of step \d+ is not finite.*no checkpoint yet"
    ):
        fmcore.run(recipe, out=tmp_path / "run", device="cpu", quiet=True)


def test_sampling_without_a_checkpoint_is_refused_with_a_remedy(tiny, tmp_path):
    RunFolder.begin(load_recipe(tiny), tmp_path / "run", lambda line: None)
    with pytest.raises(CheckpointError, match="train first"):
        stages.sample(tmp_path / "run", quiet=True)


def test_weights_of_another_network_are_refused(finished, tiny, tmp_path):
    other = RunFolder.begin(
        load_recipe(tiny, ["model.width=24"]), tmp_path / "other", lambda line: None
    )
    (finished.folder.root / "checkpoints").rename(other.root / "checkpoints")
    with pytest.raises(CheckpointError, match="another network"):
        stages.sample(other.root, quiet=True)


def test_two_processes_do_not_write_to_one_folder(tiny, tmp_path):
    folder = RunFolder.begin(load_recipe(tiny), tmp_path / "run", lambda line: None)
    with folder.claimed(), pytest.raises(RunError, match="another process"):
        fmcore.run(load_recipe(tiny), out=tmp_path / "run", quiet=True)


def test_a_run_whose_name_is_nearly_right_is_suggested(finished):
    with pytest.raises(RunError, match="did you mean"):
        RunFolder.open(finished.folder.root.parent)


def test_sampling_that_was_stopped_keeps_its_shards_and_resumes(finished, monkeypatch):
    root, overrides = finished.folder.root, ("seed=9", "batch_size=8")
    draw = Sampler.draw

    def stopping(self, indices):
        if indices.start == 8:
            os.kill(os.getpid(), signal.SIGTERM)  # answered while this batch is drawn
            pytest.fail("the batch was drawn to its end")
        return draw(self, indices)

    with monkeypatch.context() as patch:
        patch.setattr(Sampler, "draw", stopping)
        with pytest.raises(Interrupted, match=r"stopped in sample; .* again"):
            stages.sample(root, overrides, device="cpu", quiet=True)
    (variant,) = (root / "variants").iterdir()
    shards = {p: p.stat().st_mtime_ns for p in (variant / "samples").glob("shard-*")}
    assert len(shards) == 1
    stages.sample(root, overrides, device="cpu", quiet=True)
    after = {p: p.stat().st_mtime_ns for p in (variant / "samples").glob("shard-*")}
    assert shards.items() <= after.items()
    assert len(after) == 4

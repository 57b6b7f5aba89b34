"""Two processes make the run that one makes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fmcore
from fmcore import stages
from fmcore.runs.folder import RunFolder
from fmcore.stages.shards import Shards

SCRIPT = Path(__file__).parent / "together.py"
RECIPE = """
seed: 3
data: {name: toy, figure: checkerboard}
path: ot
model: {name: mlp, width: 16, depth: 2}
train: {steps: 40, batch_size: 64, accumulate: 2, checkpoint_every: 10, log_every: 5, keep: 3}
sample: {solver: {name: midpoint, nfe: 8}, count: 40, batch_size: 16}
evaluate: {metrics: [nfe]}
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def outcomes(workplace) -> list[dict]:
    """What each process heard; started once for all tests."""
    (workplace / "tiny.yaml").write_text(RECIPE)
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    done = subprocess.run(
        [*launcher, str(SCRIPT), "tiny.yaml"],
        cwd=workplace,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((workplace / f"outcomes-{rank}.json").read_text()) for rank in (0, 1)]


def test_a_signal_to_one_process_stops_both_at_the_same_step(outcomes):
    for outcome in outcomes:
        assert outcome["stopped"]["error"] == "Interrupted"
        assert "at step 17 of 40" in outcome["stopped"]["said"]


def test_weights_are_those_of_one_process_up_to_the_order_of_additions(outcomes, workplace):
    alone = fmcore.run(workplace / "tiny.yaml", out=workplace / "alone", device="cpu", quiet=True)
    together = RunFolder.open(workplace / outcomes[0]["finished"]["folder"])
    ours, theirs = alone.folder.checkpoints.latest(), together.checkpoints.latest()
    assert ours.step == theirs.step == 40
    for name, tensor in ours.tensors.items():
        torch.testing.assert_close(tensor, theirs.tensors[name], rtol=1e-4, atol=1e-6, msg=name)
    assert together.facts()["processes"] == 2
    for a, b in zip(curve(together), curve(alone.folder), strict=True):
        assert a["step"] == b["step"]
        if a["step"] == 20:
            continue  # stopped at 17: this line averages what came after
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)


def test_samples_are_those_of_one_process(outcomes, workplace):
    root = workplace / outcomes[0]["finished"]["folder"]
    drawn = Shards.there(root / "samples").first(40)["x"]
    alone = stages.sample(root, ("batch_size=40",), device="cpu", quiet=True).samples(40)
    assert len(list((root / "samples").glob("shard-*"))) == 1  # they were drawn anew
    torch.testing.assert_close(drawn, alone)


def test_both_processes_work_in_one_folder_and_hear_why_it_is_refused(outcomes):
    assert outcomes[0]["finished"] == outcomes[1]["finished"]
    assert outcomes[0]["finished"]["error"] is None
    for outcome in outcomes:
        assert outcome["other recipe"]["error"] == "RunError"
        assert "seed" in outcome["other recipe"]["said"]


def test_a_loss_that_is_not_finite_in_one_process_stops_both_with_its_step(outcomes):
    for outcome in outcomes:
        assert outcome["not finite"]["error"] == "TrainingError"
        assert "the loss or the gradient of step 3 is not finite" in outcome["not finite"]["said"]


def curve(folder: RunFolder) -> list[dict]:
    return [json.loads(line) for line in folder.curve_file.read_text().splitlines()]

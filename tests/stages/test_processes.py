"""Two processes make the same run as one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fmcore
from fmcore import stages
from fmcore.runs.checkpoint import Checkpoint
from fmcore.runs.distributed import Distributed
from fmcore.runs.folder import RunFolder
from fmcore.runs.samples import Shards
from fmcore.stages.components import Components
from fmcore.stages.devices import accelerator_for
from fmcore.stages.train import train

UNMEASURED = (
    "train.evaluate_every=null",
    "train.evaluate=null",
    "train.best=null",
    "sample=null",
    "evaluate=null",
)
SHARDED = ("train.fsdp=true", "train.ema_power=[0.1]", "train.snapshot_every=20")
FLOW_MAP = ("objective=mean_flow", "train.steps=10", *UNMEASURED)
TAUGHT = (
    "objective={name: consistency, teacher: teacher, dt: 0.1, target: average}",
    "train.steps=10",
    "train.init=teacher",
    *UNMEASURED,
)
NETWORK = (
    "data={name: digits}",
    "model={name: unet, channels: 8, depth: 1, channel_mult: [1, 2]}",
    "train={steps: 2, batch_size: 16, lr: 1e-2}",
    *UNMEASURED,
)
pytestmark = pytest.mark.timeout(900)

SCRIPT = Path(__file__).parent / "together.py"
RECIPE = """
seed: 3
data: {name: toy, figure: checkerboard}
path: ot
model: {name: mlp, width: 16, depth: 2}
train: {steps: 40, batch_size: 64, grad_accum: 2, checkpoint_every: 10, log_every: 5, keep_last: 4,
  evaluate_every: 16, evaluate: {metrics: [{name: nll}, wasserstein2], count: 40},
  best: {metric: nll}}
sample: {solver: {name: midpoint, nfe: 8}, count: 40, batch_size: 16}
evaluate: {metrics: [nfe]}
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def outcomes(workplace) -> list[dict]:
    """The outcome of each process; they are started once for all tests."""
    (workplace / "tiny.yaml").write_text(RECIPE)
    trained(workplace / "tiny.yaml", workplace / "teacher", "train.steps=4", *UNMEASURED)
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    done = subprocess.run(
        [*launcher, str(SCRIPT), "tiny.yaml", json.dumps([UNMEASURED, SHARDED, FLOW_MAP, TAUGHT])],
        cwd=workplace,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=800,  # for a busy machine: a limit for processes that hang, not for their work
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((workplace / f"outcomes-{rank}.json").read_text()) for rank in (0, 1)]


def test_a_signal_to_one_process_stops_both_at_the_same_step(outcomes):
    for outcome in outcomes:
        assert outcome["stopped"]["error"] == "Interrupted"
        assert "at step 17 of 40" in outcome["stopped"]["message"]


@pytest.fixture(scope="module")
def alone(workplace) -> RunFolder:
    """The same training by one process."""
    return trained(workplace / "tiny.yaml", workplace / "alone")


def trained(recipe, out, *overrides) -> RunFolder:
    components = Components.of(fmcore.load_recipe(recipe, overrides))
    folder = RunFolder.begin(components.recipe, out, lambda line: None)
    train(components, folder, accelerator_for(components, "cpu"), Distributed(), quiet=True)
    return folder


def require_close(ours: RunFolder, theirs: RunFolder, atol: float = 1e-6) -> None:
    require_close_tensors(ours.checkpoints.latest(), theirs.checkpoints.latest(), atol)


def require_close_tensors(ours: Checkpoint, theirs: Checkpoint, atol: float = 1e-6) -> None:
    assert ours.step == theirs.step
    assert ours.tensors.keys() == theirs.tensors.keys()
    for name, tensor in ours.tensors.items():
        torch.testing.assert_close(tensor, theirs.tensors[name], rtol=1e-4, atol=atol, msg=name)


def only_up_to_step_20(folder: str, names: list[str]) -> set[str]:
    return {
        name
        for name in names
        if name.startswith(("step-000000032", "step-000000030", "step-000000040"))
    }


def test_weights_are_those_of_one_process_up_to_the_order_of_additions(outcomes, alone, workplace):
    together = RunFolder.open(workplace / outcomes[0]["finished"]["folder"])
    require_close(alone, together)
    assert together.facts()["processes"] == 2
    for a, b in zip(curve(together), curve(alone), strict=True):
        assert a["step"] == b["step"]
        if a["step"] == 20:
            continue  # stopped at 17: this line averages what came after
        assert {**a, "seconds": 0} == pytest.approx({**b, "seconds": 0}, rel=1e-4)


def test_processes_share_the_samples_measured_during_training(outcomes, alone, workplace):
    together = RunFolder.open(workplace / outcomes[0]["finished"]["folder"])
    lines = [line for line in curve(together) if "evaluate/wasserstein2" in line]
    assert [line["step"] for line in lines] == [16, 32, 40]
    assert together.checkpoints.best == alone.checkpoints.best == 40


def test_a_sharded_training_ends_as_one_process_does_and_writes_the_same(
    outcomes, workplace, tmp_path
):
    assert outcomes[0]["sharded"]["error"] is None
    together = RunFolder.open(workplace / "sharded")
    shutil.copytree(together.root, tmp_path / "alone", ignore=only_up_to_step_20)
    alone = trained(workplace / "tiny.yaml", tmp_path / "alone", *SHARDED)
    require_close(alone, together)  # one process resumed what two had written
    for ours, theirs in zip(alone.snapshots.steps(), together.snapshots.steps(), strict=True):
        require_close_tensors(alone.snapshots.load(ours), together.snapshots.load(theirs))
    for a, b in zip(curve(alone), curve(together), strict=True):
        assert {**a, "seconds": 0} == pytest.approx({**b, "seconds": 0}, rel=1e-4)


def test_a_sharded_network_that_recomputes_activations_takes_the_same_steps(outcomes, workplace):
    assert outcomes[0]["sharded network"]["error"] is None
    alone = trained(workplace / "tiny.yaml", workplace / "network alone", *NETWORK)
    require_close(alone, RunFolder.open(workplace / "network"), atol=1e-4)


def test_a_flow_map_is_trained_as_by_one_process(outcomes, workplace):
    assert outcomes[0]["flow map"]["error"] is None
    alone = trained(workplace / "tiny.yaml", workplace / "flow-map-alone", *FLOW_MAP)
    require_close(alone, RunFolder.open(workplace / "flow-map"))


def test_a_flow_map_that_was_stopped_ends_with_the_same_bits(outcomes, workplace):
    assert "at step 5 of 10" in outcomes[1]["flow map stopped"]["message"]
    assert outcomes[0]["flow map resumed"]["error"] is None
    straight, resumed = (
        RunFolder.open(workplace / name).checkpoints.latest()
        for name in ("flow-map", "flow-map-resumed")
    )
    assert straight.step == resumed.step == 10
    for name, tensor in straight.tensors.items():
        assert torch.equal(tensor, resumed.tensors[name]), name


def test_a_teacher_and_initial_weights_train_as_by_one_process(outcomes, workplace):
    assert outcomes[0]["taught"]["error"] is None
    overrides = [o.replace("teacher,", f"{workplace}/teacher,") for o in TAUGHT]
    overrides = [o.replace("init=", f"init={workplace}/") for o in overrides]
    alone = trained(workplace / "tiny.yaml", workplace / "taught-alone", *overrides)
    require_close(alone, RunFolder.open(workplace / "taught"))


def test_a_distillation_that_was_stopped_ends_with_the_same_bits(outcomes, workplace):
    assert "at step 5 of 10" in outcomes[1]["taught stopped"]["message"]
    assert outcomes[0]["taught resumed"]["error"] is None
    straight, resumed = (
        RunFolder.open(workplace / name).checkpoints.latest()
        for name in ("taught", "taught-resumed")
    )
    assert straight.step == resumed.step == 10
    for name, tensor in straight.tensors.items():
        assert torch.equal(tensor, resumed.tensors[name]), name


def test_each_process_of_a_sharded_training_holds_its_shard_only(outcomes):
    held = [outcome["held"] for outcome in outcomes]
    assert sum(held) == pytest.approx(1)
    assert max(held) < 0.6


def test_samples_are_those_of_one_process(outcomes, workplace):
    root = workplace / outcomes[0]["finished"]["folder"]
    drawn = Shards.on_disk(root / "samples").first(40)["x"]
    again = stages.sample(root, ("batch_size=40",), device="cpu", quiet=True)
    assert again.folder.root != root
    torch.testing.assert_close(drawn, again.samples(40))


def test_both_processes_use_one_folder_and_get_the_reason_of_a_refusal(outcomes):
    assert outcomes[0]["finished"] == outcomes[1]["finished"]
    assert outcomes[0]["finished"]["error"] is None
    for outcome in outcomes:
        assert outcome["other recipe"]["error"] == "RunError"
        assert "seed" in outcome["other recipe"]["message"]


def test_a_loss_that_is_not_finite_in_one_process_stops_both_with_its_step(outcomes):
    for outcome in outcomes:
        assert outcome["not finite"]["error"] == "TrainingError"
        assert (
            "the loss or the gradient of step 3 is not finite" in outcome["not finite"]["message"]
        )


def curve(folder: RunFolder) -> list[dict]:
    return folder.curve.lines()

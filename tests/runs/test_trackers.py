"""Trackers hear what metrics.jsonl holds, once."""

import math

import pytest
from accelerate import tracking

import fmcore
from fmcore.runs.folder import RunFolder
from fmcore.runs.trackers import require_trackers, trackers

RECIPE = """
data: {name: toy, figure: checkerboard}
path: ot
model: mlp
"""


@pytest.fixture
def folder(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(RECIPE)
    return RunFolder.begin(fmcore.load_recipe(file), tmp_path / "run", lambda line: None)


def lines(*steps):
    return [{"step": s, "loss": 1 / s, "evaluate/nll": math.inf, "seconds": 0.5} for s in steps]


def told(names, folder, after, *steps):
    with trackers(names, folder, after) as them:
        for line in lines(*steps):
            them.tell(line)


class Fake(tracking.GeneralTracker):
    """A tracker as accelerate asks for; what it heard outlives it."""

    name = "wandb"
    requires_logging_directory = False
    heard: list = []  # noqa: RUF012  # of all instances

    def __init__(self, run_name, **options):
        super().__init__()
        self.options = options
        self.heard.append(("made", run_name, options))
        self.step = 11 if len(self.heard) > 1 else 0  # as Weights & Biases knows a run again

    @property
    def tracker(self):
        return self

    def start(self):
        self.heard.append("started")

    def store_init_configuration(self, values):
        raise AssertionError("the recipe is given at the start")

    def log(self, values, step=None, **options):
        self.heard.append((step, values))

    def finish(self):
        self.heard.append("finished")


def test_a_tracker_hears_finite_numbers_once_and_knows_the_run_again(folder, monkeypatch):
    Fake.heard.clear()
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "wandb", Fake)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    told(["wandb"], folder, 0, 5, 10)
    told(["wandb"], folder, 5, 10, 15)  # killed after step 10, of which no checkpoint was
    steps = [word for word in Fake.heard if isinstance(word, tuple) and word[0] != "made"]
    assert steps == [
        (5, {"loss": 0.2, "seconds": 0.5}),
        (10, {"loss": 0.1, "seconds": 0.5}),
        (15, {"loss": 1 / 15, "seconds": 0.5}),
    ]
    first, second = (word[2] for word in Fake.heard if word[0] == "made")
    assert first == second
    assert first["mode"] == "offline"  # nothing leaves the machine unless the user says so
    assert first["config"]["path"]["name"] == "ot"
    assert [word for word in Fake.heard if isinstance(word, str)] == ["started", "finished"] * 2


def test_other_processes_and_runs_without_trackers_tell_nobody(folder, monkeypatch):
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "tensorboard", None)
    told([], folder, 0, 5)
    follower = RunFolder(folder.root, leads=False)
    told(["tensorboard"], follower, 0, 5)
    assert not (folder.root / "tracking").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # tensorboard's own
def test_tensorboard_reads_back_every_step_once_after_a_kill(folder):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    told(["tensorboard"], folder, 0, 5, 10, 15)
    told(["tensorboard"], folder, 10, 15, 20)  # killed after step 15; step 10 was saved
    read = accumulator.EventAccumulator(str(folder.root / "tracking" / "tensorboard"))
    read.Reload()
    assert read.Tags()["scalars"] == ["loss", "seconds"]
    assert [event.step for event in read.Scalars("loss")] == [5, 10, 15, 20]
    assert [event.value for event in read.Scalars("loss")] == pytest.approx(
        [1 / 5, 0.1, 1 / 15, 0.05]
    )


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(fmcore.ComponentError, match="pip install tensorboard"):
        require_trackers(["tensorboard"])

"""Trackers get the lines of metrics.jsonl, each once."""

import inspect
import math
import os
from typing import get_args

import pytest
from accelerate import tracking

import fmcore
from fmcore.recipe.sections import Tracker
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


def logged(names, folder, after, *steps):
    with trackers(names, folder, after) as opened:
        for line in lines(*steps):
            opened.log(line)


class Fake(tracking.GeneralTracker):
    """A tracker as accelerate requires; it records its calls."""

    name = "wandb"
    requires_logging_directory = False
    calls: list = []  # noqa: RUF012  # of all instances

    def __init__(self, run_name, **options):
        super().__init__()
        self.options = options
        self.calls.append(("made", run_name, options))
        self.step = 11 if len(self.calls) > 1 else 0  # as Weights & Biases knows a run again

    @property
    def tracker(self):
        return self

    def start(self):
        self.calls.append("started")

    def store_init_configuration(self, values):
        raise AssertionError("the recipe is given at the start")

    def log(self, values, step=None, **options):
        self.calls.append((step, values))

    def finish(self):
        self.calls.append("finished")


def test_a_tracker_gets_finite_numbers_once_and_recognises_a_resumed_run(folder, monkeypatch):
    Fake.calls.clear()
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "wandb", Fake)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    logged(["wandb"], folder, 0, 5, 10)
    logged(["wandb"], folder, 5, 10, 15)  # killed after step 10, which has no checkpoint
    steps = [call for call in Fake.calls if isinstance(call, tuple) and call[0] != "made"]
    assert steps == [
        (5, {"loss": 0.2, "seconds": 0.5}),
        (10, {"loss": 0.1, "seconds": 0.5}),
        (15, {"loss": 1 / 15, "seconds": 0.5}),
    ]
    first, second = (call[2] for call in Fake.calls if call[0] == "made")
    assert first == second
    assert first["mode"] == "offline"  # nothing leaves the machine unless the user allows it
    assert first["config"]["path"]["name"] == "ot"
    assert [call for call in Fake.calls if isinstance(call, str)] == ["started", "finished"] * 2


def test_other_processes_and_runs_without_trackers_log_nothing(folder, monkeypatch):
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "tensorboard", None)
    logged([], folder, 0, 5)
    follower = RunFolder(folder.root, is_main=False)
    logged(["tensorboard"], follower, 0, 5)
    assert not (folder.root / "tracking").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # tensorboard's own
def test_tensorboard_reads_back_every_step_once_after_a_kill(folder):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logged(["tensorboard"], folder, 0, 5, 10, 15)
    logged(["tensorboard"], folder, 10, 15, 20)  # killed after step 15; step 10 was saved
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
    with pytest.raises(fmcore.ComponentError, match="pip install comet-ml"):
        require_trackers(["comet_ml"])


def test_every_tracker_of_accelerate_has_its_name():
    assert set(get_args(Tracker)) == set(tracking.LOGGER_TYPE_TO_CLASS)


def test_a_tracker_that_accelerate_does_not_have_is_refused(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.delitem(tracking.LOGGER_TYPE_TO_CLASS, "trackio")
    with pytest.raises(fmcore.ComponentError, match="no tracker 'trackio'; upgrade it"):
        require_trackers(["trackio"])


@pytest.mark.parametrize("name", get_args(Tracker))
def test_a_tracker_is_built_with_arguments_of_its_class_and_stays_on_this_machine(
    name, folder, monkeypatch
):
    real, given = tracking.LOGGER_TYPE_TO_CLASS[name], {}

    def record(*words, **options):
        inspect.signature(real.__init__).bind(None, *words, **options)
        given.update(options, name=words[0])
        return Fake(words[0])

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, name, record)
    monkeypatch.setattr("os.environ", {})
    logged([name], folder, 5, 10)
    place = str(folder.root / "tracking")
    local = {
        "aim": given.get("logging_dir") == place,
        "clearml": os.environ.get("CLEARML_OFFLINE_MODE") == "1",
        "comet_ml": given.get("online") is False,
        "dvclive": given.get("dir") == f"{place}/dvclive",
        "mlflow": os.environ.get("MLFLOW_TRACKING_URI", "").startswith("file://"),
        "swanlab": given.get("mode") == "offline",
        "tensorboard": given.get("logging_dir") == place,
        "trackio": os.environ.get("TRACKIO_DIR") == place,
        "wandb": given.get("mode") == "offline",
    }
    assert local[name]

"""Where the runs of a sweep are made: one loop for all engines, and the jobs of submitit."""

import signal
import sys
from dataclasses import dataclass, field

import pytest
from safetensors.torch import load_file

from fmcore import load_recipe
from fmcore.benchmark import sweep as stage
from fmcore.benchmark.engines import SweepRun, read_engine
from fmcore.benchmark.preemptible import PreemptibleCommand
from fmcore.benchmark.submitit_engine import _Job
from fmcore.benchmark.sweep import check_engine, sweep
from fmcore.errors import FmcoreError, Interrupted, RecipeError, UserError
from fmcore.runs.files import write_json
from fmcore.runs.folder import RunFolder

NFE = {"nfe": {"value": 8.0, "error": None, "provenance": {}, "details": {}}}


@dataclass
class Member:
    """A run that ends after some looks at it, with a result or an error."""

    engine: "Looks"
    planned: SweepRun
    looks: int

    def ended(self):
        self.looks -= 1
        if self.looks <= 0:
            self.engine.running.discard(self.planned.title)
        return self.looks <= 0

    def check(self):
        if error := self.engine.errors.get(self.planned.title):
            raise error

    def stop(self):
        self.engine.stopped.append(self.planned.title)

    def join(self):
        self.engine.joined.append(self.planned.title)


@dataclass
class Looks:
    """An engine whose runs take a number of looks."""

    errors: dict = field(default_factory=dict)
    running: set = field(default_factory=set)
    most: int = 0
    order: list = field(default_factory=list)
    stopped: list = field(default_factory=list)
    joined: list = field(default_factory=list)
    pause: float = 0.0

    def start(self, planned):
        self.order.append(planned.title)
        self.running.add(planned.title)
        self.most = max(self.most, len(self.running))
        folder = RunFolder.begin(planned.recipe, planned.folder, lambda line: None)
        write_json(folder.results_file, NFE)
        return Member(self, planned, 2 if planned.title.endswith("a") else 3)


@pytest.fixture
def groups(tiny, tmp_path):
    """Three groups of a training and a second sampling."""
    recipe = load_recipe(tiny)
    names = [("1a", "1b"), ("2a", "2b"), ("3a", "3b")]
    return [[SweepRun(n, recipe, tmp_path / n) for n in group] for group in names]


def go(groups, engine, monkeypatch, **options):
    lines = []
    monkeypatch.setattr(stage, "_engine", lambda *given, **more: engine)
    return sweep(groups, quiet=True, emit=lines.append, **options), lines


def test_a_group_is_made_in_order_and_at_most_jobs_groups_at_a_time(groups, monkeypatch):
    engine = Looks()
    results, _ = go(groups, engine, monkeypatch, jobs=2)
    assert [[r.run.title for r in group] for group in results] == [
        ["1a", "1b"],
        ["2a", "2b"],
        ["3a", "3b"],
    ]
    assert engine.order == ["1a", "2a", "1b", "2b", "3a", "3b"]
    assert engine.most == 2
    assert all(r.results == NFE for group in results for r in group)


def test_a_failed_member_is_counted_and_the_others_continue(groups, monkeypatch):
    engine = Looks(errors={"2a": FmcoreError("the loss is not finite")})
    results, lines = go(groups, engine, monkeypatch, jobs=3)
    assert [r.failure for group in results for r in group] == [
        *("", "", "the loss is not finite", "", "", ""),
    ]
    assert [line.partition(": ")[0] for line in lines].count("started") == 6
    (failure,) = [line for line in lines if " 2a failed: " in line]
    assert failure.endswith(": 2a failed: the loss is not finite")
    assert lines[-1].startswith("6/6 ended, 1 failed: 3b")


def test_an_interrupted_member_stops_the_others_and_waits_for_them(groups, monkeypatch):
    engine = Looks(errors={"1a": Interrupted("stopped")})
    with pytest.raises(Interrupted, match=r"stopped at 1a; .* give the same command$"):
        go(groups, engine, monkeypatch, jobs=3)
    assert engine.stopped == engine.joined == ["2a", "3a"]


def test_ctrl_c_stops_all_members_and_names_the_command_to_resume(groups, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    engine = Looks()
    monkeypatch.setattr(Member, "ended", interrupted)
    with pytest.raises(Interrupted, match=r"^stopped; finished work is saved\..* same command$"):
        go(groups, engine, monkeypatch, jobs=3)
    assert engine.stopped == engine.joined == ["1a", "2a", "3a"]


def test_an_unknown_engine_is_refused_with_a_suggestion():
    with pytest.raises(RecipeError, match=r"no engine 'submitt'; did you mean 'submitit'\?"):
        read_engine("submitt")
    with pytest.raises(RecipeError, match=r"no engine 'slurm'; did you mean 'submitit'\?"):
        read_engine("slurm")
    for unquoted in ("{name:submitit,timeout_min:60}", "{name:"):
        with pytest.raises(RecipeError, match="with a space after each colon"):
            read_engine(unquoted)
    with pytest.raises(RecipeError, match="no engine '3'; engines: process, submitit"):
        check_engine("3")
    with pytest.raises(RecipeError, match="'process' has no options, got minutes"):
        read_engine("{name: process, minutes: 3}")
    assert read_engine("{name: submitit, timeout_min: 3}") == ("submitit", {"timeout_min": 3})


def test_a_missing_submitit_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'fmcore-flow\[slurm\]'"):
        check_engine("submitit")


def test_wrong_options_of_submitit_are_refused_before_any_job():
    pytest.importorskip("submitit")
    with pytest.raises(UserError, match=r"'timeout' need.*did you mean 'timeout_min'\?"):
        check_engine("{name: submitit, cluster: local, timeout: 3}")
    with pytest.raises(UserError, match=r"engine 'submitit': .*lokal"):
        check_engine("{name: submitit, cluster: lokal}")


def test_a_stopped_job_of_this_machine_is_waited_for_and_one_of_a_scheduler_is_not():
    submitit = pytest.importorskip("submitit")

    class Ending:
        def __init__(self):
            self.looks = 0

        def done(self):
            self.looks += 1
            return self.looks == 3

    class Here(Ending, submitit.LocalJob):
        def __del__(self):
            """Nothing to cancel."""

    here, elsewhere = Here(), Ending()
    for job in (here, elsewhere):
        _Job(job).join()
    assert (here.looks, elsewhere.looks) == (3, 0)


MASK = "import signal, sys; sys.stderr.write(str(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"


def test_the_command_of_a_job_does_not_receive_the_signal_of_its_job():
    code, errors = PreemptibleCommand([sys.executable, "-c", f"{MASK}; sys.exit(7)"])()
    assert code == 7
    assert "SIGUSR2" in errors
    assert signal.SIGUSR2 not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


PLUGIN = """
import os, signal
from dataclasses import dataclass
from pathlib import Path
from fmcore import Callback, hookimpl


@dataclass(frozen=True)
class Preempt(Callback):
    \"\"\"Sends the signal of a pre-emption to the job of this run, once, at step 40.\"\"\"

    def after_step(self, view):
        mark = os.environ.get("PREEMPTED")
        if view.step == 40 and mark and not Path(mark).exists():
            Path(mark).touch()
            os.kill(os.getppid(), signal.SIGUSR2)
        return None


@hookimpl
def register_callbacks(register):
    register("preempt", Preempt)
"""


@pytest.mark.slow
def test_a_preempted_job_is_requeued_and_ends_with_the_bits_of_an_undisturbed_run(
    tiny, tmp_path, monkeypatch
):
    pytest.importorskip("submitit")
    from fmcore.registry import registry

    plugin = tmp_path / "preempt.py"
    plugin.write_text(PLUGIN)
    registry().add_file(plugin)
    options = ["train.steps=400", "train.callbacks=[{name: preempt, every: 20}]"]
    planned = SweepRun("one", load_recipe(tiny, options), tmp_path / "runs/one")
    mark = tmp_path / "mark"
    monkeypatch.setenv("PREEMPTED", str(mark))
    ((result,),) = sweep(
        [[planned]], engine="{name: submitit, cluster: local, timeout_min: 5}", device="cpu"
    )
    assert (result.failure, result.results["nfe"]["value"]) == ("", 8.0)
    assert mark.exists()
    logs = "".join(f.read_text() for f in tmp_path.glob("runs/one.job/*_log.*"))
    assert "Caught signal SIGUSR2" in logs
    monkeypatch.delenv("PREEMPTED")
    whole = SweepRun("whole", planned.recipe, tmp_path / "runs/whole")
    sweep([[whole]], device="cpu", quiet=True)
    last = "checkpoints/step-000000400.safetensors"
    first, second = (load_file(run.folder / last) for run in (planned, whole))
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)

"""Many runs of one recipe: what is a failure of one run, and what stops all of them."""

import pytest

from fmcore import load_recipe
from fmcore.benchmark import engines as stage
from fmcore.benchmark.sweep import SweepRun, sweep
from fmcore.errors import ExpectationError, Interrupted, TrainingError
from fmcore.runs.files import write_json

NFE = {"value": 8.0, "error": None, "provenance": {}, "details": {}}


@pytest.fixture
def members(tiny, tmp_path):
    recipe = load_recipe(tiny)
    return [SweepRun(name, recipe, tmp_path / name) for name in ("one", "two")]


def ending(monkeypatch, ends):
    """Runs that write a result and then end as `ends` gives by folder."""

    def run(recipe, *, out, device, quiet):
        out.mkdir(exist_ok=True)
        write_json(out / "results.json", {"nfe": NFE})
        if out.name in ends:
            raise ends[out.name]

    monkeypatch.setattr(stage, "run", run)


def go(members):
    return [one for group in sweep([[m] for m in members], emit=lambda s: None) for one in group]


def test_a_bound_that_was_missed_is_a_warning_and_the_results_count(members, monkeypatch):
    ending(monkeypatch, {"one": ExpectationError("outside the bounds of expect: nfe")})
    first, second = go(members)
    assert first.results == second.results == {"nfe": NFE}
    assert not first.failure
    log = (members[0].folder / "log.txt").read_text()
    assert "warning: outside the bounds of expect: nfe" in log


def test_a_failed_run_has_a_message_and_the_others_continue(members, monkeypatch):
    ending(monkeypatch, {"one": TrainingError("the loss is not finite")})
    first, second = go(members)
    assert (first.failure, first.results) == ("the loss is not finite", {})
    assert second.results


def test_an_interrupted_run_stops_all_of_them(members, monkeypatch):
    ending(monkeypatch, {"one": Interrupted("stopped by SIGTERM at step 3")})
    with pytest.raises(Interrupted, match=r"stopped at one; .* give the same command$"):
        go(members)
    assert not members[1].folder.exists()

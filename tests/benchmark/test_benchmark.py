"""Benchmarks of solvers: rows with reasons, resuming, and the files written."""

from __future__ import annotations

import json

import pytest

from fmcore.benchmark import cell_runner
from fmcore.benchmark.results_csv import COLUMNS
from fmcore.benchmark.solvers import benchmark
from fmcore.cli import command_line
from fmcore.cli.outcome import exit_code_of
from fmcore.errors import ComponentError, Interrupted, RunError

AXES = ["problem=gaussian", "path=ot", "solver=euler,rk4,dopri5", "nfe=2,8", "samples=8"]
TIMES = ("seconds", "seconds_spread", "model_seconds", "us_per_nfe_outside", "rounds")


def go(out, axes=AXES, **more):
    return benchmark("closed-form", axes, out=out, repeats=1, quiet=True, **more)


def test_a_cell_that_cannot_be_measured_is_a_row_with_the_reason(tmp_path):
    made = go(tmp_path)
    euler, _, few, enough, dopri5 = made.report.rows
    assert few["reason"].startswith("solver 'rk4': nfe=2 is below one step, which costs 4")
    assert few["error_rms"] is None
    assert [row["reason"] for row in (euler, enough, dopri5)] == ["", "", ""]
    assert (dopri5["nfe"], dopri5["tol"]) == (None, 1e-5)
    (line,) = made.report.refused
    assert line.startswith("rk4, nfe 2, gaussian in 2 dimensions on ot, 8 samples, float64")


def test_a_setting_without_a_task_gives_each_of_its_cells_the_reason(tmp_path):
    made = go(tmp_path, ["problem=eight_gaussians", "dim=1", "path=ot", "solver=euler", "nfe=2,4"])
    reasons = [row["reason"] for row in made.report.rows]
    assert reasons == ["problem 'eight_gaussians' needs dim=2 or more"] * 2
    assert not (tmp_path / "benchmark.png").exists()


def test_the_same_command_measures_nothing_again(tmp_path, monkeypatch):
    go(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.glob("*.csv")}
    monkeypatch.setattr(cell_runner, "measure_cell", None)  # measuring would fail
    go(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.glob("*.csv")} == before


def test_a_stopped_benchmark_resumes_to_the_same_file(tmp_path, monkeypatch):
    whole = go(tmp_path / "whole").report.rows
    measure, left = cell_runner.measure_cell, iter(range(3))

    def until_stopped(*arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return measure(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(cell_runner, "measure_cell", until_stopped)
        with pytest.raises(Interrupted, match="after 3 of 5 cells; the same command resumes"):
            go(tmp_path / "parts")
    file = tmp_path / "parts" / "cells.csv"
    kept = file.read_bytes()
    file.write_bytes(kept[:-7])  # the last line is truncated as well
    parts = go(tmp_path / "parts").report.rows
    same = [c for c in COLUMNS if c not in TIMES]
    assert [[r[c] for c in same] for r in parts] == [[r[c] for c in same] for r in whole]
    lines = kept.splitlines(keepends=True)
    assert file.read_bytes().startswith(b"".join(lines[:-1]))
    assert file.read_bytes().count(b"\n") == 6


def test_other_axes_in_the_same_folder_add_to_it(tmp_path):
    go(tmp_path)
    made = go(tmp_path, [*AXES, "nfe=2,8,16"])
    assert len(made.report.rows) == 7
    assert (tmp_path / "cells.csv").read_text().count("\n") == 8


def test_the_files_agree_and_contain_the_settings(tmp_path):
    made = go(tmp_path)
    written = json.loads((tmp_path / "benchmark.json").read_text())
    assert [row["key"] for row in written["rows"]] == [row["key"] for row in made.report.rows]
    assert written["made"]["machine"]["threads"] == 1
    assert "DOP853" in written["made"]["reference"]
    text = (tmp_path / "benchmark.md").read_text()
    assert "## gaussian in 2 dimensions on ot, 8 samples, float64, seed 0" in text
    assert "* rk4, nfe 2" in text
    assert (tmp_path / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "benchmark.pdf").read_bytes().startswith(b"%PDF")


def test_the_latex_table_has_the_front_in_bold_and_no_overhead_columns(tmp_path):
    report = go(tmp_path, [*AXES[:-1], "nfe=4,8"]).report
    text = (tmp_path / "benchmark.tex").read_text()
    head, *rows = (line.strip() for line in text.splitlines() if line.endswith(r"\\"))
    assert head == r"solver & budget & NFE mean & p95 & max & error RMS & p95 & max & order & ms \\"
    on_front = [row["front_nfe"] for row in report.rows if not row["reason"]]
    assert [r"\mathbf" in row for row in rows] == on_front
    assert {True, False} == set(on_front)


def test_unfinished_samples_are_marked_in_every_table(tmp_path):
    axes = ["problem=gaussian", "path=ot", "solver={name: dopri5, max_steps: 1},rk4", "nfe=8"]
    report = go(tmp_path, axes).report
    assert [row["statuses"] for row in report.rows] == ["MAX_STEPS:64", "SUCCESS:64"]
    ((_, rows),) = report.settings
    unfinished, finished = (line[6:9] for line in report.table(rows))
    assert all(cell.endswith("*") for cell in unfinished)
    assert not any(cell.endswith("*") for cell in finished)
    (line,) = report.unfinished
    assert line.startswith("dopri5(max_steps=1), tol 1e-05, gaussian")
    assert line.endswith(": MAX_STEPS:64")
    assert line in report.markdown()
    assert line in (tmp_path / "benchmark.html").read_text()
    assert "*: not every sample reached the end." in report.latex()


def test_a_budget_that_is_not_used_in_full_is_named_before_the_measurement(tmp_path):
    lines = []
    go(tmp_path, ["problem=gaussian", "path=ot", "solver=midpoint", "nfe=7,8"], emit=lines.append)
    assert lines == ["solver 'midpoint' uses nfe=6 of nfe=7: it takes whole steps of 2 evaluations"]


def test_the_command_prints_a_table_or_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["benchmark", "closed-form", *AXES, "-q", "--repeats", "1"]

    def call(*more):
        command = [*words, *more]
        return exit_code_of(
            lambda: command_line.main(command, prog_name="fmcore", standalone_mode=False)
        )

    assert call() == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].split()[:5] == ["solver", "grid", "budget", "NFE", "mean"]
    assert "not measured: rk4, nfe 2" in printed.err
    assert len(list((tmp_path / "runs" / "benchmark").glob("*/cells.csv"))) == 1
    assert call("--json") == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 5
    assert call("sover=x") == 2
    assert "did you mean 'solver'?" in capsys.readouterr().err


@pytest.mark.filterwarnings("always::fmcore.errors.FmcoreWarning")
def test_the_command_warns_of_an_axis_that_is_ignored(tmp_path, capsys):
    axes = ["problem=gaussian", "path=ot", "solver=dopri5", "nfe=8", "samples=2"]
    words = ["benchmark", "closed-form", *axes, "--out", str(tmp_path), "-q", "--repeats", "1"]
    code = exit_code_of(lambda: command_line.main(words, prog_name="fmcore", standalone_mode=False))
    assert code == 0
    assert "warning: nfe=8 is ignored by dopri5: " in capsys.readouterr().err


def test_what_is_neither_a_run_nor_closed_form_is_refused(tmp_path):
    with pytest.raises(RunError, match="not a run folder"):
        benchmark(tmp_path / "nothing", [], out=tmp_path / "out", quiet=True)
    with pytest.raises(ComponentError, match="no device named 'tpu'"):
        go(tmp_path, device="tpu")


def test_a_stochastic_solver_is_a_row_with_the_reason(tmp_path):
    axes = ["problem=gaussian", "path=vp", "solver=euler_maruyama", "nfe=8", "samples=4"]
    (row,) = go(tmp_path, axes).report.rows
    assert "is stochastic" in row["reason"]
    assert row["error_rms"] is None

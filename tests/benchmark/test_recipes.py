"""Benchmarks over the keys of a recipe."""

import json
import shlex
from pathlib import Path

import pytest
from safetensors.torch import load_file

from fmcore import RecipeError
from fmcore.benchmark.recipes import benchmark_recipe, is_recipe
from fmcore.cli import command_line
from fmcore.cli.outcome import exit_code_of
from fmcore.errors import ComponentError

RECIPE = """
data: {name: toy, figure: checkerboard, count: 256}
path: ot
model: {name: mlp, width: 8, depth: 1}
train: {steps: 6, batch_size: 16, keep_last: 1}
sample: {solver: {name: midpoint, nfe: 4}, count: 8}
evaluate: {metrics: [nfe]}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    path.write_text(RECIPE)
    return path


def go(file, axes, out, **more):
    silent = {"quiet": True, "emit": lambda line: None, "repeats": 1, "reference_tol": 1e-3}
    return benchmark_recipe(file, axes, out=out, **silent, **more)


@pytest.fixture(scope="module")
def made(file, tmp_path_factory):
    """Two trainings, each sampled in two ways, and two solvers on each; to be read only."""
    out = tmp_path_factory.mktemp("made")
    axes = ["path=ot,vp", "sample.count=4,8", "evaluate.metrics=[nfe]"]
    return go(file, [*axes, "solver=euler,rk4", "nfe=2,8", "samples=4"], out), out


def test_every_combination_is_a_run_and_those_that_differ_in_sampling_share_a_training(made):
    rows = made[0].runs.rows
    assert [tuple(row.labels.values()) for row in rows] == [
        *(("ot", "4"), ("ot", "8"), ("vp", "4"), ("vp", "8")),
    ]
    assert [row.results["nfe"]["provenance"]["count"] for row in rows] == [4, 8, 4, 8]
    assert [row.seconds is None for row in rows] == [False, True, False, True]
    first, second, other, _ = (
        load_file(f"{row.folder}/checkpoints/step-000000006.safetensors") for row in rows
    )
    assert all(first[k].equal(second[k]) for k in first)
    assert not all(first[k].equal(other[k]) for k in first)
    stored = json.loads(Path(rows[1].folder, "run.json").read_text())
    assert stored["trained_in"] == rows[0].folder


def test_solvers_are_measured_on_every_network_once(made):
    solvers = made[0].solvers
    titles = [title for title, _ in solvers.settings]
    assert [t.partition(" on ")[0] for t in titles] == ["small@6", "small@6"]
    assert [t.partition(" on ")[2].partition(",")[0] for t in titles] == ["ot", "vp"]
    assert len(solvers.rows) == 2 * 4
    assert len(solvers.refused) == 2  # rk4 has no step of 2


def test_it_is_written_as_tables_and_as_data(made):
    benchmark, out = made
    stored = json.loads((out / "benchmark.json").read_text())
    assert [r["labels"]["path"] for r in stored["runs"]] == ["ot", "ot", "vp", "vp"]
    assert len(stored["solvers"]["rows"]) == 8
    page = (out / "benchmark.md").read_text()
    assert "| path | sample.count | nfe | training, s | in runs/ |" in page
    assert "## small@6 on vp" in page
    paper = (out / "benchmark.tex").read_text()
    assert r"path & sample.count & nfe & training, s \\" in paper
    assert paper.count(r"\begin{table}") == 3
    assert (out / "runs.csv").read_text().startswith("path,sample.count,nfe,nfe_error,")
    assert benchmark.runs.how.endswith("varied: path, sample.count.")
    assert "Benchmark of a recipe" in (out / "benchmark.html").read_text()


def test_another_benchmark_in_the_folder_reuses_its_runs(made, file, tmp_path):
    benchmark, out = made
    before = {p: p.stat().st_mtime_ns for p in out.glob("runs/*/checkpoints/*")}
    again = go(file, ["sample.count=8", "path=ot", "train.lr=1e-3"], out)
    assert {p: p.stat().st_mtime_ns for p in out.glob("runs/*/checkpoints/*")} == before
    (row,) = again.runs.rows
    assert row.folder == benchmark.runs.rows[1].folder
    assert again.solvers is None


def test_an_invalid_combination_is_a_row_with_the_reason(file, tmp_path):
    made = go(file, ["evaluate.metrics=[nfe],[fd_lite0]"], tmp_path)
    good, bad = made.runs.rows
    assert not good.reason
    assert "fd_lite0" in bad.reason
    (line,) = made.runs.refused
    assert line.startswith('evaluate.metrics=["fd_lite0"]: ')
    assert line in (tmp_path / "benchmark.md").read_text()


def test_nothing_is_started_if_no_combination_is_valid(file, tmp_path):
    with pytest.raises(RecipeError, match="did you mean 'vp'"):
        go(file, ["path=vpp"], tmp_path / "out")
    with pytest.raises(ComponentError, match="fmcore evaluate"):
        go(file, ["solver=euler", "metrics=nll"], tmp_path / "out")
    with pytest.raises(RecipeError, match="no solver named 'eulerr'"):
        go(file, ["solver=eulerr"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_recipes_are_distinguished_from_runs_and_closed_form(made, file, tmp_path):
    run = made[0].runs.rows[0].folder
    assert [is_recipe(t) for t in ("checkerboard", str(file), "missing.yaml")] == [True] * 3
    assert [is_recipe(t) for t in ("closed-form", run, str(tmp_path / "no"))] == [False] * 3


def test_the_command_suggests_a_key_for_an_unknown_one(file, capsys):
    def call(*words):
        command = ["benchmark", str(file), *words]
        return exit_code_of(
            lambda: command_line.main(command, prog_name="fmcore", standalone_mode=False)
        )

    assert call("steps=1,2") == 2
    assert "did you mean 'train.steps'?" in capsys.readouterr().err


def test_the_commands_of_a_list_make_the_runs_of_the_benchmark(file, tmp_path, capsys):
    out, axes = tmp_path / "out", ["path=ot,vp", "train.steps=2"]
    command = ["benchmark", str(file), *axes, "--out", str(out), "--list"]
    assert command_line.main(command, standalone_mode=False) is None
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for line in lines:
        words = shlex.split(line)
        assert words[:2] == ["fmcore", "run"]
        command_line.main([*words[1:], "-q"], standalone_mode=False)
    trained = {p: p.stat().st_mtime_ns for p in out.glob("runs/*/checkpoints/*.safetensors")}
    assert len(trained) == 2
    found = go(file, axes, out)
    assert {p: p.stat().st_mtime_ns for p in trained} == trained
    assert [row.reason for row in found.runs.rows] == ["", ""]


def test_a_list_names_what_is_refused_and_needs_a_recipe(file, tmp_path, capsys):
    command_line.main(["benchmark", str(file), "path=ot", "train.lr=-1,1e-3", "--list"],
                      standalone_mode=False)  # fmt: skip
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("# train.lr=-1: ")
    assert second.startswith("fmcore run ")
    ask = ["benchmark", "closed-form", "--list"]
    assert exit_code_of(lambda: command_line.main(ask, standalone_mode=False)) == 2
    assert "--list needs a recipe" in capsys.readouterr().err
    ask = ["benchmark", str(file), "path=ott", "--list"]
    assert exit_code_of(lambda: command_line.main(ask, standalone_mode=False)) == 2
    assert "did you mean 'ot'" in capsys.readouterr().err

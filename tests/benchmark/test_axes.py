"""Axes of the command line, and the cells they make."""

from __future__ import annotations

import itertools

import pytest

from fmcore.benchmark.axes import Axes, ComponentSpec, read_axes
from fmcore.benchmark.cells import cells
from fmcore.errors import FmcoreWarning, RecipeError


def test_values_between_commas_are_read_as_recipes_read_them():
    axes = read_axes(
        [
            "path=ot,vp,{name: ve, sigma_max: 10}",
            "solver=euler,torchdiffeq:dopri5",
            "nfe=4,8",
            "tol=1e-3",
            "grid=uniform,[0, 0.5, 1]",
        ]
    )
    assert [str(path) for path in axes.path] == ["ot", "vp", "ve(sigma_max=10)"]
    assert [solver.name for solver in axes.solver] == ["euler", "torchdiffeq:dopri5"]
    assert (axes.nfe, axes.tol) == ((4, 8), (1e-3,))
    assert axes.grid == ("uniform", (0.0, 0.5, 1.0))


def test_all_faults_are_reported_at_once_with_suggestions():
    with pytest.raises(RecipeError) as caught:
        read_axes(
            ["sover=euler", "solver=eulr", "path={name: ve, sigma_mx: 1}", "nfe=0", "grid=lamda"],
            leave_out="metrics",
        )
    sover, solver, path, nfe, grid = caught.value.faults
    assert sover.startswith("command line: no axis 'sover'; did you mean 'solver'? axes: problem,")
    assert "metrics" not in sover
    assert solver.startswith("command line: solver: no solver named 'eulr'; did you mean 'euler'?")
    assert path == (
        "command line: path: path 've' has no option 'sigma_mx'; did you mean 'sigma_max'?"
    )
    assert nfe == "command line: nfe: expected whole numbers from 1 on, got '0'"
    assert grid.startswith("command line: grid: no 'lamda'; did you mean 'lambda'?")


@pytest.mark.parametrize("text", ["nfe", "nfe=", "nfe={", "tol=2", "seed=-1", "path=[]"])
def test_invalid_axes_are_refused(text):
    with pytest.raises(RecipeError, match="command line: "):
        read_axes([text])


def ways(text: str, **axes) -> list[tuple]:
    made = read_axes([f"solver={text}"], Axes(path=(ComponentSpec("path", "ot"),), **axes))
    return [(c.grid, c.nfe, c.tol) for c in cells(made)]


def test_fixed_solvers_get_budgets_and_adaptive_ones_tolerances():
    axes = {"nfe": (4, 8), "tol": (1e-3, 1e-5), "grid": ("auto", "lambda")}
    euler = [("auto", 4, None), ("auto", 8, None), ("lambda", 4, None), ("lambda", 8, None)]
    assert ways("euler", **axes) == euler
    assert ways("dopri5", **axes) == [(None, None, 1e-3), (None, None, 1e-5)]
    assert ways("torchdiffeq:euler", **axes) == [(None, 4, None), (None, 8, None)]


def test_an_option_fixed_by_the_solver_is_not_varied():
    axes = {"nfe": (4, 8), "tol": (1e-3, 1e-5), "grid": ("auto", "lambda")}
    assert ways("{name: euler, nfe: 5, grid: edm}", **axes) == [(None, None, None)]
    assert ways("{name: dopri5, rtol: 1e-4}", **axes) == [(None, None, None)]
    assert ways("euler", nfe=(4, 8), grid=((0.0, 1.0),)) == [((0.0, 1.0), None, None)]


def test_cells_are_the_product_setting_by_setting():
    axes = read_axes(["path=ot,vp", "solver=euler,rk4", "nfe=4,8", "seed=0,1", "samples=4,8"])
    made = cells(axes)
    assert len(made) == 2 * 2 * 2 * 2 * 2
    settings = [c.setting for c in made]
    assert sum(a != b for a, b in itertools.pairwise(settings)) == 8 - 1
    assert [c.setting for c in made[:4]] == [made[0].setting] * 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["solver=dopri5", "nfe=8"], r"nfe=8 is ignored by dopri5: .* tol=1e-5"),
        (["solver={name: euler, nfe: 5}", "nfe=8"], r"nfe=8 is ignored by euler\(nfe=5\): "),
        (
            ["solver=euler,midpoint", "tol=1e-3"],
            r"tol=0.001 is ignored by .*midpoint: .*nfe=16",
        ),
    ],
)
def test_an_axis_that_no_solver_takes_is_a_warning_with_the_axis_to_use(given, message):
    with pytest.warns(FmcoreWarning, match=message):
        read_axes(given)


def test_an_axis_that_one_of_the_solvers_takes_is_no_warning(recwarn):
    read_axes(["solver=euler,dopri5", "nfe=8", "tol=1e-3"])
    assert not recwarn.list

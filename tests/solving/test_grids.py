"""Grids, budgets and the interval of a fixed solve."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fmcore import ComponentError, Problem, create
from fmcore.solving import Schedule, auto_grid, make_grid
from fmcore.solving.interval import rounded_inside

LINEAR, VP, COSINE = (create("path", name) for name in ("linear", "vp", "cosine"))
NAMES = ("uniform", "lambda", "edm", "cosine", "shifted")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", [LINEAR, VP, COSINE])
def test_grids_rise_from_end_to_end_and_run_back_through_the_same_points(
    name: str, path: object
) -> None:
    schedule = Schedule.of(path)
    forward = make_grid(name, 10, path.t_min, path.t_max, schedule)
    assert len(forward) == 11
    assert (forward[0], forward[-1]) == (path.t_min, path.t_max)
    assert (np.diff(forward) > 0).all()
    backward = make_grid(name, 10, path.t_max, path.t_min, schedule)
    np.testing.assert_array_equal(backward, forward[::-1])


def test_lambda_grid_is_even_in_lambda_and_cut_where_lambda_is_infinite() -> None:
    schedule = Schedule.of(LINEAR)
    grid = make_grid("lambda", 10, 0.0, 1.0, schedule)
    lams = [schedule.lam(t) for t in grid[1:-1]]
    np.testing.assert_allclose(lams, np.linspace(-4.5, 5.5, 11)[1:-1], rtol=1e-9)


def test_edm_grid_is_even_in_the_seventh_root_of_the_noise_level() -> None:
    schedule = Schedule.of(VP)
    grid = make_grid("edm", 8, VP.t_min, VP.t_max, schedule)
    levels = [np.exp(-schedule.lam(t) / 7) for t in grid]
    np.testing.assert_allclose(np.diff(levels), np.diff(levels)[0], rtol=1e-6)


def test_shifted_grid_takes_most_steps_near_the_noise() -> None:
    grid = make_grid("shifted", 2, 0.0, 1.0, None)
    assert grid[1] == pytest.approx(0.25)  # level 1/2 becomes 3 * 0.5 / (1 + 2 * 0.5) = 3/4


def test_grids_of_lambda_need_an_affine_path() -> None:
    with pytest.raises(ComponentError, match=r"grid 'lambda'.*give the problem its path"):
        create("solver", "euler", nfe=4, grid="lambda").solve(
            Problem(lambda x, t: x, torch.ones(1, 1))
        )


@pytest.mark.parametrize(
    ("name", "on_linear", "on_vp", "on_cosine"),
    [
        ("euler", "uniform", "lambda", "uniform"),
        ("ab2", "uniform", "lambda", "uniform"),
        ("ddim", "uniform", "lambda", "uniform"),
        ("rk4", "uniform", "uniform", "uniform"),
        ("dpmpp_2m", "uniform", "lambda", "lambda"),
        ("unipc", "uniform", "lambda", "lambda"),
    ],
)
def test_auto_follows_solver_and_path(
    name: str, on_linear: str, on_vp: str, on_cosine: str
) -> None:
    rule = create("solver", name, nfe=4).default_grid
    found = [auto_grid(rule, Schedule.of(path)) for path in (LINEAR, VP, COSINE)]
    assert found == [on_linear, on_vp, on_cosine]
    assert auto_grid(rule, None) == "uniform"


def test_zero_and_one_mean_the_ends_of_the_path() -> None:
    plan = create("solver", "euler", nfe=4).plan(0.0, 1.0, VP)
    assert plan.grid[-1] == VP.t_max < 1


def test_times_beyond_the_path_are_refused() -> None:
    with pytest.raises(ComponentError, match=r"time 1.2 is outside \[0, 1\]"):
        create("solver", "euler", nfe=4).plan(0.0, 1.2, VP)


def test_float32_times_are_rounded_inwards() -> None:
    low, high = 0.1, 1 - 1e-5
    times = rounded_inside([low, 0.5, high], low, high, torch.float32)
    assert low <= times[0] < low + 1e-7
    assert high - 1e-7 < times[-1] <= high
    assert (times == times.astype(np.float32)).all()


def test_explicit_grid_is_walked_in_the_direction_of_the_solve() -> None:
    solver = create("solver", "euler", grid=[0.0, 0.2, 1.0])
    assert solver.plan(0.0, 1.0).grid == (0.0, 0.2, 1.0)
    assert solver.plan(1.0, 0.0).grid == (1.0, 0.2, 0.0)
    with pytest.raises(ComponentError, match=r"goes from 0.0 to 1.0, the solve from 0.0 to 0.5"):
        solver.plan(0.0, 0.5)


def test_a_solver_without_a_budget_takes_a_hundred_evaluations():
    assert create("solver", "midpoint").plan(0.0, 1.0).nfe == 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nfe": 4, "steps": 2}, "got nfe and steps"),
        ({"nfe": 4, "grid": [0.0, 1.0]}, "got nfe and an explicit grid"),
        ({"grid": [0.0, 0.5, 0.5]}, "strictly rising or strictly falling"),
        ({"grid": [1.0]}, "two or more finite times"),
    ],
)
def test_wrong_budgets_are_refused_at_once(options: dict[str, object], message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        create("solver", "euler", **options)


def test_budget_below_a_step_says_what_a_step_costs() -> None:
    with pytest.raises(
        ComponentError, match="solver 'rk4': nfe=3 is below one step, which costs 4"
    ):
        create("solver", "rk4", nfe=3).check(LINEAR)


def test_edm_spends_an_odd_budget_whole() -> None:
    solver = create("solver", "edm_heun", nfe=11)
    assert solver.plan(0.1, 0.9, LINEAR).nfe == 11
    assert len(solver.plan(0.1, 0.9, LINEAR).grid) == 7


def test_asked_times_fit_into_the_budget() -> None:
    plan = create("solver", "midpoint", nfe=10).plan(0.0, 1.0, None, (0.33, 0.77))
    assert plan.nfe <= 10
    assert {0.33, 0.77} <= set(plan.grid)


def test_asked_time_that_is_a_grid_point_but_for_rounding_adds_no_step() -> None:
    plan = create("solver", "euler", steps=10).plan(0.0, 1.0, None, (0.1 + 0.2,))
    assert len(plan.grid) == 11


def test_asked_times_outside_the_solve_are_refused() -> None:
    with pytest.raises(
        ComponentError, match=r"state at time 0.9, but the solve goes from 0.0 to 0.5"
    ):
        create("solver", "euler", steps=4).solve(
            Problem(lambda x, t: x, torch.ones(2, 1), 0.0, 0.5, times=(0.9,))
        )

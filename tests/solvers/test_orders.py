"""The order of every fixed-step solver, in float64, against a solution in closed form.

dx/dt = -(1 + t) x^2 has the solution 1/x(t) = 1/x(s) + (t - s) + (t^2 - s^2) / 2.
"""

from __future__ import annotations

import math

import pytest
import torch

from fmcore import AffinePath, Problem, create
from fmcore.registry import registry
from fmcore.solving import FixedSolver

PATH = create("path", "linear")
START, END = 0.1, 0.9  # lam is finite on this interval
NAMES = [
    name
    for name in registry().names("solver")
    if "/" not in name and issubclass(registry().entry("solver", name).load(), FixedSolver)
]


def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return -(1 + t[:, None]) * x * x


def error(solver: FixedSolver, path: AffinePath = PATH) -> float:
    x0 = torch.linspace(0.2, 0.5, 7, dtype=torch.float64)[:, None]
    x = solver.solve(Problem(velocity, x0, START, END, path=path)).x
    exact = 1 / (1 / x0 + (END - START) + (END**2 - START**2) / 2)
    return float((x - exact).abs().max())


def observed_order(name: str, bend: float = 1.0, **options: object) -> float:
    """The order between 64 and 128 steps; `bend` > 1 makes the first steps smaller."""
    errors = []
    for n in (64, 128):
        grid = [START + (END - START) * (i / n) ** bend for i in range(n)]
        errors.append(error(create("solver", name, grid=[*grid, END], **options)))
    return math.log2(errors[0] / errors[1])


@pytest.mark.parametrize("name", NAMES)
def test_the_global_error_has_the_declared_order_on_a_uniform_grid(name: str) -> None:
    solver = create("solver", name, steps=1)
    options = {"noise": 0.0} if solver.stochastic else {}
    assert solver.order - 0.15 < observed_order(name, **options) < solver.order + 0.6


@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("corrector", [True, False])
@pytest.mark.parametrize("p", [1, 2, 3])
def test_unipc_has_the_order_it_declares_for_its_options(p, corrector, variant) -> None:
    options = {"p": p, "corrector": corrector, "variant": variant}
    declared = create("solver", "unipc", steps=1, **options).order
    assert declared == min(p, 2) + corrector
    assert observed_order("unipc", **options) > declared - 0.15


@pytest.mark.parametrize(
    ("name", "options", "order"),
    [("ab3", {}, 3), ("dpmpp_3m", {}, 3), ("unipc", {"p": 3, "corrector": False}, 3)],
)
def test_steps_of_order_three_show_where_the_first_steps_are_small(name, options, order) -> None:
    assert observed_order(name, bend=2.0, **options) > order - 0.2


def test_the_start_of_ab3_costs_one_evaluation() -> None:
    solution = create("solver", "ab3", steps=8).solve(
        Problem(velocity, torch.full((2, 1), 0.3), START, END)
    )
    assert solution.stats.nfe.tolist() == [9, 9]

"""The laws of solvers that move tokens by their posterior, as checks on one solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.kappa_path import KappaPath
from fmcore.interfaces.path import PathSample, Quantity
from fmcore.interfaces.problem import Problem, Solution
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.solver import Solver
from fmcore.interfaces.source import Condition, Source
from fmcore.interfaces.space import Space, Tokens
from fmcore.interfaces.tensors import append_dims
from fmcore.testing.checks import require, require_equal, untouched_randomness
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["LeapSolverSuite"]

MANY = 100_000
"""Tokens in the checks of distributions: a share has a standard error below 0.002."""

SHARES = torch.tensor([0.55, 0.3, 0.15], dtype=torch.float64)
"""The distribution of the data in these checks."""

STATES = 3


@final
@dataclass(frozen=True)
class _Uniform(Source):
    def sample(
        self,
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        return rows.integers(STATES, shape).to(dtype)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        raise ComponentError("not needed in these checks")


@final
@dataclass(frozen=True)
class _Mixture(KappaPath):
    """Tokens that jump from uniform ones to the data, with kappa = t^2."""

    space: Space = Tokens(STATES)  # noqa: RUF009  # a frozen value

    def kappa(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return t.square(), 2 * t

    def sample(self, x0: Tensor, x1: Tensor, t: Tensor, z: Tensor | None = None) -> PathSample:
        raise ComponentError("not needed in these checks")

    def noise(self) -> Source:
        return _Uniform()

    def prior(self) -> Source:
        return _Uniform()


@final
class _Exact:
    """The exact posterior of data with SHARES along the mixture; counts its calls."""

    path = _Mixture()

    def __init__(self) -> None:
        self.forwards = 0

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        raise ComponentError("tokens have no velocity")

    def predict(
        self,
        x: Tensor,
        t: Tensor,
        condition: Condition | None = None,
        target: Quantity = "velocity",
    ) -> Tensor:
        require(target == "posterior", f"tokens are asked for their {target}, not the posterior")
        self.forwards += 1
        kappa = append_dims(self.path.kappa(t.double())[0], x).unsqueeze(-1)
        same = x.unsqueeze(-1) == torch.arange(STATES)
        return (SHARES * ((1 - kappa) / STATES + kappa * same)).log()


class LeapSolverSuite(ComponentChecks, Suite):
    """Override `component()` to build the solver, with a budget of a few steps."""

    interface = Solver
    steps: ClassVar[int] = 5

    def solve(
        self, ids: Any, seed: int = 0, condition: Condition | None = None, **more: Any
    ) -> tuple[Solution, _Exact]:
        """Return the solution from uniform tokens for samples `ids`, two tokens each."""
        field, rows = _Exact(), Rows(1, "start", 0, ids)
        problem = Problem(
            field,
            _Uniform().sample(rows, (2,)),
            path=field.path,
            sample_ids=torch.as_tensor(list(ids)),
            seed=seed,
            condition=condition,
            **more,
        )
        solver: Solver = self.component()
        with untouched_randomness("solve"):
            return solver.solve(problem), field

    def test_supports_tokens(self) -> None:
        """`supports` accepts tokens."""
        require(self.component().supports(Tokens(STATES)), "tokens are not supported")

    def test_tokens_have_their_exact_marginal(self) -> None:
        """With the exact posterior, every token has the distribution of the data at the end, at any
        number of steps, and a share kappa of it on the way."""
        solution, _ = self.solve(range(MANY), times=(0.5,))
        middle = (1 - 0.25) / STATES + 0.25 * SHARES
        if solution.trajectory is None:
            raise AssertionError("no trajectory at the time that was asked for")
        for name, x, wanted in (
            ("at the end", solution.x, SHARES),
            ("at t = 0.5", solution.trajectory[0], middle),
        ):
            require(bool((x == x.round()).all()), f"tokens {name} are no whole numbers")
            require(bool(((x >= 0) & (x < STATES)).all()), f"tokens {name} are out of range")
            found = torch.bincount(x.long().flatten(), minlength=STATES) / x.numel()
            away = float((found - wanted).abs().max())
            require(away < 0.008, f"a share of a token {name} is off by {away:.3g}")

    def test_samples_depend_on_seed_and_index_alone(self) -> None:
        """Sample i is a function of (seed, i): the same in any batch, another for another seed."""
        whole, part = self.solve(range(16))[0].x, self.solve([9, 3])[0].x
        require_equal(part, whole[[9, 3]], "samples 9 and 3 alone")
        other = self.solve(range(16), seed=1)[0].x
        require(not torch.equal(other, whole), "another seed gives the same samples")

    def test_evaluations_are_counted(self) -> None:
        """`stats.nfe` is the number of network evaluations of each sample."""
        solution, field = self.solve(range(4))
        found = solution.stats.nfe.tolist()
        require(found == [field.forwards] * 4, f"nfe is {found}, with {field.forwards} evaluations")

    def test_frozen_tokens_stay(self) -> None:
        """Elements that the condition `frozen` marks never change."""
        ids = range(64)
        start = _Uniform().sample(Rows(1, "start", 0, ids), (2,))
        frozen = torch.tensor([True, False]).expand(64, 2)
        found = self.solve(ids, condition={"frozen": frozen})[0].x
        require_equal(found[:, 0], start[:, 0], "frozen tokens")

"""Checks of stochastic solvers: reproducible noise, marginals, and a last step without noise."""

from __future__ import annotations

from typing import Any

import torch

from fmcore.flow.gaussian_mixture import gaussian
from fmcore.solving import Problem
from fmcore.testing.checks import generator, require, require_close, skip
from fmcore.testing.flows import starts
from fmcore.testing.solver_laws.subject import (
    INNER,
    PATH,
    SolverChecks,
    needs,
    options_of,
    problem_of,
    with_options,
    without_noise,
)

__all__ = ["NoiseChecks"]


class NoiseChecks(SolverChecks):
    """Checks of noise; part of `SolverSuite`."""

    def test_noise_depends_on_seed_and_sample_alone(self) -> None:
        """A stochastic solver draws the same noise for the same (seed, i), and other noise for
        another seed or sample.
        """
        solver = _stochastic(self.component())
        x0 = starts(1).expand(2, -1)
        first, again, reseeded = (
            solver.solve(problem_of(x0, *INNER, seed=seed)).x for seed in (0, 0, 1)
        )
        require(torch.equal(first, again), "the same seed gave another result")
        for what, found, other in (
            ("seeds 0 and 1", first, reseeded),
            ("samples 0 and 1", first[:1], first[1:]),
        ):
            require(
                bool((found != other).all()),
                f"{what} of a stochastic solver gave the same result from the same x0",
            )

    def test_last_step_adds_no_noise(self) -> None:
        """A single step equals the ODE's: noise of the last step would stay in the sample."""
        solver = with_options(needs(_stochastic(self.component()), "steps"), nfe=None, steps=1)
        x0 = starts(4)
        noisy, quiet = (s.solve(problem_of(x0, *INNER)).x for s in (solver, without_noise(solver)))
        require_close(noisy, quiet, "the last step, with noise and without", rtol=1e-9, atol=1e-9)

    def test_noise_keeps_the_marginals(self) -> None:
        """With the exact field of Gaussian data, a stochastic solver gives the data's mean and
        variance within sampling error.
        """
        solver = with_options(_stochastic(self.component()), nfe=None, steps=96, grid="auto")
        field = gaussian(PATH, dimensions=32)
        x0 = torch.randn((250, 32), generator=generator(), dtype=torch.float64)
        x = solver.solve(Problem(field, x0, path=PATH)).x
        width = field.stds[0]
        offset = float((x - x.new_tensor(field.means[0])).mean())
        ratio = float((x - x.new_tensor(field.means[0])).square().mean()) / width**2
        require(abs(offset) < 0.03 * width, f"the mean is off by {offset:.3g}, std {width}")
        require(
            abs(ratio - 1) < 0.2,
            f"the variance is {ratio:.3f} times the data's: is the noise's score term missing?",
        )


def _stochastic(solver: Any) -> Any:
    if not solver.stochastic:
        skip("adds no noise")
    if "noise" not in options_of(solver):
        require(False, "a stochastic solver needs an option 'noise', 0 for the ODE")
    return solver

"""Checks of a path's interval, ends and velocity; part of `PathSuite`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from fmcore.interfaces.path import PathSample
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.source import Source
from fmcore.testing.bridge import joined
from fmcore.testing.checks import generator, require, require_close
from fmcore.testing.derivative import central_difference, derivative
from fmcore.testing.times import from_end_to_end, inside, shown

__all__ = ["VECTOR", "TrajectoryChecks", "fields_of"]

END_TOLERANCE = 0.1
"""The largest effect of the data at t_min and of the noise at t_max, relative to their standard
deviation."""

VECTOR = (3,)
"""The shape of a point in checks that do not concern shapes."""


def fields_of(sample: PathSample) -> Iterator[tuple[str, Tensor]]:
    """Yield the point and the velocity with their names."""
    yield "xt", sample.xt
    yield "ut", sample.ut


class TrajectoryChecks:
    """Checks of one path, in float64 by default."""

    def component(self) -> Any:
        """Return the path to test."""
        raise NotImplementedError

    def pairs(self, n: int, shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
        """Return `n` draws of x0 and of x1."""
        raise NotImplementedError

    def test_interval_lies_within_zero_and_one(self) -> None:
        """0 <= t_min < t_max <= 1."""
        path = joined(self.component())
        require(
            0 <= path.t_min < path.t_max <= 1,
            f"the interval [{path.t_min}, {path.t_max}] must be in [0, 1] and not empty",
        )

    def test_point_and_velocity_are_finite_on_the_closed_interval(self) -> None:
        """xt and ut are finite from t_min to t_max inclusive, in float64 and float32."""
        path = joined(self.component())
        for dtype in (torch.float64, torch.float32):
            t = from_end_to_end(path, 33, dtype)
            x0, x1 = self.pairs(len(t), VECTOR)
            for name, value in fields_of(path.sample(x0.to(dtype), x1.to(dtype), t)):
                bad = t[~value.isfinite().all(1)]
                require(
                    len(bad) == 0,
                    f"{name} is not finite at t = {shown(bad)} in {dtype}; "
                    "set t_min and t_max so that such times are outside",
                )

    def test_begins_at_its_prior(self) -> None:
        """At t_min, xt has the mean and standard deviation of prior() and hardly depends on x1."""
        path, n = joined(self.component()), 20_000
        prior = path.prior()
        require(isinstance(prior, Source), f"prior() returns {type(prior).__name__}, not a Source")
        x0, x1 = self.pairs(n, VECTOR)
        t = torch.full((n,), path.t_min, dtype=torch.float64)
        begun = path.sample(x0, x1, t).xt
        # the random numbers of `pairs`: sampling error cancels where prior and noise are alike
        drawn = prior.sample(Rows(0, "pairs", 0, range(n)), VECTOR, dtype=torch.float64)
        spread = drawn.std()
        for name, found, wanted in (
            ("mean", begun.mean(0), drawn.mean(0)),
            ("standard deviation", begun.std(0), drawn.std(0)),
        ):
            message = f"{name} of xt at t_min, relative to the prior's standard deviation"
            require_close(found / spread, wanted / spread, message, atol=0.05)
        moved = float((path.sample(x0, x1.flip(0), t).xt - begun).std() / spread)
        require(
            moved < END_TOLERANCE,
            f"at t_min another x1 moves xt by {moved:.3g} of the prior's standard deviation: "
            "sampling does not know x1 when it draws xt",
        )

    def test_ends_at_the_data(self) -> None:
        """At t_max, xt is x1 up to little noise."""
        path = joined(self.component())
        x0, x1 = self.pairs(512, VECTOR)
        end = path.sample(x0, x1, torch.full((512,), path.t_max, dtype=torch.float64)).xt
        away = float((end - x1).square().mean().sqrt() / x1.std())
        require(
            away < END_TOLERANCE,
            f"at t_max, xt differs from x1 by {away:.3g} of the data's standard deviation",
        )

    def test_velocity_is_the_derivative_of_the_point(self) -> None:
        """ut = d xt / dt at fixed (x0, x1), by forward-mode differentiation of the path itself."""
        path = joined(self.component())
        t = inside(path, 31)
        x0, x1 = self.pairs(len(t), VECTOR)
        wanted = derivative(lambda time: path.sample(x0, x1, time).xt, t)
        found = path.sample(x0, x1, t).ut
        require_close(found, wanted, f"ut at t = {shown(t)}", rtol=1e-6, atol=1e-6)

    def test_continuity_equation(self) -> None:
        """d/dt E f(xt) = E [ut . grad f(xt)] for smooth f over drawn pairs."""
        path, n = joined(self.component()), 256
        x0, x1 = self.pairs(n, VECTOR)
        wave = torch.randn((8, *VECTOR), generator=generator(2), dtype=torch.float64) / 3

        def expectation(t: Tensor) -> Tensor:
            return torch.sin(path.sample(x0, x1, t.expand(n)).xt @ wave.T).mean(0)

        for t in inside(path, 7):
            at = path.sample(x0, x1, t.expand(n))
            flux = (torch.cos(at.xt @ wave.T) * (at.ut @ wave.T)).mean(0)
            change = central_difference(expectation, t)
            require_close(flux, change, f"the flux of ut at t = {t:.4g}", rtol=1e-4, atol=1e-5)

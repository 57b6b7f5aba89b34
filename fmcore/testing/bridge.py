"""The laws that a random bridge adds to those of `Path`; skipped for a path without one."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor

from fmcore.interfaces.path import Path, PathSample
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.source import Source
from fmcore.testing.checks import generator, require, require_close, skip
from fmcore.testing.times import inside

__all__ = ["BridgeChecks", "joined"]


def joined(path: Path) -> Path:
    """The path as a function of (x0, x1, t): where it has a bridge, z is a fixed function of the
    pair, so that a row keeps its z at any place of the batch.
    """
    return path if path.bridge() is None else _Joined(path)


@final
class _Joined(Path):
    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def t_min(self) -> float:
        return self._path.t_min

    @property
    def t_max(self) -> float:
        return self._path.t_max

    def sample(self, x0: Tensor, x1: Tensor, t: Tensor, z: Tensor | None = None) -> PathSample:
        # nearly uniform phases: mean 0 and variance 1, independent of x0 and x1 to within the tests
        wave = math.sqrt(2) * (1e3 * x0.double() + 3e3 * x1.double()).sin()
        return self._path.sample(x0, x1, t, wave.to(x1.dtype))

    def noise(self) -> Source:
        return self._path.noise()

    def prior(self) -> Source:
        return self._path.prior()


class BridgeChecks:
    """Checks on a path with a bridge, in float64."""

    def component(self) -> Any:
        """The path to test."""
        raise NotImplementedError

    def moments(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The weights of x0 and x1 in the mean of xt given both, and the standard deviation, at
        times `t`, `(batch,)`.  Override it to state what a path of your own should have.

        By default all three are read off the path: by setting one of x0, x1, z to 1.
        """
        path, zero = _bridged(self.component()), torch.zeros(len(t), 1, dtype=torch.float64)
        one = torch.ones_like(zero)
        points = ((one, zero, zero), (zero, one, zero), (zero, zero, one))
        a, b, g = (path.sample(x0, x1, t, z).xt[:, 0] for x0, x1, z in points)
        return a, b, g

    def test_bridge_is_drawn_around_the_mean(self) -> None:
        """Given x0 and x1, xt has the mean a x0 + b x1 and the deviation g of `moments`, with z
        drawn from `bridge()`."""
        path, n = _bridged(self.component()), 40_000
        t = inside(path, 5)
        for i, (a, b, g) in enumerate(zip(*self.moments(t), strict=True)):
            rows = Rows(0, "bridge", i, range(n))
            z = path.bridge().sample(rows, (1,), dtype=torch.float64)  # type: ignore[union-attr]
            x0, x1 = torch.full_like(z, 0.7), torch.full_like(z, -1.3)
            xt = path.sample(x0, x1, t[i].expand(n), z).xt
            error = float(xt.std()) / math.sqrt(n)
            away = abs(float(xt.mean() - (0.7 * a - 1.3 * b)))
            require(
                away < 5 * error + 1e-9, f"the mean of xt at t = {t[i]:.3g} is off by {away:.3g}"
            )
            require_close(
                xt.std(), g, f"the deviation of xt at t = {t[i]:.3g}", rtol=0.03, atol=1e-6
            )

    def test_same_z_at_every_time(self) -> None:
        """At fixed (x0, x1, z), xt is continuous in time and ut its derivative: z does not change
        with t."""
        path = _bridged(self.component())
        t = inside(path, 9)
        x0, x1, z = (
            torch.randn(9, 2, generator=generator(s), dtype=torch.float64) for s in (1, 2, 3)
        )
        step = 1e-5
        later, earlier = (path.sample(x0, x1, t + s, z).xt for s in (step, -step))
        slope = (later - earlier) / (2 * step)
        require_close(
            path.sample(x0, x1, t, z).ut, slope, "ut and the slope of xt", rtol=1e-5, atol=1e-5
        )

    def test_velocity_regresses_to_that_of_a_gaussian_pair(self) -> None:
        """With x0, x1 and z standard normal, E[ut | xt] is the marginal's velocity: the slope
        d/dt log s(t) of its deviation s(t) = sqrt(a^2 + b^2 + g^2), times xt."""
        path, n = _bridged(self.component()), 200_000
        t = inside(path, 5)
        step = 1e-5

        def deviation(times: Tensor) -> Tensor:
            a, b, g = self.moments(times)
            return (a.square() + b.square() + g.square()).sqrt()

        wanted = (deviation(t + step).log() - deviation(t - step).log()) / (2 * step)
        for i in range(len(t)):
            g = generator(10 + i)
            x0, x1, z = (torch.randn(n, 1, generator=g, dtype=torch.float64) for _ in range(3))
            at = path.sample(x0, x1, t[i].expand(n), z)
            found = (at.ut * at.xt).mean() / at.xt.square().mean()
            spread = float(at.ut.std() / at.xt.std()) / math.sqrt(n)
            away = abs(float(found - wanted[i]))
            require(
                away < 5 * spread + 1e-6,
                f"at t = {t[i]:.3g} ut regresses to {float(found):.4g} xt, should be "
                f"{float(wanted[i]):.4g} xt",
            )


def _bridged(path: Path) -> Path:
    if path.bridge() is None:
        skip(f"{type(path).__name__} has no bridge: its ends determine it")
    return path

"""A path in numbers: formulas, schedule, speed, and marginals in one dimension.

The data distribution is an even mixture of two Gaussians at -1 and 1 of standard deviation 0.15; x0
and x1 are independent.
"""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from fmcore.interfaces.path import AffinePath, Path
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.schedule import SchedulePath

__all__ = ["PathExplanation", "PathRow"]

DRAWS = 20_000
DATA_WIDTH = 0.15
SEED = 0


@dataclass(frozen=True)
class PathRow:
    """The path at one time; `alpha`, `sigma` and `log_snr` are None unless it is affine.

    `speed` is the root mean square of ut over the pairs.
    """

    t: float
    alpha: float | None
    sigma: float | None
    log_snr: float | None
    speed: float


@final
@dataclass(frozen=True)
class PathExplanation:
    """One path with the name that the user gave."""

    name: str
    path: Path

    @property
    def summary(self) -> str:
        """The docstring of the path's class."""
        return inspect.getdoc(type(self.path)) or ""

    @property
    def formulas(self) -> str:
        """The source code of the methods that define the path."""
        cls = type(self.path)
        names: tuple[str, ...] = ("sample",)
        if isinstance(self.path, SchedulePath):
            names = ("alpha", "sigma")
        elif isinstance(self.path, AffinePath):
            names = ("coefficients",)
        return "\n".join(_body(getattr(cls, name), name) for name in names)

    def rows(self, count: int = 11) -> list[PathRow]:
        """Return the path at `count` times of its interval, ends included."""
        return [self._row(t) for t in self.times(count)]

    def times(self, count: int) -> Tensor:
        """Return `count` times of the interval, ends included, in float64."""
        t = torch.linspace(self.path.t_min, self.path.t_max, count, dtype=torch.float64)
        return t.clamp(self.path.t_min, self.path.t_max)  # linspace may round past the end

    def marginal(self, t: Tensor) -> Tensor:
        """Return `(DRAWS,)` points of the marginal at one time, from the same pairs each time."""
        x0, x1 = self._pairs
        return self.path.sample(x0, x1, t.expand(DRAWS)).xt[:, 0]

    def trajectories(self, times: Tensor, noise: Tensor, data: float) -> Tensor:
        """Return `(times, n)`, the conditional trajectories from the quantiles `noise`, `(n,)` in
        (0, 1), of the noise to the point `data`.
        """
        x0 = self._pairs[0][:, 0].quantile(noise)[:, None]
        x1 = torch.full_like(x0, data)
        return torch.stack([self.path.sample(x0, x1, t.expand(len(x0))).xt[:, 0] for t in times])

    @cached_property
    def _pairs(self) -> tuple[Tensor, Tensor]:
        rows = Rows(SEED, "explain", 0, range(DRAWS))
        x0 = self.path.noise().sample(rows, (1,), dtype=torch.float64)
        side = rows.integers(2, (1,)) * 2.0 - 1
        return x0, side + DATA_WIDTH * rows.normal((1,), torch.float64)

    def _row(self, t: Tensor) -> PathRow:
        x0, x1 = self._pairs
        speed = self.path.sample(x0, x1, t.expand(DRAWS)).ut.square().mean().sqrt()
        if not isinstance(self.path, AffinePath):
            return PathRow(float(t), None, None, None, float(speed))
        c, log_snr = self.path.coefficients(t), self.path.log_snr(t)
        return PathRow(float(t), float(c.alpha), float(c.sigma), float(log_snr), float(speed))


def _body(method: object, name: str) -> str:
    """Return the source code of a method."""
    try:
        lines, _ = inspect.getsourcelines(method)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return f"{name}: the source code is not available"
    return textwrap.dedent("".join(lines)).rstrip()

"""Checks of the laws of `Time`, on one distribution of training times."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from fmcore.interfaces.time import Time
from fmcore.testing.checks import (
    generator,
    require,
    require_close,
    require_equal,
    untouched_randomness,
)
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite
from fmcore.testing.times import shown

__all__ = ["TimeSuite"]

N = 20_000
CELLS = 64

FAR = 2.7 / N**0.5
"""The distance of the distribution functions of N draws and of their law: once in 10^6 larger."""


class TimeSuite(ComponentChecks, Suite):
    """Override `component()` to build the distribution."""

    interface = Time

    def test_samples_are_fractions(self) -> None:
        """`sample(n, generator)` is `(n,)`, float32, on the CPU, in [0, 1]."""
        for n in (1, 7, 512):
            t = self.component().sample(n, generator())
            found = f"{tuple(t.shape)}, {t.dtype}, on {t.device.type}"
            good = tuple(t.shape) == (n,) and t.dtype == torch.float32 and t.device.type == "cpu"
            require(good, f"{n} draws are {found}; should be ({n},), torch.float32, on cpu")
            low, high = float(t.min()), float(t.max())
            require(low >= 0 and high <= 1, f"times run from {low:.4g} to {high:.4g}")

    def test_samples_come_from_the_generator_alone(self) -> None:
        """Equal generators give equal times, another generator others; no global one is used."""
        time = self.component()
        with untouched_randomness("sample"):
            first, again, other = (time.sample(64, generator(seed)) for seed in (0, 0, 1))
        require_equal(again, first, "times from an equal generator")
        require(not torch.equal(first, other), "another generator gives equal times")

    def test_times_cover_the_interval(self) -> None:
        """Each eighth of [0, 1] gets at least a thousandth of the draws."""
        t = self.component().sample(N, generator(5))
        counts = torch.histc(t, bins=8, min=0, max=1) / N
        require(
            bool((counts >= 1e-3).all()),
            f"shares of the times in eighths of the interval: {shown(counts)}: the network learns "
            "nothing where no time is drawn",
        )

    def test_density_is_a_number_for_each_time(self) -> None:
        """`density(t)` has the shape and the dtype of t, is not negative, and is computed element
        by element."""
        time = self.component()
        for dtype, shape in ((torch.float32, (6,)), (torch.float64, (2, 3))):
            t = torch.linspace(0.05, 0.95, 6, dtype=dtype).reshape(shape)
            density = time.density(t)
            found = f"{tuple(density.shape)}, {density.dtype}"
            require(
                density.shape == t.shape and density.dtype == dtype,
                f"the density is {found}; t is {tuple(t.shape)}, {dtype}",
            )
            require(bool((density >= 0).all()), f"the density is {shown(density.flatten())}")
            alone = torch.stack([time.density(one.reshape(1))[0] for one in t.flatten()])
            require_close(
                density.flatten(), alone, "the density together and one by one", rtol=1e-5
            )

    def test_density_integrates_to_1(self) -> None:
        """The integral of the density over [0, 1] is 1."""
        whole = float(_cell_integrals(self.component()).sum())
        require(abs(whole - 1) < 1e-4, f"the density integrates to {whole:.6g}, should be 1")

    def test_samples_have_the_density(self) -> None:
        """The distribution function of the draws is the integral of the density, as a share of its
        whole integral."""
        time = self.component()
        integrals = _cell_integrals(time)
        wanted = integrals.cumsum(0) / integrals.sum()
        ordered = time.sample(N, generator(6)).double().sort().values
        edges = torch.linspace(0, 1, CELLS + 1, dtype=torch.float64)[1:]
        found = torch.searchsorted(ordered, edges, right=True).double() / N
        apart = float((found - wanted).abs().max())
        require(
            apart < FAR,
            f"the distribution functions of {N} draws and of the density differ by {apart:.3g}; "
            f"chance gives {FAR:.3g} once in 10^6",
        )

    def test_parts_of_a_batch_are_drawn_like_the_whole(self) -> None:
        """The parts (k, of) of a batch, drawn separately, together have the distribution of a batch
        drawn at once."""
        time = self.component()
        parts = [time.sample(N // 8, generator(k + 10), (k, 8)) for k in range(8)]
        shapes = {tuple(part.shape) for part in parts}
        require(shapes == {(N // 8,)}, f"parts of {N // 8} draws have the shapes {shapes}")
        together, whole = torch.cat(parts).sort().values, time.sample(N, generator(9)).sort().values
        grid = torch.linspace(0, 1, 257)
        apart = [torch.searchsorted(t, grid).double() / N for t in (together, whole)]
        far = float((apart[0] - apart[1]).abs().max())
        require(
            far < FAR * math.sqrt(2),
            f"the distribution functions of 8 parts and of the whole differ by {far:.3g}",
        )


def _cell_integrals(time: Time) -> Tensor:
    """Return the integrals of the density over CELLS equal cells of [0, 1], in float64."""
    nodes, weights = _tanh_sinh()
    width = 1 / CELLS
    left = torch.arange(CELLS, dtype=torch.float64)[:, None] * width
    t = (left + nodes * width).clamp(0, 1)
    density = time.density(t.flatten()).reshape(t.shape)
    # at an end where the density is infinite the weight is below its rounding
    return (density.nan_to_num(0, 0, 0) * weights).sum(1) * width


@cache
def _tanh_sinh() -> tuple[Tensor, Tensor]:
    """Return nodes in (0, 1) and weights of the tanh-sinh rule, which integrates functions that are
    infinite at the ends of a cell.  Source: Takahasi and Mori 1974.
    """
    step = 1 / 16
    k = torch.arange(-56, 57, dtype=torch.float64) * step
    inner = math.pi / 2 * k.sinh()
    nodes = torch.sigmoid(2 * inner)  # (1 + tanh) / 2, without cancellation near 0
    weights = step * math.pi / 4 * k.cosh() / inner.cosh() ** 2
    return nodes, weights

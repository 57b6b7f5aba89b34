"""Distances and kernel means against exact arithmetic, where expansions lose digits."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from fmcore_metrics.distances import WIDE, distances
from fmcore_metrics.energy_distance import EnergyDistance
from fmcore_metrics.mmd import KernelMeans, squared_mmd_of

WIDTHS = [1, 3, WIDE + 1, 300]


def normal(rows: int, width: int, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=random, dtype=torch.float64)


def by_hand(x: Tensor, y: Tensor) -> Tensor:
    pairs = [[math.dist(a, b) for b in y.tolist()] for a in x.tolist()]
    return torch.tensor(pairs, dtype=torch.float64)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_distances_are_those_of_the_definition_at_any_offset(width: int, offset: float) -> None:
    x, y = normal(40, width) + offset, normal(30, width, seed=1) + offset
    torch.testing.assert_close(distances(x, y), by_hand(x, y), rtol=1e-7, atol=0)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_equal_rows_are_at_distance_0(width: int, offset: float) -> None:
    x = (normal(40, width) + offset).float()
    assert (distances(x, x).diagonal() == 0).all()
    assert (distances(x[:1].expand(30, -1), x[:1].expand(50, -1)) == 0).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_an_outlier_costs_the_other_rows_no_digits(width: int) -> None:
    x = normal(40, width)
    y = torch.cat([x, torch.full((1, width), 1e18).double()])
    torch.testing.assert_close(distances(x, y)[:, :-1], by_hand(x, x), rtol=1e-7, atol=0)


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def energy(fake: list[float], real: list[float]) -> Fraction:
    """Return the unbiased energy distance of numbers, without rounding."""
    x, y, n = [Fraction(v) for v in fake], [Fraction(v) for v in real], len(fake)

    def total(a: list[Fraction], b: list[Fraction]) -> Fraction:
        return sum((abs(p - q) for p in a for q in b), Fraction())

    within = total(x, x) + total(y, y)
    return 2 * total(x, y) / n**2 - within / (n * (n - 1))


@pytest.mark.parametrize("far", [1e3, 1e8, 1e16, 1e20, 1e30])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_the_energy_distance_keeps_its_digits_with_an_outlier(far: float, offset: float) -> None:
    """An outlier of the data cancels out of the estimate, and must leave no rounding error."""
    fake = [offset + v for v in (1.5, 0.25, 1.0, 2.0, 0.75)]
    real = [offset + v for v in (far, 0.0, 0.5, 4.0, 1.0)]
    found = EnergyDistance().distance(column(fake), column(real), 0)
    assert found == pytest.approx(float(energy(fake, real)), rel=1e-9)


def test_the_energy_distance_is_the_sum_over_all_pairs() -> None:
    fake, real = normal(70, 1)[:, 0].tolist(), (1e4 + normal(70, 1, 1)[:, 0]).tolist()
    found = EnergyDistance().distance(column(fake), column(real), 0)
    assert found == pytest.approx(float(energy(fake, real)), rel=1e-12)


def test_the_bound_leaves_the_unbiased_estimate_alone_up_to_a_wide_spread() -> None:
    real = KernelMeans(itself=2.0, pairs=1.0)
    for spread in (0.1, 1.0, 4.5):
        fake = KernelMeans(itself=1 + spread, pairs=1.0)
        least = (1 + 1 + (spread + 1) / 50) / 2  # where the biased estimate is 0
        assert squared_mmd_of(fake, real, least, 50) == 2 - 2 * least


def test_the_bound_grows_with_the_spread_of_the_samples() -> None:
    real = KernelMeans(itself=2.0, pairs=1.0)
    fake = KernelMeans(itself=1e9, pairs=1.0)
    assert squared_mmd_of(fake, real, 1.0, 50) == pytest.approx((1e9 - 11) / 50)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_means_that_are_not_finite_give_nan(bad: float) -> None:
    good = KernelMeans(itself=2.0, pairs=1.0)
    assert math.isnan(squared_mmd_of(KernelMeans(itself=2.0, pairs=bad), good, 1.0, 5))
    assert math.isnan(squared_mmd_of(good, good, bad, 5))

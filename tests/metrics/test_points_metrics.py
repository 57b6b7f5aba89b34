"""Distances between sets of points against known values."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from scipy.stats import energy_distance as energy_of_scipy
from torch import Tensor

from fmcore import ComponentError, DataError
from fmcore.interfaces.metric import MetricBatch
from fmcore_metrics.coverage import Coverage
from fmcore_metrics.energy_distance import EnergyDistance
from fmcore_metrics.sliced_wasserstein import SlicedWasserstein
from fmcore_metrics.wasserstein2 import Wasserstein2

from .conftest import Evaluate, Pictures, Points, Stream, measured

ALL = [Wasserstein2, SlicedWasserstein, EnergyDistance, Coverage]


def normal(rows: int, seed: int, width: int = 2) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=random, dtype=torch.float64)


def test_a_shift_moves_every_point_by_itself() -> None:
    x = normal(60, 0)
    shift = torch.tensor([3.0, 4.0]).double()
    assert Wasserstein2().distance(x + shift, x, 0) == pytest.approx(5)
    turned = SlicedWasserstein(directions=4000).distance(x + shift, x, 0)
    assert turned == pytest.approx(5 / math.sqrt(2), rel=0.02)  # the mean square of a cosine


def test_the_assignment_is_the_best_one() -> None:
    """Against POT, whose solver is a network flow."""
    ot = pytest.importorskip("ot")
    x, y = normal(40, 0), 0.5 + 2 * normal(40, 1)
    cost = torch.cdist(x, y).square().numpy()
    expected = ot.emd2([], [], cost) ** 0.5
    assert Wasserstein2().distance(x, y, 0) == pytest.approx(expected, rel=1e-9)


def test_the_exact_distance_in_one_dimension_is_the_sliced_one() -> None:
    x, y = normal(50, 0, 1), 2 * normal(50, 1, 1)
    exact = Wasserstein2().distance(x, y, 0)
    assert SlicedWasserstein(directions=3).distance(x, y, 0) == pytest.approx(exact)


def test_the_energy_distance_is_scipys_without_its_bias() -> None:
    x, y = normal(30, 0, 1), 1 + normal(30, 1, 1)
    biased = energy_of_scipy(x[:, 0].numpy(), y[:, 0].numpy()) ** 2
    apart = (torch.cdist(x, x).sum() + torch.cdist(y, y).sum()) * (1 / 30**2 - 1 / (30 * 29))
    found = EnergyDistance().distance(x, y, 0)
    assert found == pytest.approx(biased + float(apart), rel=1e-9)


def test_the_energy_distance_of_one_distribution_is_zero_on_average() -> None:
    values = [
        EnergyDistance().distance(normal(20, 2 * i), normal(20, 2 * i + 1), 0) for i in range(200)
    ]
    mean = torch.tensor(values).mean()
    assert abs(mean) < 3 * torch.tensor(values).std() / 200**0.5
    assert min(values) < 0


def test_coverage_counts_the_data_points_that_samples_reach() -> None:
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]).double()
    fake = torch.tensor([[0.5], [0.5], [1.5], [1.5], [0.9], [30.0]]).double()
    assert Coverage(neighbours=1).distance(fake, real, 0) == pytest.approx(0.5)
    assert Coverage(neighbours=1).distance(real, real, 0) == 1


@pytest.mark.parametrize("metric", ALL)
def test_samples_from_the_data_score_like_the_data(metric: Any, evaluation: Evaluate) -> None:
    data = Points(length=300)
    given = evaluation(data)
    rows = Stream(data).rows(range(300))  # the train split, as samples
    (found,) = measured(metric(), given, rows).values()
    assert found.value == pytest.approx(found.details["data_against_data"], rel=1e-6)
    far = replace(rows, x=rows.x + 2)  # type: ignore[operator]
    (worse,) = measured(metric(), given, far).values()
    if metric is Coverage:
        assert worse.value < found.value
    else:
        assert worse.value > found.value


@pytest.mark.parametrize("metric", ALL)
def test_provenance_holds_what_was_compared(metric: Any, evaluation: Evaluate) -> None:
    data = Points(length=60)
    given = evaluation(data, seed=3)
    (found,) = measured(metric(points=40), given, Stream(data).rows(range(50))).values()
    made = found.provenance
    assert (made["count"], made["reference_split"], made["seed"]) == (40, "test", 3)
    assert made["reference_data"] == given.data.fingerprint


@pytest.mark.parametrize("metric", ALL)
def test_images_are_refused_with_the_reason(metric: Any, evaluation: Evaluate) -> None:
    with pytest.raises(ComponentError, match="use metric 'fd_lite0'"):
        metric().check(Pictures(), evaluation(Points()).path)


@pytest.mark.parametrize("metric", ALL)
def test_bad_samples_are_refused(metric: Any, evaluation: Evaluate) -> None:
    given = evaluation(Points())
    with pytest.raises(DataError, match="at least 2 points to compare, got 1"):
        measured(metric(), given, Stream(Points()).rows([0]))
    with pytest.raises(
        DataError, match=r"shape \(3,\) cannot be compared with data of shape \(2,\)"
    ):
        measured(metric(), given, MetricBatch(torch.arange(2), torch.zeros(2, 3), None))
    with pytest.raises(DataError, match="not finite"):
        measured(metric(), given, MetricBatch(torch.arange(2), torch.full((2, 2), torch.inf), None))
    with pytest.raises(DataError, match="without their points"):
        measured(metric(), given, MetricBatch(torch.arange(2), None, None))


def test_more_neighbours_than_points_are_refused() -> None:
    with pytest.raises(ComponentError, match="5 points have no 5 neighbours"):
        Coverage(points=5)

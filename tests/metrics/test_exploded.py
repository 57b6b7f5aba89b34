"""No metric rates exploded samples as good ones."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from fmcore import DataError
from fmcore_metrics import log_likelihood
from fmcore_metrics.bits_per_dim import BitsPerDim
from fmcore_metrics.chunks import in_chunks
from fmcore_metrics.coverage import Coverage
from fmcore_metrics.energy_distance import EnergyDistance
from fmcore_metrics.isc import _score
from fmcore_metrics.kernel import squared_mmd
from fmcore_metrics.moments import Moments, frechet_distance
from fmcore_metrics.nll import NLL
from fmcore_metrics.sliced_wasserstein import SlicedWasserstein
from fmcore_metrics.wasserstein2 import Wasserstein2
from fmcore_solvers.euler import Euler

from .conftest import Evaluate, Pictures, Points, Stream, measured

DISTANCES = [Wasserstein2, SlicedWasserstein, EnergyDistance]
EXPLODED = [1e8, 1e18, 1e20, 1e30, 3e38]
NOT_FINITE = [math.inf, -math.inf, math.nan]


def normal(rows: int, width: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=random, dtype=torch.float64)


def with_first(x: Tensor, value: float) -> Tensor:
    changed = x.clone()
    changed[0] = value
    return changed


def frechet(fake: Tensor, real: Tensor) -> float:
    return frechet_distance(Moments.of(fake), Moments.of(real))


@pytest.mark.parametrize("metric", DISTANCES)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sign", [1, -1])
def test_a_distance_grows_with_one_exploded_sample(metric: Any, seed: int, sign: int) -> None:
    """The other samples are of the data's own distribution."""
    real, fake = normal(60, 2, 0), normal(60, 2, seed + 1)
    values = [
        metric().distance(with_first(fake, sign * size) if size else fake, real, 0)
        for size in (0, *EXPLODED)
    ]
    assert values == sorted(values)
    assert values[1] > values[0] + 1e3


@pytest.mark.parametrize("distance", [frechet, squared_mmd])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sign", [1, -1])
def test_a_distance_of_features_grows_with_one_exploded_row(
    distance: Any, seed: int, sign: int
) -> None:
    real, fake = normal(40, 3, 0), normal(40, 3, seed + 1)
    values = [
        distance(with_first(fake, sign * size) if size else fake, real) for size in (0, *EXPLODED)
    ]
    assert values == sorted(values)
    assert values[1] > values[0] + 1e3


@pytest.mark.parametrize("size", EXPLODED)
def test_coverage_does_not_grow_with_exploded_samples(size: float) -> None:
    real, fake = normal(60, 2, 0), normal(60, 2, 1)
    clean = Coverage().distance(fake, real, 0)
    assert Coverage().distance(with_first(fake, size), real, 0) <= clean
    assert Coverage().distance(torch.full_like(fake, size), real, 0) == 0


@pytest.mark.parametrize("metric", [*DISTANCES, Coverage])
@pytest.mark.parametrize("value", NOT_FINITE)
def test_points_that_are_not_finite_have_no_distance(metric: Any, value: float) -> None:
    real, fake = normal(20, 2, 0), normal(20, 2, 1)
    assert math.isnan(metric().distance(with_first(fake, value), real, 0))
    assert math.isnan(metric().distance(fake, with_first(real, value), 0))


@pytest.mark.parametrize("distance", [frechet, squared_mmd])
@pytest.mark.parametrize("value", NOT_FINITE)
def test_features_that_are_not_finite_have_no_distance(distance: Any, value: float) -> None:
    real, fake = normal(20, 3, 0), normal(20, 3, 1)
    assert math.isnan(distance(with_first(fake, value), real))


@pytest.mark.parametrize("metric", [*DISTANCES, Coverage])
def test_a_note_counts_exploded_samples(metric: Any, evaluation: Evaluate) -> None:
    data = Points(length=80)
    rows = Stream(data).rows(range(50))
    assert rows.x is not None
    (clean,) = measured(metric(), evaluation(data), rows).values()
    assert "note" not in clean.details
    far = replace(rows, x=with_first(rows.x, 1e18))
    (found,) = measured(metric(), evaluation(data), far).values()
    assert found.details["note"].startswith("1 of 50 samples lie over 1000 times as far")


@pytest.mark.parametrize("metric", [*DISTANCES, Coverage])
def test_samples_beyond_float32_are_refused(metric: Any, evaluation: Evaluate) -> None:
    rows = Stream(Points()).rows(range(10))
    assert rows.x is not None
    far = replace(rows, x=with_first(rows.x.double(), 1e200))
    with pytest.raises(DataError, match="1 of 10 samples hold values that are not finite"):
        measured(metric(), evaluation(Points()), far)


@pytest.mark.parametrize("metric", [*DISTANCES, Coverage])
def test_data_that_are_not_finite_are_refused(metric: Any, evaluation: Evaluate) -> None:
    data = Points(width=math.inf)
    rows = Stream(Points()).rows(range(10))
    with pytest.raises(DataError, match="'test' of Points holds values that are not finite"):
        measured(metric(), evaluation(data), rows)


def test_an_extractor_with_corrupt_weights_is_refused() -> None:
    def network(x: Tensor) -> dict[str, Tensor]:
        return {"3": x.flatten(1).float() * math.nan}

    extractor = in_chunks(network, torch.device("cpu"), 4)
    with pytest.raises(DataError, match="not finite: its weights are corrupt"):
        extractor(torch.zeros(2, 1, 1, 3, dtype=torch.uint8))


@pytest.mark.parametrize("confidence", [1.0, 1e3, 1e18])
def test_the_inception_score_of_certain_classes_is_their_number(confidence: float) -> None:
    """Also where the mean probability of the classes that do not occur underflows to 0."""
    logits = confidence * 40 * torch.eye(8, 20, dtype=torch.float64)
    assert _score(logits) == pytest.approx(8, rel=1e-6)


def log_prob_of(values: list[float]) -> Any:
    def log_prob(field: Any, x1: Tensor, **_: Any) -> Any:
        return SimpleNamespace(
            log_prob=torch.tensor(values, dtype=torch.float64),
            error=None,
            stats=SimpleNamespace(nfe=torch.full((len(x1),), 6)),
            status=torch.zeros(len(x1)),
        )

    return log_prob


LIKELIHOODS = [("nll", NLL, Points()), ("bits_per_dim", BitsPerDim, Pictures())]


@pytest.mark.parametrize(("name", "metric", "data"), LIKELIHOODS)
@pytest.mark.parametrize("value", [1e18, 1e20, math.inf, math.nan])
def test_an_impossibly_large_density_is_no_likelihood(
    name: str,
    metric: Any,
    data: Any,
    value: float,
    evaluation: Evaluate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_likelihood, "log_prob", log_prob_of([value, -2.0, -3.0]))
    found = measured(metric(solver=Euler(steps=2)), evaluation(data), Stream(data).rows(range(3)))
    assert math.isnan(found[name].value)
    assert found[name].details["not_finite"] == 1


@pytest.mark.parametrize(("name", "metric", "data"), LIKELIHOODS)
@pytest.mark.parametrize("value", [-1e18, -1e20, -math.inf])
def test_a_density_of_nearly_0_is_a_bad_likelihood(
    name: str,
    metric: Any,
    data: Any,
    value: float,
    evaluation: Evaluate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_likelihood, "log_prob", log_prob_of([value, -2.0, -3.0]))
    found = measured(metric(solver=Euler(steps=2)), evaluation(data), Stream(data).rows(range(3)))
    assert found[name].value > 1e14


def test_negative_bits_carry_a_note(evaluation: Evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Pictures()
    monkeypatch.setattr(log_likelihood, "log_prob", log_prob_of([500.0, 400.0, 300.0]))
    found = measured(
        BitsPerDim(solver=Euler(steps=2)), evaluation(data), Stream(data).rows([0, 1, 2])
    )
    assert found["bits_per_dim"].value < 0
    assert found["bits_per_dim"].details["note"].startswith("negative")

"""The standard error and the extrapolation of a Frechet distance, for known distributions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fmcore import DataError
from fmcore_metrics.feature_metric import FeatureSets
from fmcore_metrics.frechet import _line, frechet_results
from fmcore_metrics.reference import Reference

from .conftest import Evaluate, Points

WIDTH = 6


def sets_of(evaluation: Evaluate, fake: Tensor, seed: int = 0) -> FeatureSets:
    data = Points(dimension=WIDTH, length=20_000)
    real = Reference(data, lambda x: x, {"extractor": "itself"})
    return FeatureSets(fake, real, evaluation(data, seed=seed), None)


def normal(rows: int, seed: int) -> Tensor:
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(seed))


def results(evaluation: Evaluate, fake: Tensor, seed: int = 0, **options: Any) -> dict[str, Any]:
    options = {"bootstrap": 0, "extrapolate": False, **options}
    return frechet_results("fd", sets_of(evaluation, fake, seed), **options)


def test_the_bootstrap_error_is_the_spread_of_repeated_measurements(evaluation: Evaluate) -> None:
    fakes = [0.5 + normal(400, seed) for seed in range(1, 41)]
    values = torch.tensor([results(evaluation, fake)["fd"].value for fake in fakes])
    error = results(evaluation, fakes[0], bootstrap=50)["fd"].error
    assert error == pytest.approx(float(values.std()), rel=0.4)


def test_the_extrapolated_distance_is_nearer_the_truth(evaluation: Evaluate) -> None:
    """Both sets are of one distribution: the true distance is 0, which 200 samples overestimate."""
    plain, limit = [], []
    for seed in range(1, 11):
        found = results(evaluation, normal(200, seed), extrapolate=True)
        plain.append(found["fd"].value)
        limit.append(found["fd_infinity"].value)
        assert found["fd_infinity"].details["slope"] > 0
    bias, left = torch.tensor(plain).mean(), torch.tensor(limit).mean()
    assert bias > 0.08
    assert abs(left) < bias / 3


def test_both_are_functions_of_the_seed(evaluation: Evaluate) -> None:
    fake = normal(100, 1)
    options = {"bootstrap": 5, "extrapolate": True}
    first, again = (results(evaluation, fake, **options) for _ in range(2))
    other = results(evaluation, fake, seed=1, **options)
    # LAPACK promises no equal bits between two calls, so equal numbers are compared within 1e-9.
    for found in (lambda r: r["fd"].error, lambda r: r["fd_infinity"].value):
        assert found(again) == pytest.approx(found(first), rel=1e-9)
        assert found(other) != pytest.approx(found(first), rel=1e-3)
    assert other["fd"].value == pytest.approx(first["fd"].value, rel=1e-9)


def test_the_extrapolation_is_the_least_squares_line() -> None:
    points = [(0.1, 2.0), (0.2, 1.0), (0.4, 3.0)]  # means (7/30, 2); slope (1/5) / (7/150)
    assert _line(points) == pytest.approx((1, 30 / 7), rel=1e-12)
    assert len({_line(points) for _ in range(100)}) == 1


def test_two_samples_are_too_few_to_extrapolate(evaluation: Evaluate) -> None:
    with pytest.raises(DataError, match="extrapolate needs at least 3 samples, got 2"):
        results(evaluation, normal(2, 1), extrapolate=True)


def test_neither_is_computed_by_default(evaluation: Evaluate) -> None:
    found = results(evaluation, normal(50, 1))
    assert set(found) == {"fd"}
    assert found["fd"].error is None

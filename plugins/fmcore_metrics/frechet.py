"""A Frechet distance, its standard error and its extrapolation to infinitely many samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import linear_regression
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge

from fmcore import ComponentError, DataError, Result, generator_for
from fmcore_metrics.feature_metric import FeatureMetric, FeatureSets
from fmcore_metrics.moments import Moments, frechet_distance
from fmcore_metrics.reference import Content

__all__ = ["FrechetMetric", "frechet_results"]

SIZES = 15
"""The number of sample sizes through which the extrapolation fits a line."""


@dataclass(frozen=True)
class FrechetMetric(FeatureMetric):
    """The Frechet distance of two sets of features.

    `bootstrap` is the number of resamplings of the samples for a standard error: 0 for none, else
    at least 2.  `extrapolate` adds the distance extrapolated to infinitely many samples.
    """

    content: ClassVar[Content] = "moments"

    bootstrap: Annotated[int, Ge(0)] = 0
    extrapolate: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bootstrap == 1:
            raise ComponentError(
                f"{self.name}: bootstrap must be 0 or at least 2, got 1: a standard error needs "
                "two values"
            )

    def compare(self, sets: FeatureSets) -> dict[str, Result]:
        return frechet_results(self.name, sets, self.bootstrap, self.extrapolate)


def frechet_results(
    name: str, sets: FeatureSets, bootstrap: int, extrapolate: bool
) -> dict[str, Result]:
    """Return the distance under `name`, and the extrapolated one under `name_infinity`.

    Few samples give a larger distance: the bias falls with 1/count, so the extrapolated value is
    the intercept of a line through the distances of random parts of the samples against 1/count.
    Both methods leave the reference unchanged.  Source: Chong & Forsyth 2020, "Effectively unbiased
    FID and Inception Score".  Raises DataError where 2 samples are to be extrapolated.
    """
    real = sets.real.moments(sets.evaluation.cache, sets.file)
    value = frechet_distance(Moments.of(sets.fake), real)
    error = _bootstrap_error(sets, real, bootstrap) if bootstrap else None
    provenance: dict[str, Any] = {"bootstrap": bootstrap} if bootstrap else {}
    results = {name: Result(value, error, provenance, details=_bias(sets))}
    if extrapolate:
        if len(sets.fake) < 3:
            raise DataError(f"{name}: option extrapolate needs at least 3 samples, got 2")
        limit, slope = _line(list(_distance_by_size(sets, real)))
        details = {"slope": slope, "sizes": SIZES, **_bias(sets)}
        seed = {"extrapolated_with_seed": sets.evaluation.seed}
        results[f"{name}_infinity"] = Result(limit, None, seed, details=details)
    return results


def _bootstrap_error(sets: FeatureSets, real: Moments, bootstrap: int) -> float:
    count, seed = len(sets.fake), sets.evaluation.seed
    values = []
    for b in range(bootstrap):
        drawn = torch.randint(count, (count,), generator=generator_for(seed, "bootstrap", b))
        times = torch.bincount(drawn, minlength=count)
        values.append(frechet_distance(Moments.of(sets.fake, times), real))
    return float(torch.tensor(values, dtype=torch.float64).std())


def _bias(sets: FeatureSets) -> dict[str, Any]:
    """Return a warning where there are fewer rows than features."""
    fewest, width = min(len(sets.fake), sets.real.length), sets.fake.shape[1]
    if fewest >= width:
        return {}
    return {"biased": f"only {fewest} rows for {width} features: a covariance of lower rank"}


def _distance_by_size(sets: FeatureSets, real: Moments) -> Iterator[tuple[float, float]]:
    """Yield 1/count and the distance of random parts of the samples, from a quarter to all."""
    count, seed = len(sets.fake), sets.evaluation.seed
    for i in range(SIZES):
        size = max(2, round(count * (0.25 + 0.75 * i / (SIZES - 1))))
        order = torch.randperm(count, generator=generator_for(seed, "extrapolate", i))
        yield 1 / size, frechet_distance(Moments.of(sets.fake[order[:size]]), real)


def _line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the intercept and the slope of the least-squares line; NaN for values not finite."""
    x, y = zip(*points, strict=True)
    if not all(map(math.isfinite, y)):
        return math.nan, math.nan
    # Not torch.linalg.lstsq: its default CPU driver passes LAPACK an uninitialised pivot array, so
    # that equal calls may differ in the last digits (pytorch/pytorch#71222).
    slope, intercept = linear_regression(x, y)
    return intercept, slope

"""A Frechet distance with what there is to say about its certainty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import linear_regression
from typing import Any, final

import torch

from fmcore import DataError, Result, generator_for
from fmcore_metrics.feature_metric import Compared
from fmcore_metrics.moments import Moments, frechet_distance

__all__ = ["Frechet"]

SIZES = 15
"""How many sizes of sample set the extrapolation draws a line through."""


@final
@dataclass(frozen=True)
class Frechet:
    """The distance of two sets; a standard error from `bootstrap` resamplings of the samples, if
    any; and the distance that infinitely many samples would have, if `extrapolate`.

    Few samples look farther away than they are: the bias falls like 1/count, so a line through the
    distances of parts of the samples, against 1/count, is read off at 0.  The reference is taken as
    it is in both.  Source: Chong & Forsyth 2020, "Effectively unbiased FID and Inception Score".
    """

    bootstrap: int
    extrapolate: bool

    def results(self, name: str, sets: Compared) -> dict[str, Result]:
        """Under `name`, and `name_infinity` if extrapolated."""
        real = sets.real.moments(sets.evaluation.cache, sets.file)
        value = frechet_distance(Moments.of(sets.fake), real)
        error = self._error(sets, real) if self.bootstrap else None
        made: dict[str, Any] = {"bootstrap": self.bootstrap} if self.bootstrap else {}
        found = {name: Result(value, error, made, details=_bias(sets))}
        if self.extrapolate:
            if len(sets.fake) < 3:
                raise DataError(f"{name}: option extrapolate needs at least 3 samples, got 2")
            limit, slope = _line(list(_by_size(sets, real)))
            details = {"slope": slope, "sizes": SIZES, **_bias(sets)}
            seed = {"extrapolated_with_seed": sets.evaluation.seed}
            found[f"{name}_infinity"] = Result(limit, None, seed, details=details)
        return found

    def _error(self, sets: Compared, real: Moments) -> float:
        count, seed = len(sets.fake), sets.evaluation.seed
        values = []
        for b in range(self.bootstrap):
            drawn = torch.randint(count, (count,), generator=generator_for(seed, "bootstrap", b))
            times = torch.bincount(drawn, minlength=count)
            values.append(frechet_distance(Moments.of(sets.fake, times), real))
        return float(torch.tensor(values, dtype=torch.float64).std())


def _bias(sets: Compared) -> dict[str, Any]:
    """A word where there are too few rows to trust the number."""
    fewest, width = min(len(sets.fake), sets.real.length), sets.fake.shape[1]
    if fewest >= width:
        return {}
    return {"biased": f"only {fewest} rows for {width} features: a covariance of lower rank"}


def _by_size(sets: Compared, real: Moments) -> Iterator[tuple[float, float]]:
    """1/count and distance of random parts of the samples, from a quarter of them to all."""
    count, seed = len(sets.fake), sets.evaluation.seed
    for i in range(SIZES):
        size = max(2, round(count * (0.25 + 0.75 * i / (SIZES - 1))))
        order = torch.randperm(count, generator=generator_for(seed, "extrapolate", i))
        yield 1 / size, frechet_distance(Moments.of(sets.fake[order[:size]]), real)


def _line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the intercept and the slope of the least-squares line through `points`."""
    # Not torch.linalg.lstsq: its default CPU driver passes LAPACK an uninitialised pivot array, so
    # that equal calls may differ in the last digits (pytorch/pytorch#71222).
    slope, intercept = linear_regression(*zip(*points, strict=True))
    return intercept, slope

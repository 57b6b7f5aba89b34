"""A metric that compares generated points with points of the data."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, final

from annotated_types import Ge
from torch import Tensor

from fmcore import (
    ComponentError,
    DataError,
    Dataset,
    Evaluation,
    MetricBatch,
    Path,
    Result,
    RowMetric,
    RowValues,
)
from fmcore_metrics.reference import ReferenceSplit, evenly
from fmcore_metrics.rgb import require_finite

__all__ = ["PointsMetric"]

EXPLODED = 1000
"""How many times as far from the data's mean as any data point an exploded sample is."""


@dataclass(frozen=True)
class PointsMetric(RowMetric):
    """The first `points` samples are compared with as many points of the split `reference`, evenly
    spread; fewer if either has fewer.

    `data_against_data` in the details is the value of the other split of the data, measured in the
    same way: the best that a model can be expected to reach.  A `note` in the details counts
    samples that lie more than 1000 times as far from the data's mean as any data point.
    """

    points: Annotated[int, Ge(2)] = field(default=2000, kw_only=True)
    reference: ReferenceSplit = field(default="test", kw_only=True)

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the metric and of its result."""

    @abstractmethod
    def compare(self, fake: Tensor, real: Tensor, seed: int) -> float:
        """Return the value for two sets of finite points, `(count, d)` each, float64."""

    @final
    def distance(self, fake: Tensor, real: Tensor, seed: int) -> float:
        """Return the value for two sets of points, `(count, d)` each; NaN if any is not finite.

        Raises DataError for other shapes.
        """
        if fake.ndim != 2 or fake.shape != real.shape or len(fake) < 2:
            raise DataError(
                f"{self.name} compares two sets of points of one shape (count, d), count at least "
                f"2; got {tuple(fake.shape)} and {tuple(real.shape)}"
            )
        if not (fake.isfinite().all() and real.isfinite().all()):
            return math.nan
        return self.compare(fake.double(), real.double(), seed)

    @final
    def check(self, data: Dataset, path: Path) -> None:
        if data.levels is not None:
            raise ComponentError(
                f"{self.name} compares points by their distance; {type(data).__name__} gives "
                "images, where the distance of pixels is no measure of quality: use metric "
                "'fd_lite0'"
            )

        if not data.space.flat:
            raise ComponentError(
                f"{self.name} measures distances in R^n, and the data are points of "
                f"{type(data.space).__name__}: use metric 'nll', 'torsion_jsd', 'token_bound' or "
                "'structure'"
            )

    @final
    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        if batch.x is None:
            raise DataError(f"{self.name}: the samples came without their points")
        if tuple(batch.x.shape[1:]) != tuple(evaluation.data.shape):
            raise DataError(
                f"{self.name}: samples of shape {tuple(batch.x.shape[1:])} cannot be compared "
                f"with data of shape {tuple(evaluation.data.shape)}"
            )
        # Checked after the cast, as a float64 beyond float32's range becomes infinite.
        x = batch.x.float()
        require_finite(replace(batch, x=x), self.name)
        return {"x": x.flatten(1).cpu()}

    @final
    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        data = evaluation.data.with_split(self.reference)
        count = min(len(rows), self.points, data.length)
        if count < 2:
            raise DataError(f"{self.name} needs at least 2 points to compare, got {count}")
        fake, real = rows["x"][:count].double(), self._points(data, count)
        value = self.distance(fake, real, evaluation.seed)
        provenance = {
            "count": count,
            "reference_split": data.split,
            "reference_data": data.fingerprint,
            "seed": evaluation.seed,
        }
        details = {**self._data_against_data(real, evaluation), **_exploded(fake, real)}
        return {self.name: Result(value, None, provenance, details=details)}

    def _data_against_data(self, real: Tensor, evaluation: Evaluation) -> dict[str, float]:
        other = evaluation.data.with_split("train" if self.reference == "test" else "test")
        if other.length < len(real):
            return {}
        value = self.distance(self._points(other, len(real)), real, evaluation.seed)
        return {"data_against_data": value}

    def _points(self, data: Dataset, count: int) -> Tensor:
        """Return `count` points of `data`, evenly spread, `(count, d)`, float64."""
        points = data.batch(evenly(count, data.length))["x1"].flatten(1).double()
        if not points.isfinite().all():
            raise DataError(
                f"{self.name}: the split '{data.split}' of {type(data).__name__} holds values that "
                "are not finite"
            )
        return points


def _exploded(fake: Tensor, real: Tensor) -> dict[str, str]:
    """Return a note on samples far outside of the data; none where all data points are equal."""
    centre = real.mean(0)
    limit = EXPLODED * (real - centre).norm(dim=1).max()
    far = int(((fake - centre).norm(dim=1) > limit).sum())
    if not far or not limit:
        return {}
    return {
        "note": f"{far} of {len(fake)} samples lie over {EXPLODED} times as far from the data's "
        "mean as any data point"
    }

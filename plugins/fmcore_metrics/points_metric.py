"""A metric that compares generated points with points of the data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, final

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
    Rows,
)
from fmcore_metrics.reference import ReferenceSplit, evenly
from fmcore_metrics.rgb import require_finite

__all__ = ["PointsMetric"]


@dataclass(frozen=True)
class PointsMetric(RowMetric):
    """The first `points` samples are compared with as many points of the split `reference`, evenly
    spread; fewer if either has fewer.

    `data_against_data` in the details is what the other split of the data scores, measured so: no
    model need do better.
    """

    points: Annotated[int, Ge(2)] = field(default=2000, kw_only=True)
    reference: ReferenceSplit = field(default="test", kw_only=True)

    @property
    @abstractmethod
    def name(self) -> str:
        """What the metric is called."""

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Its own options that change a value, for the provenance."""

    @abstractmethod
    def distance(self, fake: Tensor, real: Tensor, seed: int) -> float:
        """Between two sets of points, `(count, d)` each, float64."""

    @final
    def check(self, data: Dataset, path: Path) -> None:
        if data.levels is not None:
            raise ComponentError(
                f"{self.name} compares points by their distance; {type(data).__name__} gives "
                "images, whose pixels say little so: use metric 'fd_lite0'"
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
        require_finite(batch, self.name)
        return {"x": batch.x.flatten(1).float().cpu()}

    @final
    def conclude(self, rows: Rows, evaluation: Evaluation) -> dict[str, Result]:
        data = evaluation.data.with_split(self.reference)
        count = min(len(rows), self.points, data.length)
        if count < 2:
            raise DataError(f"{self.name} needs at least 2 points to compare, got {count}")
        real = _points(data, count)
        value = self.distance(rows["x"][:count].double(), real, evaluation.seed)
        made = {
            "count": count,
            "reference_split": data.split,
            "reference_data": data.fingerprint,
            "seed": evaluation.seed,
            **self.settings,
        }
        return {self.name: Result(value, None, made, details=self._floor(real, evaluation))}

    def _floor(self, real: Tensor, evaluation: Evaluation) -> dict[str, float]:
        other = evaluation.data.with_split("train" if self.reference == "test" else "test")
        if other.length < len(real):
            return {}
        value = self.distance(_points(other, len(real)), real, evaluation.seed)
        return {"data_against_data": value}


def _points(data: Dataset, count: int) -> Tensor:
    return data.batch(evenly(count, data.length))["x1"].flatten(1).double()

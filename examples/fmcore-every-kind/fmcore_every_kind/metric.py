"""The distance between the means of the samples and the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from fmcore import (
    ComponentError,
    Dataset,
    Evaluation,
    MetricBatch,
    Path,
    Result,
    RowMetric,
    RowValues,
)
from torch import Tensor

__all__ = ["EveryMetric"]


@final
@dataclass(frozen=True)
class EveryMetric(RowMetric):
    """The Euclidean distance between the mean of the samples and the mean of the data.

    For continuous data.  `measure` returns what to keep of each row, `conclude` the result.
    """

    def check(self, data: Dataset, path: Path) -> None:
        if data.levels is not None:
            raise ComponentError("metric 'every_metric' is for continuous data, not for images")

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        if batch.x is None or batch.x.shape[1:] != evaluation.data.shape:
            raise ComponentError("metric 'every_metric' needs samples of the data's shape")
        return {"x": batch.x.flatten(1).double().cpu()}

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if len(rows) == 0:
            raise ComponentError("metric 'every_metric' needs at least one sample")
        data = evaluation.data
        wanted = data.batch(range(data.length))["x1"].flatten(1).double().mean(0)
        distance = float((rows["x"].mean(0) - wanted).norm())
        provenance = {"count": len(rows), "reference": data.fingerprint}
        return {"every_metric": Result(distance, provenance=provenance)}

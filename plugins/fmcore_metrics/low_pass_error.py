"""The difference between the low-pass of a sample and its low-resolution condition."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from torch import Tensor
from torch.nn import functional as F

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
from fmcore_metrics.rgb import levels_of, require_pictures

__all__ = ["LowPassError"]


@final
@dataclass(frozen=True)
class LowPassError(RowMetric):
    """The root mean square difference, in units of [-1, 1], between the condition `entry` of a
    sample and the sample averaged over squares to the size of that condition.

    The averages are rounded to the levels of the data, as those of `super_resolution` are: the
    error of a true image is 0.
    """

    entry: str = "low"

    @property
    def reads(self) -> frozenset[str]:
        """The low-resolution condition."""
        return frozenset({self.entry})

    def check(self, data: Dataset, path: Path) -> None:
        require_pictures(data, "low_pass_error")
        spec = data.entries.get(self.entry)
        if spec is None:
            raise ComponentError(
                f"low_pass_error reads the condition '{self.entry}', which "
                f"{type(data).__name__} does not give: use data 'super_resolution'"
            )
        _factor(data.shape, spec.shape)

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        data = evaluation.data
        k = levels_of(batch, data, "low_pass_error")
        low = batch.condition.get(self.entry)
        if low is None:
            raise DataError(f"low_pass_error: these samples came without '{self.entry}'")
        levels = require_pictures(data, "low_pass_error")
        pooled = F.avg_pool2d(k.float(), _factor(data.shape, tuple(low.shape[1:]))).round()
        found = pooled / ((levels - 1) / 2) - 1
        return {"square": (found - low).double().square().flatten(1).mean(1).cpu()}

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if not len(rows):
            raise DataError("low_pass_error: there is no sample to measure")
        square = rows["square"]
        value = math.sqrt(float(square.mean()))
        # of the mean of squares, by the derivative of the root
        known = len(square) > 1 and value > 0
        error = float(square.std()) / math.sqrt(len(square)) / (2 * value) if known else None
        result = Result(value, error, {"count": len(square)}, square.sqrt())
        return {"low_pass_error": result}


def _factor(shape: tuple[int, ...], low: tuple[int, ...]) -> int:
    """Return the side of the squares that images of `shape` are averaged over."""
    factor = shape[1] // low[1] if len(low) == 3 and low[1] else 0
    if not factor or tuple(low) != (shape[0], shape[1] // factor, shape[2] // factor):
        raise ComponentError(
            f"low_pass_error: a condition of shape {tuple(low)} is no average of images of shape "
            f"{tuple(shape)} over squares"
        )
    return factor

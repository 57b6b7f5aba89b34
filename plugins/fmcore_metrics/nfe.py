"""What the samples cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from torch import Tensor

from fmcore import DataError, Evaluation, MetricBatch, Result, RowMetric, Rows

__all__ = ["NFE"]


@final
@dataclass(frozen=True)
class NFE(RowMetric):
    """The mean number of velocity evaluations that a sample took.

    Guidance makes the network run more often than the velocity is asked for; this counts the
    latter.  With an adaptive solver it belongs to the tolerance, which the run's record holds.
    """

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        if batch.nfe is None:
            raise DataError("nfe: these samples do not say how many evaluations they took")
        return {"nfe": batch.nfe.cpu()}

    def conclude(self, rows: Rows, evaluation: Evaluation) -> dict[str, Result]:
        if not len(rows):
            raise DataError("nfe: there is no sample to measure")
        nfe = rows["nfe"].double()
        spread = {
            "min": int(nfe.min()),
            "max": int(nfe.max()),
            "spread": float(nfe.std(correction=0)),
        }
        error = float(nfe.std() / len(rows) ** 0.5) if len(rows) > 1 else None
        made = {"count": len(rows)}
        return {"nfe": Result(float(nfe.mean()), error, made, rows["nfe"], spread)}

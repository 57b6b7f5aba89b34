"""The cost of a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from torch import Tensor

from fmcore import DataError, Evaluation, MetricBatch, Result, RowMetric, RowValues

__all__ = ["NFE"]


@final
@dataclass(frozen=True)
class NFE(RowMetric):
    """The mean number of velocity evaluations of a sample.

    Guidance runs the network more than once per velocity evaluation; this counts the latter.  With
    an adaptive solver the value depends on its tolerance, which the provenance of the run records.
    """

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        if batch.nfe is None:
            raise DataError("nfe: these samples came without their number of evaluations")
        if batch.nfe.shape != batch.indices.shape:
            raise DataError(
                f"nfe: the numbers of evaluations must be ({len(batch.indices)},), one a sample; "
                f"got {tuple(batch.nfe.shape)}"
            )
        return {"nfe": batch.nfe.cpu()}

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if not len(rows):
            raise DataError("nfe: there is no sample to measure")
        nfe = rows["nfe"].double()
        spread = {
            "min": int(nfe.min()),
            "max": int(nfe.max()),
            "spread": float(nfe.std(correction=0)),
        }
        error = float(nfe.std() / len(rows) ** 0.5) if len(rows) > 1 else None
        provenance = {"count": len(rows)}
        return {"nfe": Result(float(nfe.mean()), error, provenance, rows["nfe"], spread)}

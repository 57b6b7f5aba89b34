"""The distance between the torsions of samples and of data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Gt, Le
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
    create,
)
from fmcore_molecules.ramachandran import BINS, histogram, jensen_shannon

__all__ = ["TorsionJSD"]


@final
@dataclass(frozen=True)
class TorsionJSD(RowMetric):
    """The Jensen-Shannon divergence, in nats, of the histograms of phi and psi of the samples and
    of the held-out data, in `bins` x `bins` cells: from 0 to log 2.

    Finite sets differ even where the distributions are equal: `data_against_data` in the details is
    the value of the training split.
    """

    bins: Annotated[int, Gt(1), Le(360)] = BINS

    def check(self, data: Dataset, path: Path) -> None:
        if data.space != create("space", "torus") or data.shape != (2,):
            raise ComponentError(
                f"torsion_jsd compares pairs of angles; {type(data).__name__} gives points of "
                f"{type(data.space).__name__} of shape {tuple(data.shape)}"
            )

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        if batch.x is None or tuple(batch.x.shape[1:]) != (2,):
            raise DataError("torsion_jsd: the samples are no pairs of angles")
        return {"angles": batch.x.float().cpu()}

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if not len(rows):
            raise DataError("torsion_jsd: there is no sample to measure")
        real = histogram(_all(evaluation.data), self.bins)
        train = histogram(_all(evaluation.train_data), self.bins)
        # a histogram leaves out NaN, and would measure the other samples
        finite = bool(rows["angles"].isfinite().all())
        own = histogram(rows["angles"], self.bins)
        value = jensen_shannon(own, real) if finite else math.nan
        provenance = {
            "count": len(rows),
            "bins": self.bins,
            "reference_data": evaluation.data.fingerprint,
            "reference_split": evaluation.data.split,
        }
        details = {"data_against_data": jensen_shannon(train, real)}
        return {"torsion_jsd": Result(value, None, provenance, details=details)}


def _all(data: Dataset) -> Tensor:
    return data.batch(range(data.length))["x1"]

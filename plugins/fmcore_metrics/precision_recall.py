"""Precision and recall of samples in the features of any extractor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from fmcore_metrics.named import ChosenMetric
from fmcore_metrics.neighbours import PrecisionRecallMetric

__all__ = ["PrecisionRecall"]


@final
@dataclass(frozen=True)
class PrecisionRecall(ChosenMetric, PrecisionRecallMetric):
    """`precision_recall_precision` and `precision_recall_recall` in the features of `extractor`.

    `prc` and `prc_lite0` are names for it with extractors `inception` and `lite0`; the other
    options are theirs.  Values of different extractors are not comparable.
    """

    name: ClassVar[str] = "precision_recall"

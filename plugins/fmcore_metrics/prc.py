"""Precision and recall of samples in the features of Inception-v3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from fmcore_metrics.named import InceptionMetric
from fmcore_metrics.neighbours import PrecisionRecallMetric

__all__ = ["PRC"]


@final
@dataclass(frozen=True)
class PRC(InceptionMetric, PrecisionRecallMetric):
    """`prc_precision`, the share of samples covered by the data, and `prc_recall`, the share of
    data covered by the samples: by the nearest `neighbours` in torch-fidelity's Inception-v3.

    The authors used VGG16, so values differ from theirs.  Both depend on the sizes of the two sets,
    which `count` and `reference_count` set.  The other options are those of fid.
    """

    name: ClassVar[str] = "prc"

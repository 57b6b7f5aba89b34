"""Precision and recall of samples in the features of EfficientNet-Lite0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from fmcore_metrics.named import Lite0Metric
from fmcore_metrics.neighbours import PrecisionRecallMetric

__all__ = ["PRCLite0"]


@final
@dataclass(frozen=True)
class PRCLite0(Lite0Metric, PrecisionRecallMetric):
    """`prc_lite0_precision`, the share of samples covered by the data, and `prc_lite0_recall`, the
    share of data covered by the samples: by the nearest `neighbours` in feature space.

    Both depend on the sizes of the two sets, which `count` and `reference_count` set.  The other
    options are those of fd_lite0.
    """

    name: ClassVar[str] = "prc_lite0"

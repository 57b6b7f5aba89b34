"""The kernel distance between samples and data in the features of EfficientNet-Lite0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from fmcore_metrics.kernel import KernelMetric
from fmcore_metrics.named import Lite0Metric

__all__ = ["KIDLite0"]


@final
@dataclass(frozen=True)
class KIDLite0(Lite0Metric, KernelMetric):
    """A kernel distance like KID on another network; unbiased, so that few samples suffice.

    `subsets` pairs of random subsets of `subset_size` (default: 1000, or as many as there are) are
    compared, as torch-fidelity does.  The other options are those of fd_lite0.
    """

    name: ClassVar[str] = "kid_lite0"

"""The kernel distance between samples and data in the features of any extractor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from fmcore_metrics.kernel import KernelMetric
from fmcore_metrics.named import ChosenMetric

__all__ = ["KernelDistance"]


@final
@dataclass(frozen=True)
class KernelDistance(ChosenMetric, KernelMetric):
    """An unbiased kernel distance (KID) in the features of `extractor`.

    `kid` and `kid_lite0` are names for it with extractors `inception` and `lite0`; the other
    options are theirs.  Values of different extractors are not comparable.
    """

    name: ClassVar[str] = "kernel_distance"

"""The Frechet distance between samples and data in the features of any extractor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from fmcore_metrics.frechet import FrechetMetric
from fmcore_metrics.named import ChosenMetric

__all__ = ["FrechetDistance"]


@final
@dataclass(frozen=True)
class FrechetDistance(ChosenMetric, FrechetMetric):
    """The Frechet distance of normal distributions fitted to the features of `extractor`.

    `fid` and `fd_lite0` are names for it with extractors `inception` and `lite0`; the other
    options are theirs.  Values of different extractors are not comparable.
    """

    name: ClassVar[str] = "frechet_distance"

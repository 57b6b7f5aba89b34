"""The Frechet distance between samples and data in the features of EfficientNet-Lite0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from fmcore_metrics.frechet import FrechetMetric
from fmcore_metrics.named import Lite0Metric

__all__ = ["FDLite0"]


@final
@dataclass(frozen=True)
class FDLite0(Lite0Metric, FrechetMetric):
    """A Frechet distance like FID on another network: its values are not comparable with FID.

    A package ships the weights, so no download is needed; several hundred small images take a
    second on one core.  `layer: auto` uses 112 features up to 2,000 samples, 192 below 10,000,
    else 1280.  `size` resizes images; by default only those below 32 pixels are enlarged.
    `reference` is the split compared with, `reference_count` how many of its examples, evenly
    spread (default: all), `reference_file` a file of their moments.  `bootstrap` is the number of
    resamplings for a standard error; `extrapolate` adds `fd_lite0_infinity`, the value extrapolated
    to infinitely many samples.
    """

    name: ClassVar[str] = "fd_lite0"

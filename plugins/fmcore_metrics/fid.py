"""The Frechet Inception distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from fmcore_metrics.frechet import FrechetMetric
from fmcore_metrics.named import InceptionMetric

__all__ = ["FID"]


@final
@dataclass(frozen=True)
class FID(InceptionMetric, FrechetMetric):
    """FID on torch-fidelity's Inception-v3, whose weights you download once.

    Published values compare 50,000 samples with the training split; fewer samples give a larger
    value.  `reference` is the split compared with, `reference_count` how many of its examples,
    evenly spread (default: all), `reference_file` a file of their moments.  `bootstrap` is the
    number of resamplings for a standard error; `extrapolate` adds `fid_infinity`, the value
    extrapolated to infinitely many samples.  Source: Heusel et al. 2017.
    """

    name: ClassVar[str] = "fid"

"""Precision and recall of samples on EfficientNet-Lite0's features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Gt

from fmcore import Result
from fmcore_metrics.feature_metric import Compared
from fmcore_metrics.lite0_space import Lite0Metric
from fmcore_metrics.neighbours import PrecisionRecall

__all__ = ["PRCLite0"]


@final
@dataclass(frozen=True)
class PRCLite0(Lite0Metric):
    """`prc_lite0_precision`, the share of samples that look like data, and `prc_lite0_recall`, the
    share of data that looks like samples: by the nearest `neighbours` in feature space.

    Both depend on the sizes of the two sets, which `count` and `reference_count` set.  The other
    options are those of fd_lite0.
    """

    neighbours: Annotated[int, Gt(0)] = 3

    @property
    def name(self) -> str:
        return "prc_lite0"

    def compare(self, sets: Compared) -> dict[str, Result]:
        return PrecisionRecall(self.neighbours).results(self.name, sets)

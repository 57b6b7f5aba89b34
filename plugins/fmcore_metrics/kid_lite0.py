"""The kernel distance between samples and data on EfficientNet-Lite0's features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Ge, Gt

from fmcore import Result
from fmcore_metrics.feature_metric import Compared
from fmcore_metrics.kernel_distance import KernelDistance
from fmcore_metrics.lite0_space import Lite0Metric

__all__ = ["KIDLite0"]


@final
@dataclass(frozen=True)
class KIDLite0(Lite0Metric):
    """A kernel distance like KID, on another network; unbiased, so that few samples do.

    `subsets` pairs of random subsets of `subset_size` (1000, or as many as there are) are compared,
    as torch-fidelity does.  The other options are those of fd_lite0.
    """

    subsets: Annotated[int, Gt(0)] = 100
    subset_size: Annotated[int, Ge(2)] | None = None

    @property
    def name(self) -> str:
        return "kid_lite0"

    def compare(self, sets: Compared) -> dict[str, Result]:
        return KernelDistance(self.subsets, self.subset_size).results(self.name, sets)

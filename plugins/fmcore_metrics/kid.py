"""The kernel Inception distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Ge, Gt

from fmcore import Result
from fmcore_metrics.feature_metric import Compared
from fmcore_metrics.inception_space import InceptionMetric
from fmcore_metrics.kernel_distance import KernelDistance

__all__ = ["KID"]


@final
@dataclass(frozen=True)
class KID(InceptionMetric):
    """KID on torch-fidelity's Inception-v3, over the subsets that torch-fidelity draws.

    `subsets` pairs of random subsets of `subset_size` (1000, or as many as there are) are compared.
    The other options are those of fid.
    """

    subsets: Annotated[int, Gt(0)] = 100
    subset_size: Annotated[int, Ge(2)] | None = None

    @property
    def name(self) -> str:
        return "kid"

    def compare(self, sets: Compared) -> dict[str, Result]:
        return KernelDistance(self.subsets, self.subset_size).results(self.name, sets)

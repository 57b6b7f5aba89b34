"""The kernel Inception distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from fmcore_metrics.kernel import KernelMetric
from fmcore_metrics.named import InceptionMetric

__all__ = ["KID"]


@final
@dataclass(frozen=True)
class KID(InceptionMetric, KernelMetric):
    """KID on torch-fidelity's Inception-v3, over the subsets that torch-fidelity draws.

    `subsets` pairs of random subsets of `subset_size` (default: 1000, or as many as there are) are
    compared.  The other options are those of fid.
    """

    name: ClassVar[str] = "kid"

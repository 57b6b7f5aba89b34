"""The Frechet distance between samples and data on EfficientNet-Lite0's features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Ge

from fmcore import Result
from fmcore_metrics.feature_metric import Compared
from fmcore_metrics.frechet import Frechet
from fmcore_metrics.lite0_space import Lite0Metric
from fmcore_metrics.reference import Holds

__all__ = ["FDLite0"]


@final
@dataclass(frozen=True)
class FDLite0(Lite0Metric):
    """A Frechet distance like FID, on another network: its numbers compare with one another only.

    The weights come with a package, so it runs anywhere, at several hundred small pictures a second
    and core.  `layer: auto` takes 112 features up to 2,000 samples, 192 below 10,000, else 1280.
    `size` resizes pictures; by default only those below 32 pixels are enlarged.  `reference` is the
    split compared with, `reference_count` how many of its examples, evenly spread (all by default),
    `reference_file` statistics computed before.  `bootstrap` is how many resamplings estimate a
    standard error; `extrapolate` adds the distance of infinitely many samples, `fd_lite0_infinity`.
    """

    bootstrap: Annotated[int, Ge(0)] = 0
    extrapolate: bool = False

    @property
    def name(self) -> str:
        return "fd_lite0"

    @property
    def needs(self) -> Holds:
        return "moments"

    def compare(self, sets: Compared) -> dict[str, Result]:
        return Frechet(self.bootstrap, self.extrapolate).results(self.name, sets)

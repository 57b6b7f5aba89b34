"""The Frechet Inception distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Ge

from fmcore import Result
from fmcore_metrics.feature_metric import Compared
from fmcore_metrics.frechet import Frechet
from fmcore_metrics.inception_space import InceptionMetric
from fmcore_metrics.reference import Holds

__all__ = ["FID"]


@final
@dataclass(frozen=True)
class FID(InceptionMetric):
    """FID on torch-fidelity's Inception-v3, the weights of which are a file you fetch.

    Published numbers take 50,000 samples against the training split; fewer look worse than they
    are.  `reference` is the split compared with, `reference_count` how many of its examples, evenly
    spread (all by default), `reference_file` statistics computed before.  `bootstrap` is how many
    resamplings estimate a standard error; `extrapolate` adds the distance of infinitely many
    samples, `fid_infinity`.  Source: Heusel et al. 2017.
    """

    bootstrap: Annotated[int, Ge(0)] = 0
    extrapolate: bool = False

    @property
    def name(self) -> str:
        return "fid"

    @property
    def needs(self) -> Holds:
        return "moments"

    def compare(self, sets: Compared) -> dict[str, Result]:
        return Frechet(self.bootstrap, self.extrapolate).results(self.name, sets)

"""Precision and recall of samples on Inception's features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Gt

from fmcore import Result
from fmcore_metrics.feature_metric import Compared
from fmcore_metrics.inception_space import InceptionMetric
from fmcore_metrics.neighbours import PrecisionRecall

__all__ = ["PRC"]


@final
@dataclass(frozen=True)
class PRC(InceptionMetric):
    """`prc_precision`, the share of samples that look like data, and `prc_recall`, the share of
    data that looks like samples: by the nearest `neighbours` in torch-fidelity's Inception-v3.

    The authors used VGG16, so numbers differ from theirs.  Both depend on the sizes of the two
    sets, which `count` and `reference_count` set.  The other options are those of fid.
    """

    neighbours: Annotated[int, Gt(0)] = 3

    @property
    def name(self) -> str:
        return "prc"

    def compare(self, sets: Compared) -> dict[str, Result]:
        return PrecisionRecall(self.neighbours).results(self.name, sets)

"""A metric that compares samples with a split of the data on the features of a network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Annotated, Any, final

from annotated_types import Gt
from torch import Tensor

from fmcore import DataError, Dataset, Evaluation, MetricBatch, Path, Result, RowMetric, Rows
from fmcore_metrics.feature_space import Space
from fmcore_metrics.reference import (
    Holds,
    Reference,
    ReferenceSplit,
    require_reference_file,
)
from fmcore_metrics.rgb import levels_of

__all__ = ["Compared", "FeatureMetric"]


@final
@dataclass(frozen=True)
class Compared:
    """The two sets: `fake` `(count, d)` float32 in the order of the samples, `real` by its
    reference, of whose cache or file it takes what it needs.
    """

    fake: Tensor
    real: Reference
    evaluation: Evaluation
    file: str | None

    def real_rows(self) -> Tensor:
        """The features of the reference, `(length, d)`."""
        return self.real.rows(self.evaluation.cache, self.file)


@dataclass(frozen=True)
class FeatureMetric(RowMetric):
    """`reference` is the split compared with, `reference_count` how many of its examples, evenly
    spread (all by default), `reference_file` what was computed of them before.
    """

    reference: ReferenceSplit = field(default="train", kw_only=True)
    reference_count: Annotated[int, Gt(1)] | None = field(default=None, kw_only=True)
    reference_file: str | None = field(default=None, kw_only=True)

    @property
    @abstractmethod
    def name(self) -> str:
        """What the metric is called."""

    @property
    @abstractmethod
    def space(self) -> Space:
        """The network, and how pictures enter it."""

    @property
    def needs(self) -> Holds:
        """What of the reference is compared: its moments, or the features themselves."""
        return "features"

    @abstractmethod
    def compare(self, sets: Compared) -> dict[str, Result]:
        """The results, with what this metric adds to their provenance."""

    @final
    def check(self, data: Dataset, path: Path) -> None:
        self.space.check(data)
        if self.reference_file is not None:
            require_reference_file(FilePath(self.reference_file))

    @final
    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        levels = levels_of(batch, self.name)
        if tuple(levels.shape[1:]) != tuple(evaluation.data.shape):
            raise DataError(
                f"{self.name}: samples of shape {tuple(levels.shape[1:])} cannot be compared "
                f"with data of shape {tuple(evaluation.data.shape)}"
            )
        found = self.space.extractor(evaluation)(levels)
        return {str(width): found[width] for width in self.space.layers}

    @final
    def conclude(self, rows: Rows, evaluation: Evaluation) -> dict[str, Result]:
        if len(rows) < 2:
            raise DataError(f"{self.name} needs at least 2 samples to compare, got {len(rows)}")
        layer = self.space.layer(len(rows))
        real = self._reference(layer, evaluation)
        sets = Compared(rows[str(layer)], real, evaluation, self.reference_file)
        made = {"count": len(rows), **real.provenance, **_way_back(evaluation)}
        kept = self.reference_file or real.file(self.needs)
        return {
            name: replace(
                result,
                provenance={**made, **result.provenance},
                details={**result.details, "reference_file": FilePath(kept).name},
            )
            for name, result in self.compare(sets).items()
        }

    def _reference(self, layer: int, evaluation: Evaluation) -> Reference:
        extractor = self.space.extractor(evaluation)
        return Reference(
            data=evaluation.data.with_split(self.reference),
            features=lambda levels: extractor(levels)[layer],
            made={**self.space.made(evaluation.data), "layer": layer},
            count=self.reference_count,
        )


def _way_back(evaluation: Evaluation) -> dict[str, Any]:
    """How points became levels again; samples without a network came as levels."""
    if evaluation.field is None:
        return {"to_levels": "given as levels"}
    dequantize = getattr(evaluation.data, "dequantize", "")
    return {"to_levels": "floor" if dequantize == "uniform" else "round"}

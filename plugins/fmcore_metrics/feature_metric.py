"""A metric that compares samples with a split of the data in the feature space of a network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Annotated, Any, ClassVar, final

from annotated_types import Gt
from torch import Tensor

from fmcore import DataError, Dataset, Evaluation, MetricBatch, Path, Result, RowMetric, RowValues
from fmcore_metrics.feature_space import Space
from fmcore_metrics.reference import (
    Content,
    Reference,
    ReferenceSplit,
    require_reference_file,
)
from fmcore_metrics.rgb import levels_of

__all__ = ["FeatureMetric", "FeatureSets"]


@final
@dataclass(frozen=True)
class FeatureSets:
    """The two sets to compare.

    `fake` holds the features of the samples, `(count, d)` float32, in the order of their indices;
    `real` the reference, read from `file` if given, else from the evaluation's cache.
    """

    fake: Tensor
    real: Reference
    evaluation: Evaluation
    file: FilePath | None

    def real_rows(self) -> Tensor:
        """Return the features of the reference, `(length, d)`."""
        return self.real.rows(self.evaluation.cache, self.file)


@dataclass(frozen=True)
class FeatureMetric(RowMetric):
    """`reference` is the split compared with, `reference_count` how many of its examples, evenly
    spread (default: all), `reference_file` a file of their features or moments.
    """

    name: ClassVar[str]
    """The name of the metric, and the first part of the names of its results."""

    content: ClassVar[Content] = "features"
    """What is compared of the reference: its features, or only their moments."""

    reference: ReferenceSplit = field(default="train", kw_only=True)
    reference_count: Annotated[int, Gt(1)] | None = field(default=None, kw_only=True)
    reference_file: FilePath | None = field(default=None, kw_only=True)

    @property
    @abstractmethod
    def space(self) -> Space:
        """The feature space: a network and the preprocessing of its images."""

    @abstractmethod
    def compare(self, sets: FeatureSets) -> dict[str, Result]:
        """Return the results, each with the metric's own options in its provenance."""

    @final
    def check(self, data: Dataset, path: Path) -> None:
        self.space.check(data)
        if self.reference_file is not None:
            require_reference_file(FilePath(self.reference_file))

    @final
    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        levels = levels_of(batch, evaluation.data, self.name)
        found = self.space.extractor(evaluation)(levels)
        return {str(width): found[width] for width in self.space.layers}

    @final
    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if len(rows) < 2:
            raise DataError(f"{self.name} needs at least 2 samples to compare, got {len(rows)}")
        layer = self.space.layer(len(rows))
        real = self._reference(layer, evaluation)
        sets = FeatureSets(rows[str(layer)], real, evaluation, self.reference_file)
        provenance = {"count": len(rows), **real.provenance, **_quantisation(evaluation)}
        file = self.reference_file or real.file_name(self.content)
        return {
            name: replace(
                result,
                provenance={**provenance, **result.provenance},
                details={**result.details, "reference_file": FilePath(file).name},
            )
            for name, result in self.compare(sets).items()
        }

    def _reference(self, layer: int, evaluation: Evaluation) -> Reference:
        extractor = self.space.extractor(evaluation)
        return Reference(
            data=evaluation.data.with_split(self.reference),
            features=lambda levels: extractor(levels)[layer],
            space={**self.space.provenance(evaluation.data), "layer": layer},
            count=self.reference_count,
        )


def _quantisation(evaluation: Evaluation) -> dict[str, Any]:
    """Return how points became levels; samples without a network came as levels."""
    if evaluation.field is None:
        return {"to_levels": "given as levels"}
    dequantize = getattr(evaluation.data, "dequantize", "")
    return {"to_levels": "floor" if dequantize == "uniform" else "round"}

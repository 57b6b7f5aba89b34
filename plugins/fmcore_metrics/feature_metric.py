"""A metric that compares samples with a split of the data in the features of an extractor."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Annotated, Any, ClassVar, final

from annotated_types import Gt
from torch import Tensor

from fmcore import (
    DataError,
    Dataset,
    Evaluation,
    Extractor,
    MetricBatch,
    Path,
    Result,
    RowMetric,
    RowValues,
)
from fmcore_metrics.chunks import Features, features_of
from fmcore_metrics.reference import (
    Content,
    Reference,
    ReferenceSplit,
    require_reference_file,
)
from fmcore_metrics.rgb import levels_of, require_pictures, rgb_provenance

__all__ = ["FeatureMetric", "FeatureSets", "extractor_facts", "features_in"]


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
    def chosen(self) -> Extractor:
        """The extractor in whose features the images are compared."""

    @abstractmethod
    def compare(self, sets: FeatureSets) -> dict[str, Result]:
        """Return the results, each with the metric's own options in its provenance."""

    @final
    def check(self, data: Dataset, path: Path) -> None:
        require_pictures(data, self.name)
        self.chosen.check()
        if self.reference_file is not None:
            require_reference_file(FilePath(self.reference_file))

    @final
    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        levels = levels_of(batch, evaluation.data, self.name)
        return features_in(self.chosen, evaluation, self.name)(levels)

    @final
    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if len(rows) < 2:
            raise DataError(f"{self.name} needs at least 2 samples to compare, got {len(rows)}")
        layer = self.chosen.layer_for(len(rows))
        real = self._reference(layer, evaluation)
        sets = FeatureSets(rows[layer], real, evaluation, self.reference_file)
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

    def _reference(self, layer: str, evaluation: Evaluation) -> Reference:
        features = features_in(self.chosen, evaluation, self.name)
        facts = extractor_facts(self.chosen, evaluation.data, self.name)
        return Reference(
            data=evaluation.data.with_split(self.reference),
            features=lambda levels: features(levels)[layer],
            space={**facts, "layer": layer},
            count=self.reference_count,
        )


def features_in(extractor: Extractor, evaluation: Evaluation, metric: str) -> Features:
    """Return the features of the levels of the evaluation's images, on its device."""
    levels = require_pictures(evaluation.data, metric)
    return features_of(extractor, levels, evaluation.device)


def extractor_facts(extractor: Extractor, data: Dataset, metric: str) -> dict[str, Any]:
    """Return the extractor, the hash of its weights, and how images of `data` are prepared."""
    return {
        "extractor": extractor.title or type(extractor).__name__,
        "extractor_sha256": extractor.weights,
        **extractor.provenance(tuple(data.shape)),
        **rgb_provenance(tuple(data.shape), require_pictures(data, metric)),
    }


def _quantisation(evaluation: Evaluation) -> dict[str, Any]:
    """Return how points became levels; samples without a network came as levels."""
    if evaluation.field is None:
        return {"to_levels": "given as levels"}
    dequantize = getattr(evaluation.data, "dequantize", "")
    return {"to_levels": "floor" if dequantize == "uniform" else "round"}

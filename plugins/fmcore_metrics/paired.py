"""A metric that compares each sample with the image whose condition it was given."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from fmcore import (
    DataError,
    Dataset,
    Evaluation,
    MetricBatch,
    Path,
    Result,
    RowMetric,
    RowValues,
)
from fmcore_metrics.rgb import levels_of, require_pictures

__all__ = ["PairedMetric"]


@dataclass(frozen=True)
class PairedMetric(RowMetric):
    """The mean over samples of a similarity to the true image.

    Samples are drawn with `sample.condition` set to the evaluated split: sample i has the condition
    of example i, and example i is its true image.
    """

    paired: ClassVar[bool] = True
    name: ClassVar[str]
    """The name of the metric and of its result."""

    @abstractmethod
    def compare(self, fake: Tensor, real: Tensor, levels: int) -> Tensor:
        """Return the similarity of each pair of images, `(batch,)` float64.

        `fake` and `real` are uint8 in 0 .. `levels` - 1, `(batch, 1 or 3, height, width)`.
        """

    def check(self, data: Dataset, path: Path) -> None:
        require_pictures(data, self.name)

    @final
    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        data = evaluation.data
        fake = levels_of(batch, data, self.name)
        if batch.examples is None:
            raise DataError(
                f"{self.name} compares samples with the images that gave their conditions, and "
                f"these have none: draw them with sample.condition={data.split}"
            )
        real = data.batch(batch.examples.tolist())["x1"]
        return {self.name: self.compare(fake.cpu(), real, require_pictures(data, self.name))}

    @final
    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if not len(rows):
            raise DataError(f"{self.name}: there is no sample to measure")
        each = rows[self.name]
        # a standard error needs two finite values; identical images have an infinite PSNR
        known = len(each) > 1 and bool(each.isfinite().all())
        error = float(each.std()) / math.sqrt(len(each)) if known else None
        provenance = {"count": len(each), "reference_data": evaluation.data.fingerprint}
        return {self.name: Result(float(each.mean()), error, provenance, each)}

"""The Frechet distance between samples and data on EfficientNet-Lite0's features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Ge, Gt
from torch import Tensor

from fmcore import DataError, Dataset, Evaluation, Measured, Path, Result, RowMetric, Rows
from fmcore_metrics.lite0_space import LayerChoice, Lite0Space
from fmcore_metrics.moments import Moments, frechet_distance
from fmcore_metrics.reference import ReferenceSplit

__all__ = ["FDLite0"]


@final
@dataclass(frozen=True)
class FDLite0(RowMetric):
    """A Frechet distance like FID, on another network: its numbers compare with one another only.

    The weights come with a package, so it runs anywhere, at about a thousand small pictures a
    second and core.  `layer: auto` takes 112 features up to 2,000 samples, 192 below 10,000, else
    1280.  `size` resizes pictures; by default only those below 32 pixels are enlarged.  `reference`
    is the split compared with, `reference_count` how many of its examples, evenly spread (all by
    default), `reference_file` statistics computed before.
    """

    layer: LayerChoice = "auto"
    size: Annotated[int, Ge(32)] | None = None
    reference: ReferenceSplit = "train"
    reference_count: Annotated[int, Gt(1)] | None = None
    reference_file: str | None = None

    def check(self, data: Dataset, path: Path) -> None:
        self._space.check(data)

    def measure(self, batch: Measured, evaluation: Evaluation) -> Mapping[str, Tensor]:
        return self._space.measure(batch, evaluation)

    def conclude(self, rows: Rows, evaluation: Evaluation) -> dict[str, Result]:
        if len(rows) < 2:
            raise DataError(f"fd_lite0 needs at least 2 samples to compare, got {len(rows)}")
        space = self._space
        layer = space.chosen(rows)
        real = space.reference(layer, evaluation).moments(evaluation.cache, self.reference_file)
        value = frechet_distance(Moments.of(rows[str(layer)]), real)
        made, details = space.provenance(rows, evaluation), space.details(rows, evaluation)
        return {"fd_lite0": Result(value, None, made, details=details)}

    @property
    def _space(self) -> Lite0Space:
        return Lite0Space(
            "fd_lite0",
            self.layer,
            self.size,
            self.reference,
            self.reference_count,
            self.reference_file,
        )

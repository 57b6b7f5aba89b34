"""What metrics of sounds by other packages share."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fmcore import (
    ComponentError,
    DataError,
    Dataset,
    Evaluation,
    MetricBatch,
    Path,
    Result,
    RowMetric,
    RowValues,
)
from fmcore_audio.sounds import resampled

__all__ = ["SoundMetric"]


@dataclass(frozen=True)
class SoundMetric(RowMetric):
    """The mean over samples of a number for each sound; the recipe needs a codec that makes them.

    `PACKAGES` are the modules that it needs, of the extra `audio-quality`.
    """

    NAME: ClassVar[str]
    RATE: ClassVar[int] = 16000
    """The rate of the sounds that `rate_sound` is given."""

    PACKAGES: ClassVar[tuple[str, ...]]

    def check(self, data: Dataset, path: Path) -> None:
        missing = [name for name in self.PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            raise DataError(
                f"metric '{self.NAME}' needs {' and '.join(missing)}: "
                "pip install 'fmcore-flow[audio-quality]'"
            )

    @abstractmethod
    def rate_sound(self, sound: Tensor, index: int, evaluation: Evaluation) -> float:
        """Return the number of `sound`, `(samples,)` at `RATE`, of sample `index`."""

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        decoded = batch.decoded
        if decoded is None or decoded.rate is None:
            raise ComponentError(
                f"metric '{self.NAME}' measures sounds: give the recipe a codec, such as "
                "griffin_lim"
            )
        found = []
        for row, index in enumerate(batch.indices.tolist()):
            size = decoded.values.shape[-1]
            if decoded.lengths is not None:
                size = int(decoded.lengths[row])
            sound = resampled(decoded.values[row, :size].cpu(), decoded.rate, self.RATE)
            found.append(self.rate_sound(sound, index, evaluation))
        return {"value": torch.tensor(found, dtype=torch.float64)}

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if not len(rows):
            raise ComponentError(f"metric '{self.NAME}' needs at least one sample")
        values = rows["value"]
        error = float(values.std() / math.sqrt(len(values))) if len(values) > 1 else None
        versions = {name: importlib.metadata.version(name) for name in self.distributions()}
        provenance = {"count": len(values), **versions}
        return {self.NAME: Result(float(values.mean()), error, provenance)}

    @abstractmethod
    def distributions(self) -> tuple[str, ...]:
        """Return the names of the installed packages whose versions decide the result."""

"""Log-spectral distances of bandwidth extension."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from torch import Tensor

from fmcore import (
    ComponentError,
    Dataset,
    Evaluation,
    MetricBatch,
    Path,
    Result,
    RowMetric,
    RowValues,
)
from fmcore_audio.audio_sr import AudioSR

__all__ = ["LSD", "LSDHF", "log_spectral_distance"]

POWER = 2 / math.log(10)
"""From the natural logarithm of an amplitude to log10 of its power."""


@dataclass(frozen=True)
class LogSpectralDistance(RowMetric):
    """The mean over frames of the root-mean-square over mel bands of the difference of log10 power
    between sample i and example i: samples need `sample.condition: test`, or the split that is
    evaluated.

    The details hold the distance of the low-passed input, `input`.  It rewards the conditional
    mean: a blurred spectrogram is nearer than a likely one, so read it with `detail`.
    """

    def check(self, data: Dataset, path: Path) -> None:
        if not isinstance(data, AudioSR):
            raise ComponentError(f"metric '{self.name}' measures bandwidth extension: use audio_sr")

    @property
    def name(self) -> str:
        """The name of the result."""
        return type(self).__name__.replace("LSDHF", "LSD_HF").lower()

    def first(self, data: AudioSR) -> int:
        """Return the first mel band that counts."""
        return 0

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        data = evaluation.data
        if batch.x is None or not isinstance(data, AudioSR):
            raise ComponentError(f"metric '{self.name}' measures samples of data 'audio_sr'")
        real = data.batch([int(i) % data.length for i in batch.indices])
        bands = slice(self.first(data), None)
        pairs = {"distance": batch.x.cpu().float(), "input": real["low"]}
        return {
            name: log_spectral_distance(x[:, bands] * data.std, real["x1"][:, bands] * data.std)
            for name, x in pairs.items()
        }

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if not len(rows):
            raise ComponentError(f"metric '{self.name}' needs at least one sample")
        values = rows["distance"].double()
        error = float(values.std() / math.sqrt(len(values))) if len(values) > 1 else None
        provenance = {"count": len(values), "reference": evaluation.data.fingerprint}
        details = {"input": round(float(rows["input"].double().mean()), 4)}
        return {self.name: Result(float(values.mean()), error, provenance, details=details)}


@final
@dataclass(frozen=True)
class LSD(LogSpectralDistance):
    """The log-spectral distance over all mel bands (see `LogSpectralDistance`)."""


@final
@dataclass(frozen=True)
class LSDHF(LogSpectralDistance):
    """The log-spectral distance over the mel bands above the cutoff."""

    def first(self, data: AudioSR) -> int:
        return data.first_band


def log_spectral_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return the distance of each row, `(batch,)`, of log amplitudes, `(batch, mels, frames)`."""
    return (POWER * (x - y)).square().mean(1).sqrt().mean(1)

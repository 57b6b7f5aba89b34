"""How far spectrograms of samples are from those of the recordings, and how detailed they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, final

import torch
from annotated_types import Ge
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
from fmcore_audio.spectrogram_data import MelOptions

__all__ = ["Detail", "MelL1", "warped_distance"]


@dataclass(frozen=True)
class SpectrogramMetric(RowMetric):
    """A metric that compares sample i with example i, modulo the number of examples: samples need
    `sample.condition: test`, or the split that is evaluated.
    """

    def check(self, data: Dataset, path: Path) -> None:
        if not isinstance(data, MelOptions):
            raise ComponentError(f"metric '{self.name}' measures spectrograms: use data 'speech'")

    @property
    def name(self) -> str:
        """The name of the result."""
        return {"MelL1": "mel_l1", "Detail": "detail"}[type(self).__name__]

    def pairs(self, batch: MetricBatch, evaluation: Evaluation) -> list[tuple[Tensor, Tensor]]:
        """Return each sample and its example, `(mels, frames)`, in the units of log-mel values."""
        data: Any = evaluation.data
        if batch.x is None:
            raise ComponentError(f"metric '{self.name}' measures samples")
        x1 = data.batch([int(i) % data.length for i in batch.indices])
        found = []
        for i in range(len(batch.x)):
            mask = batch.condition.get("mask")
            frames = batch.x.shape[-1] if mask is None else max(1, int(mask[i].sum()))
            real = x1["x1"].shape[-1] if "mask" not in x1 else int(x1["mask"][i].sum())
            sample = batch.x[i, :, :frames].cpu().float() * data.std
            found.append((sample, x1["x1"][i, :, :real] * data.std))
        return found


@final
@dataclass(frozen=True)
class MelL1(SpectrogramMetric):
    """The mean absolute difference of log-mel values between sample and recording, over the frames
    of the recording, after dynamic time warping: the two have different lengths.
    """

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        pairs = self.pairs(batch, evaluation)
        return {"distance": torch.tensor([warped_distance(x, y) for x, y in pairs])}

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        _require_rows(rows, self.name)
        values = rows["distance"].double()
        error = float(values.std() / math.sqrt(len(values))) if len(values) > 1 else None
        provenance = {"count": len(values), "reference": evaluation.data.fingerprint}
        return {"mel_l1": Result(float(values.mean()), error, provenance)}


@final
@dataclass(frozen=True)
class Detail(SpectrogramMetric):
    """The variance of differences between consecutive frames of the samples, over that of the
    recordings: 1 is right, and less than 1 is blurred.  Mel bands from `first` on count.
    """

    first: Annotated[int, Ge(0)] = 0

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        sums = [
            [value for mel in pair for value in _squared_differences(mel[self.first :])]
            for pair in self.pairs(batch, evaluation)
        ]
        return {"sums": torch.tensor(sums, dtype=torch.float64)}

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        _require_rows(rows, self.name)
        sample, count, real, real_count = rows["sums"].sum(0).tolist()
        if not count * real:
            raise ComponentError("metric 'detail' needs samples of at least two frames")
        provenance = {"count": len(rows), "reference": evaluation.data.fingerprint}
        return {"detail": Result((sample / count) / (real / real_count), None, provenance)}


def warped_distance(x: Tensor, y: Tensor) -> float:
    """Return the mean over frames of `y` of the mean absolute difference to the frames of `x`, both
    `(channels, frames)`, that a monotonic path of least cost gives them.

    The path starts at both first frames and ends at both last ones, and moves by 0, 1 or 2 frames
    of x for each frame of y where x is at most twice as long; otherwise by as many as needed.
    """
    cost = (x[:, :, None] - y[:, None, :]).abs().mean(0).double()
    most = max(2, math.ceil((x.shape[1] - 1) / max(1, y.shape[1] - 1)))
    total = torch.full((x.shape[1],), math.inf, dtype=torch.float64)
    total[0] = cost[0, 0]
    for j in range(1, y.shape[1]):
        padded = torch.cat([total.new_full((most,), math.inf), total])
        total = padded.unfold(0, most + 1, 1).amin(1) + cost[:, j]
    end = total[-1] if bool(total[-1].isfinite()) else total[total.isfinite()].min()
    return float(end) / y.shape[1]


def _squared_differences(mel: Tensor) -> tuple[float, int]:
    steps = mel.double().diff(dim=1)
    return float(steps.square().sum()), steps.numel()


def _require_rows(rows: RowValues, name: str) -> None:
    if not len(rows):
        raise ComponentError(f"metric '{name}' needs at least one sample")

"""The time that sampling takes for a second of sound."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, final

import torch
from annotated_types import Gt
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

__all__ = ["RealTimeFactor"]


@final
@dataclass(frozen=True)
class RealTimeFactor(RowMetric):
    """Seconds of computing for a second of sound: below 1, samples are drawn faster than they play.

    It is the time of one evaluation of the velocity on `rows` samples, the shortest of `repeats`,
    times the mean number of evaluations of the samples, over the seconds that they last.  The
    codec's time does not count.  The value depends on the machine, and on what else it computes.
    """

    rows: Annotated[int, Gt(0)] = 1
    repeats: Annotated[int, Gt(0)] = 5

    def check(self, data: Dataset, path: Path) -> None:
        if not isinstance(data, MelOptions):
            raise ComponentError("metric 'rtf' measures spectrograms: use data 'speech'")

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        if batch.x is None or batch.nfe is None:
            raise ComponentError("metric 'rtf' measures samples with their number of evaluations")
        mask = batch.condition.get("mask")
        frames = torch.full((len(batch.x),), float(batch.x.shape[-1]))
        if mask is not None:
            frames = mask.sum((1, 2)).cpu()
        return {"nfe": batch.nfe.cpu().double(), "frames": frames.double()}

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        data: Any = evaluation.data
        if not len(rows) or evaluation.field is None:
            raise ComponentError("metric 'rtf' needs at least one sample, and its network")
        seconds = self._seconds(evaluation)
        sound = float(rows["frames"].mean()) * data.hop / data.rate
        value = seconds * float(rows["nfe"].mean()) / (self.rows * sound)
        provenance = {"count": len(rows), "device": str(evaluation.device)}
        provenance["threads"] = torch.get_num_threads()
        details = {"seconds_per_evaluation": seconds, "nfe": float(rows["nfe"].mean())}
        return {"rtf": Result(value, None, provenance, details=details)}

    def _seconds(self, evaluation: Evaluation) -> float:
        """Return the time of one evaluation of the velocity, in seconds."""
        field: Any = evaluation.field
        data = evaluation.data
        batch = data.batch([i % data.length for i in range(self.rows)])
        x = batch.pop("x1").to(evaluation.device)
        t = torch.full((self.rows,), 0.5, device=evaluation.device)
        best = float("inf")
        with torch.no_grad():
            raw = {name: value.to(evaluation.device) for name, value in batch.items()}
            condition = field.prepare(raw)
            for _ in range(self.repeats + 1):  # the first one also sets up what the others reuse
                begun = time.perf_counter()
                float(field(x, t, condition).sum())  # waits for a GPU
                best = min(best, time.perf_counter() - begun)
        return best

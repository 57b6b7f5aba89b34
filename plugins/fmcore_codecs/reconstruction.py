"""The reconstruction error of an autoencoder on held-out images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from fmcore import (
    ComponentError,
    Dataset,
    Evaluation,
    MetricBatch,
    Path,
    Result,
    RowMetric,
    Rows,
    RowValues,
)
from fmcore_codecs.autoencoder import Autoencoder

__all__ = ["Reconstruction"]


@final
@dataclass(frozen=True)
class Reconstruction(RowMetric):
    """sqrt(mean |decode(encode(x1)) - x1|^2) over values and examples, in units of [-1, 1].

    The network is an `autoencoder`; its latents get no noise.
    """

    consumes: ClassVar[Literal["samples", "data"]] = "data"

    def check(self, data: Dataset, path: Path) -> None:
        if data.levels is None:
            raise ComponentError("metric 'reconstruction' measures images: use data with levels")

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        network = None if evaluation.field is None else evaluation.field.model
        if not isinstance(network, Autoencoder) or batch.levels is None:
            raise ComponentError("metric 'reconstruction' needs a run with model 'autoencoder'")
        rows = Rows(evaluation.seed, "reconstruction", 0, batch.indices)
        x1 = evaluation.data.augmented({"x1": batch.levels}, rows)["x1"].to(evaluation.device)
        with torch.no_grad():
            found = network.decode(network.encode(x1))
        return {"square": (found - x1).square().flatten(1).mean(1).cpu()}

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        square = rows["square"].double()
        value = math.sqrt(float(square.mean()))
        # of the mean of squares, by the derivative of the root
        error = float(square.std() / math.sqrt(len(square))) / (2 * value) if value else 0.0
        provenance = {"count": len(square), "split": evaluation.data.split}
        return {"reconstruction": Result(value, error, provenance)}

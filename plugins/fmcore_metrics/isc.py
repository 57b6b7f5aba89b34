"""The Inception score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Annotated, final

import numpy as np
import torch
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
from fmcore_metrics.feature_metric import extractor_facts, features_in
from fmcore_metrics.named import WEIGHTS_SHA256, inception
from fmcore_metrics.rgb import levels_of, require_pictures

__all__ = ["ISC"]

RNG_SEED = 2020
"""The seed of torch-fidelity, whose shuffle this is."""


@final
@dataclass(frozen=True)
class ISC(RowMetric):
    """The Inception score: exp of the mean divergence of a sample's class distribution from the
    mean class distribution.

    It is high if each sample clearly belongs to one class and all classes occur.  It does not use
    the data, and is meaningful only near ImageNet.  The value is the mean over `splits` parts of
    the shuffled samples.  `weights` and `weights_sha256` are those of fid.  Source: Salimans et al.
    2016.
    """

    splits: Annotated[int, Gt(0)] = 10
    weights: FilePath | None = None
    weights_sha256: str = WEIGHTS_SHA256

    def check(self, data: Dataset, path: Path) -> None:
        require_pictures(data, "isc")
        self._extractor.check()

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        levels = levels_of(batch, evaluation.data, "isc")
        return features_in(self._extractor, evaluation, "isc")(levels)

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if len(rows) < self.splits:
            raise DataError(
                f"isc: {len(rows)} samples cannot be split into {self.splits} parts: use more "
                "samples or fewer splits"
            )
        parts = self._parts(rows["logits"].double())
        scores = torch.tensor([_score(part) for part in parts], dtype=torch.float64)
        provenance = {
            "count": len(rows),
            "splits": self.splits,
            "rng_seed": RNG_SEED,
            **extractor_facts(self._extractor, evaluation.data, "isc"),
        }
        details = {"spread_over_splits": float(scores.std(correction=0))}
        return {"isc": Result(float(scores.mean()), None, provenance, details=details)}

    def _parts(self, logits: Tensor) -> list[Tensor]:
        count = len(logits)
        order = torch.from_numpy(np.random.RandomState(RNG_SEED).permutation(count))
        ends = [i * count // self.splits for i in range(self.splits + 1)]
        return [logits[order[a:b]] for a, b in pairwise(ends)]

    @property
    def _extractor(self) -> Extractor:
        return inception("logits", self.weights, self.weights_sha256)


def _score(logits: Tensor) -> float:
    log_p = logits.log_softmax(1)
    # In logarithms, as the mean probability of a class may underflow to 0, and 0 log 0 is NaN.
    log_mean = log_p.logsumexp(0) - math.log(len(log_p))
    divergence = (log_p.exp() * (log_p - log_mean)).sum(1)
    return float(divergence.mean().exp())

"""The share of the samples' n-grams that occur in the training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Gt
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
    Tokens,
)

__all__ = ["NgramValidity"]


@final
@dataclass(frozen=True)
class NgramValidity(RowMetric):
    """The share of the `n` neighbouring tokens of samples that are somewhere in the training split.

    Neighbours are along the last axis.  The share of the test split is in the details as
    `test_split`: what new data of the same kind reach.
    """

    n: Annotated[int, Gt(0)] = 4

    def check(self, data: Dataset, path: Path) -> None:
        if not isinstance(data.space, Tokens):
            raise ComponentError(
                f"ngram_validity counts tokens, and {type(data).__name__} gives points of "
                f"{type(data.space).__name__}"
            )
        if not data.shape or data.shape[-1] < self.n:
            raise ComponentError(
                f"ngram_validity: n is {self.n}, and rows have shape {tuple(data.shape)}"
            )

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        if batch.x is None:
            raise DataError("ngram_validity: the batch holds no tokens")
        return {"x": batch.x.round().long().cpu()}

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if not len(rows):
            raise DataError("ngram_validity: there is no sample to measure")
        known = set(_ngrams(_all(evaluation.train_data), self.n))
        provenance = {
            "count": len(rows),
            "n": self.n,
            "train_data": evaluation.train_data.fingerprint,
        }
        held_out = evaluation.data.with_split("test")
        details = {"test_split": _share(_all(held_out), known, self.n)}
        value = _share(rows["x"], known, self.n)
        return {"ngram_validity": Result(value, None, provenance, details=details)}


def _all(data: Dataset) -> Tensor:
    return data.batch(range(data.length))["x1"].round().long()


def _ngrams(x: Tensor, n: int) -> list[bytes]:
    windows = x.to(torch.int32).unfold(-1, n, 1).reshape(-1, n).contiguous().numpy()
    return [row.tobytes() for row in windows]


def _share(x: Tensor, known: set[bytes], n: int) -> float:
    found = _ngrams(x, n)
    return sum(gram in known for gram in found) / len(found)

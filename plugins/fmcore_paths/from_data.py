"""A source that draws x0 from a dataset, for a flow between two datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import ComponentError, Condition, Dataset, Rows, Source

__all__ = ["FromData"]


@final
@dataclass(frozen=True)
class FromData(Source):
    """x0 is an example of `data`, drawn with replacement and augmented as in training: images are
    scaled to [-1, 1].

    Raises ComponentError for data of another shape; there is no density.
    """

    data: Dataset

    def sample(
        self,
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        if tuple(shape) != tuple(self.data.shape):
            raise ComponentError(
                f"source 'from_data': its data have shape {tuple(self.data.shape)}, but x0 has "
                f"{tuple(shape)}"
            )
        drawn = rows.integers(self.data.length)
        batch = {k: v.to(rows.device) for k, v in self.data.batch(drawn.tolist()).items()}
        return self.data.augmented(batch, rows)["x1"].to(dtype)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        raise ComponentError(
            "source 'from_data' has no density: likelihoods need a Gaussian source"
        )

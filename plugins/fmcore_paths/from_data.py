"""A source that draws x0 from a dataset, for a flow between two datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import ComponentError, Condition, Dataset, ImageDataset, Source
from fmcore.interfaces.levels import from_levels

__all__ = ["FromData"]


@final
@dataclass(frozen=True)
class FromData(Source):
    """x0 is a sample of `data`, drawn with replacement; images are scaled to [-1, 1].

    Raises ComponentError for data of another shape; there is no density.
    """

    data: Dataset

    def sample(
        self,
        n: int,
        shape: tuple[int, ...],
        generator: torch.Generator,
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        if tuple(shape) != tuple(self.data.shape):
            raise ComponentError(
                f"source 'from_data': its data have shape {tuple(self.data.shape)}, but x0 has "
                f"{tuple(shape)}"
            )
        rows = torch.randint(self.data.length, (n,), generator=generator)
        x = self.data.batch(rows.tolist())["x1"]
        if isinstance(self.data, ImageDataset):
            x = from_levels(x, self.data.levels, self.data.dequantize, generator)
        return x.to(dtype)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        raise ComponentError(
            "source 'from_data' has no density: likelihoods need a Gaussian source"
        )

"""Tokens drawn independently with the frequencies of a dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self, final

import torch
from torch import Tensor

from fmcore import ComponentError, Condition, Dataset, Rows, Source, Space, Tokens

__all__ = ["Unigram"]

COUNTED = 100_000
"""The most examples whose tokens are counted: the frequencies of more are the same to 1e-3."""


@final
@dataclass(frozen=True)
class Unigram(Source):
    """Independent tokens, each with its frequency in `data`, so that x0 is as near to the data as
    independent tokens can be.  Source: Gat et al. 2024 (arXiv 2407.15595), section 3.
    """

    data: Dataset
    space: Space | None = None

    def on(self, space: Space) -> Self:
        own = self.data.space
        if not isinstance(space, Tokens) or not isinstance(own, Tokens) or own != space:
            raise ComponentError(
                f"source 'unigram' counts tokens of {type(self.data).__name__}, and the data are "
                f"points of {type(space).__name__}: give both the same tokens"
            )
        return replace(self, space=space)

    def sample(
        self,
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        cumulative = self._shares.cumsum(0).to(rows.device)
        drawn = rows.uniform(shape, torch.float64)
        return (
            torch.searchsorted(cumulative, drawn, right=True)
            .clamp_max(len(cumulative) - 1)
            .to(dtype)
        )

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        log = self._shares.log().to(x)
        return log[x.long()].flatten(1).sum(1)

    @cached_property
    def _shares(self) -> Tensor:
        space = self.data.space
        if not isinstance(space, Tokens):
            raise ComponentError("source 'unigram' needs data of tokens")
        tokens = self.data.batch(range(min(COUNTED, self.data.length)))["x1"].flatten().long()
        counts = torch.bincount(tokens, minlength=space.classes).double()
        return counts / counts.sum()

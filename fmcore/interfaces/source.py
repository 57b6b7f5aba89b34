"""The distribution that a flow starts from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from fmcore.interfaces.options import Options

__all__ = ["Condition", "Source"]

Condition = Mapping[str, Tensor]
"""What a flow may be conditioned on, by name; every tensor is `(batch, ...)`.  `label` holds class
indices, int64, with -1 for the null class.  `mask` is 1 where an element of x exists, broadcastable
to x."""


class Source(Options, ABC):
    """Where x0 comes from: a distribution to draw from and, where it has one, its density.

    Laws:
    * `sample` draws from `generator` alone, on the CPU, in float32 unless `dtype` says otherwise;
      the caller moves it.
    * `sample(n, ...)` is n independent rows: equal generators give equal rows, and row order
      carries no meaning.
    * `log_prob(x)` is the log-density in nats of each row, shape `(batch,)`, in x's dtype and on
      x's device.
    """

    kind: ClassVar[str] = "source"
    conditional: ClassVar[bool] = False
    """Whether a draw depends on the condition: its rows must then stay beside their conditions."""

    @property
    def reads(self) -> frozenset[str]:
        """The entries of the condition that a draw depends on."""
        return frozenset()

    @abstractmethod
    def sample(
        self,
        n: int,
        shape: tuple[int, ...],
        generator: torch.Generator,
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw `(n, *shape)`.  Raises ComponentError if a condition is needed and missing."""

    @abstractmethod
    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Log-density in nats, `(batch,)`.  Raises ComponentError where there is no density."""

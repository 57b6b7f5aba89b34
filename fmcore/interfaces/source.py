"""Interface of sources: the distribution of x0."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.options import Options
from fmcore.interfaces.space import Space

__all__ = ["NULL_CLASS", "Condition", "Source"]

Condition = Mapping[str, Tensor]
"""The conditions of a flow, by name; every tensor is `(batch, ...)`.  `label` holds class indices,
int64, with -1 for the null class.  `mask` is 1 at the elements of x that exist, else 0, and
broadcasts to x."""

NULL_CLASS = -1
"""The label of the null class, for label dropout and classifier-free guidance."""


SOURCES_OF_SPACES = "'uniform' (also 'wrapped_normal' on manifolds, 'mask' for tokens)"
"""The built-in sources of points that are not in R^n, for messages."""


class Source(Options, ABC):
    """The distribution of x0: its samples and, where it exists, its density.

    Laws:
    * `sample` draws from `generator` alone, on the CPU, in `dtype`; the caller moves the result.
    * `sample(n, ...)` gives n independent rows in no particular order; equal generators give equal
      rows.
    * `log_prob(x)` is the log-density of each row in nats, `(batch,)`, in x's dtype and on x's
      device.
    """

    kind: ClassVar[str] = "source"
    conditional: ClassVar[bool] = False
    """Whether a draw depends on the condition: each row must then stay with its condition."""

    @property
    def reads(self) -> frozenset[str]:
        """The entries of the condition that a draw depends on."""
        return frozenset()

    def on(self, space: Space) -> Self:
        """Return this source for data of `space`: by default itself in R^n.

        Raises ComponentError where it does not draw points of `space`.
        """
        if space.flat:
            return self
        raise ComponentError(
            f"source {type(self).__name__} draws points of R^n, and the data are points of "
            f"{type(space).__name__}: use source {SOURCES_OF_SPACES}"
        )

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
        """Return the log-density of each row of `x` in nats, `(batch,)`.

        Raises ComponentError for a source without a density.
        """

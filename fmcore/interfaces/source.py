"""Interface of sources: the distribution of x0."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.options import Options
from fmcore.interfaces.rows import Rows
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
    * `sample` draws from `rows` alone, on its device, in `dtype`: row i depends on its own random
      numbers and its row of the condition, in any batch.
    * The rows are independent draws of one distribution.
    * `log_prob(x)` is the log-density of each row in nats, `(batch,)`, in x's dtype and on x's
      device.
    """

    kind: ClassVar[str] = "source"
    conditional: ClassVar[bool] = False
    """Whether a draw depends on the condition: each row must then stay with its condition."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Raise ComponentError for a source whose `sample` takes a generator."""
        super().__init_subclass__(**options)
        own = cls.__dict__.get("sample")
        # called with rows in the place of n, it would fail far from the cause
        if own is not None and "generator" in inspect.signature(own).parameters:
            raise ComponentError(
                f"source {cls.__name__}: `sample` takes rows of random numbers in place of n and a "
                "generator: write sample(self, rows, shape, condition=None, dtype=torch.float32) "
                "and draw with rows.normal(shape, dtype) or rows.uniform(shape, dtype) "
                "(docs/write-a-source.md)"
            )

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
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw `(len(rows), *shape)`.

        Raises ComponentError if a condition is needed and missing.
        """

    @abstractmethod
    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the log-density of each row of `x` in nats, `(batch,)`.

        Raises ComponentError for a source without a density.
        """

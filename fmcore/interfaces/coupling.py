"""Interface of couplings: how noise and data are paired within a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.options import Options
from fmcore.interfaces.source import Condition
from fmcore.interfaces.space import Space

if TYPE_CHECKING:
    from fmcore.interfaces.dataset import Dataset
    from fmcore.interfaces.path import Path

__all__ = ["Coupling", "Pairing"]


@dataclass(frozen=True)
class Pairing:
    """Paired rows: `x0[i]` and `x1[i]`, `(batch, *shape)`, under `condition[...][i]`."""

    x0: Tensor
    x1: Tensor
    condition: Condition | None = None


class Coupling(Options, ABC):
    """A joint distribution of (x0, x1) with the given marginals.

    Laws:
    * The rows of the result are a permutation of the given rows, none dropped and none repeated, in
      the whole pool where `pool` > 1.  A coupling that weighs rows, such as unbalanced transport,
      may repeat and drop them on the sides that `marginals` does not name.  A row of x1 keeps its
      condition.
    * With `symmetry`, rows keep their order, and a row of x0 may be moved by a transformation under
      which the distributions of noise and of data do not change.
    * Where `cost` is declared, the pairs cost no more on average than independent ones.
    * A row of x0 that the source drew under a condition is paired with an equal condition, or
      `check` refuses that source.
    * All randomness comes from `generator`.
    * `independent` is True only where x0 and x1 are independent given the condition: then velocity
      and score determine each other.
    """

    kind: ClassVar[str] = "coupling"
    independent: ClassVar[bool] = False
    symmetry: ClassVar[bool] = False
    """Whether rows of x0 are moved by a symmetry of noise and data."""
    marginals: ClassVar[tuple[str, ...]] = ("x0", "x1")
    """The sides whose distribution the pairs keep."""

    def on(self, space: Space) -> Self:
        """Return this coupling for points of `space`: by default itself in R^n and where it does
        not look at the points (`independent`).

        Raises ComponentError where it does not know `space`.
        """
        if space.flat or self.independent:
            return self
        raise ComponentError(
            f"coupling {type(self).__name__} compares points of R^n, and the data are points of "
            f"{type(space).__name__}: use coupling 'independent' or 'minibatch_ot'"
        )

    def check(self, path: Path, data: Dataset | None = None) -> None:
        """Raise ComponentError with the reason if this cannot pair the noise of `path` and `data`;
        called before training.
        """

    def cost(self, x0: Tensor, x1: Tensor) -> Tensor | None:
        """Return the cost of each pair, `(batch,)`, that the coupling lowers; None if it lowers
        none.
        """
        return None

    @property
    def pool(self) -> int:
        """The number of batches that the trainer draws and pairs at once."""
        return 1

    @abstractmethod
    def pair(
        self, x0: Tensor, x1: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Pairing:
        """Pair `x0` and `x1`, both `(batch, *shape)`; entries of `condition` are `(batch, ...)`.

        Results have the dtype and device of the arguments.
        """

"""How noise and data are paired within a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from fmcore.interfaces.options import Options
from fmcore.interfaces.source import Condition

if TYPE_CHECKING:
    from fmcore.interfaces.dataset import Dataset
    from fmcore.interfaces.path import Path

__all__ = ["Coupling", "Pairing"]


@dataclass(frozen=True)
class Pairing:
    """Paired rows: `x0[i]` travels to `x1[i]` under `condition[...][i]`."""

    x0: Tensor
    x1: Tensor
    condition: Condition | None = None


class Coupling(Options, ABC):
    """A joint distribution of (x0, x1) with the given marginals.

    Laws:
    * The rows of the result are a permutation of the rows given: none dropped, none repeated (over
      the pool, where `pool` > 1).  A row of x1 keeps its condition.
    * The rows of x0 that a source drew beside a condition stay beside an equal one, or the coupling
      refuses that source in `check`.
    * All randomness comes from `generator`.
    * `independent` is true only where x0 and x1 are independent given the condition: then velocity
      and score determine each other.
    """

    kind: ClassVar[str] = "coupling"
    independent: ClassVar[bool] = False

    def check(self, path: Path, data: Dataset | None = None) -> None:
        """Raise ComponentError if this cannot pair what `path` and `data` give, saying why; called
        before training.
        """

    @property
    def pool(self) -> int:
        """How many batches the trainer should draw and hand over at once (1: the batch itself)."""
        return 1

    @abstractmethod
    def pair(
        self, x0: Tensor, x1: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Pairing:
        """Pair `x0` and `x1`, both `(batch, *shape)`."""

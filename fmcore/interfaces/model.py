"""The network behind a vector field."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from fmcore.interfaces.source import Condition

__all__ = ["VectorField"]


class VectorField(nn.Module, ABC):
    """A network that maps (x, t) to something of x's shape: what it means is the objective's
    business.

    Laws:
    * The result has x's shape; row i depends on row i of the arguments alone (no batch statistics).
    * `t` is `(batch,)`, float32, in [0, 1]; the network owns its scaling of time, and different
      times give different outputs once trained.
    * `condition["label"]` holds class indices with -1 for the null class; `condition=None` means
      the null class for every row.  A network without labels ignores conditions that it does not
      declare.
    * Constructor arguments are typed keywords.  One called `shape` is the data's shape without the
      batch; a recipe need not say it.
    * Initialisation draws from torch's global generator only inside the constructor; the trainer
      seeds it.
    * The state dict is the whole state.  Building and running under `torch.device("meta")` gives
      the same shapes: a dry run counts parameters and operations so.
    * The result is differentiable in x, and under bfloat16 autocast stays near its float32 value.
    """

    kind: ClassVar[str] = "model"

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        """The prediction at `x`, `(batch, *shape)`, and `t`, `(batch,)`."""

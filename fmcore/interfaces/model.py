"""Interface of networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor, nn

from fmcore.interfaces.path import Path, Quantity
from fmcore.interfaces.source import Condition

__all__ = ["Pretrained", "VectorField"]


@final
@dataclass(frozen=True)
class Pretrained:
    """How a network was trained outside fmcore.

    `weights` names the weights that its constructor loaded, for provenance: a file and its hash.
    `prediction` is the quantity it predicts, and `path` the path it was trained along; None where
    unknown.  Another objective or path is refused.
    """

    weights: str
    prediction: Quantity | None = None
    path: Path | None = None


class VectorField(nn.Module, ABC):
    """A network that maps (x, t) to a tensor of x's shape; the objective determines its meaning.

    Laws:
    * The result has x's shape; row i depends on row i of the arguments alone (no batch statistics).
    * `t` is `(batch,)`, float32, in [0, 1]; the network scales time itself, and after training
      different times give different outputs.
    * `condition["label"]` holds class indices, with -1 for the null class; `condition=None` means
      the null class for every row.  A network without labels ignores conditions that it does not
      declare.
    * Constructor arguments are typed keywords.  One named `shape` is the shape of an example,
      without the batch; recipes set it from the data.
    * Initialisation draws from torch's global generator only inside the constructor; the trainer
      seeds it.
    * The state dict is the whole state.  Under `torch.device("meta")` the network is built and runs
      with the same shapes: a dry run counts parameters and operations this way.
    * The result is differentiable in x, and under bfloat16 autocast stays near its float32 value.

    A pretrained network loads its weights in the constructor, except on the meta device, and sets
    `pretrained`: a run without `train` then samples it, and one with `train` continues its
    training.
    """

    kind: ClassVar[str] = "model"

    pretrained: Pretrained | None = None

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the prediction at `x`, `(batch, *shape)`, and `t`, `(batch,)`, in x's shape."""

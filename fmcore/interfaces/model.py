"""The network behind a vector field."""

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
    """What a network was trained to be before fmcore saw it.

    `weights` names the weights that its constructor loaded, for provenance: a file and its hash.
    `prediction` is what it gives, and `path` along which; None where it cannot tell.  An objective
    or a path that disagrees is refused.
    """

    weights: str
    prediction: Quantity | None = None
    path: Path | None = None


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
    * A network with labels has an attribute `classes`, the number of them: sampling draws labels
      below it, and classifier-free guidance needs it.
    * Constructor arguments are typed keywords.  One called `shape` is the data's shape without the
      batch; a recipe need not say it.
    * Initialisation draws from torch's global generator only inside the constructor; the trainer
      seeds it.
    * The state dict is the whole state.  Building and running under `torch.device("meta")` gives
      the same shapes: a dry run counts parameters and operations so.
    * The result is differentiable in x, and under bfloat16 autocast stays near its float32 value.

    A network that was trained elsewhere loads its weights in the constructor, except on the meta
    device, and says so in `pretrained`: a run without `train` then samples it as it is, and one
    with `train` goes on from there.
    """

    kind: ClassVar[str] = "model"

    pretrained: Pretrained | None = None

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        """The prediction at `x`, `(batch, *shape)`, and `t`, `(batch,)`."""

"""Interface of networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, final

from torch import Tensor, nn

from fmcore.interfaces.path import Path, Quantity
from fmcore.interfaces.source import Condition

__all__ = ["Prepared", "Pretrained", "VectorField"]


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


@final
@dataclass(frozen=True)
class Prepared:
    """What `VectorField.prepare` makes of a raw condition.

    `condition` is given to every `forward` of the step or solve.  `losses` are the network's own
    auxiliary losses by name, `(batch,)` each, in training.  `crop` is `(start, length)`: in
    training, x0, x1, z and `mask` are cut to `length` elements of the last axis from `start`,
    `(batch,)` int64; prepare cuts its own entries.
    """

    condition: Condition | None
    losses: Mapping[str, Tensor] = field(default_factory=dict)
    crop: tuple[Tensor, int] | None = None


class VectorField(nn.Module, ABC):
    """A network that maps (x, t) to a tensor of x's shape; the objective determines its meaning.

    Laws:
    * The result has the shape that the objective's `output_shape` names, x's by default.
    * Row i depends on row i of the arguments alone (no batch statistics), also in `prepare`.
    * Entries of the condition named in `reads` change the result, others do not.
    * `t` is `(batch,)`, float32, in [0, 1]; the network scales time itself, and after training
      different times give different outputs.
    * `condition["label"]` holds class indices, with -1 for the null class; `condition=None` means
      the null class for every row.  A network without labels ignores conditions that it does not
      declare.
    * A network with labels has an attribute `classes`, the number of them: sampling draws labels
      below it, and classifier-free guidance needs it.
    * Constructor arguments are typed keywords.  One called `shape` is the data's shape without the
      batch, and one called `entries` the declarations of the data's conditions besides the label
      (`Dataset.entries`); a recipe omits them.  `classes: auto` in a recipe is the data's number.
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

    span: bool = False
    """Whether `forward` takes `until`, the second time of a flow map."""

    draws: Mapping[str, tuple[int, ...]] = {}  # a default that is never written to
    """Uniform numbers per row, by name and shape, that `prepare` needs in training; they are in the
    condition as `draw/NAME`."""

    loss_names: tuple[str, ...] = ()
    """The names of the losses that `prepare` gives in training."""

    @property
    def reads(self) -> frozenset[str]:
        """The entries of the condition that the network uses: `label` if it has classes."""
        return frozenset({"label"} if getattr(self, "classes", 0) else ())

    def prepare(self, condition: Condition | None, x1: Tensor | None = None) -> Prepared:
        """Turn the raw condition into the one that `forward` takes, once for a step or a solve.

        `x1`, `(batch, *shape)`, is given in training only.  By default the condition is unchanged.
        """
        return Prepared(condition)

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the prediction at `x`, `(batch, *shape)`, and `t`, `(batch,)`.

        A network with `span` takes a keyword `until`, `(batch,)` or None (then until = t): the
        output belongs to the map from t to until.
        """

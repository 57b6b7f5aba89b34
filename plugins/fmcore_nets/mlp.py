"""The fully connected network of the paper's 2-D experiments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from fmcore import ComponentError, Condition, ConditionSpec, VectorField
from fmcore_nets.conditioning import NO_ENTRIES, chosen_entries, vectors
from fmcore_nets.embedding import sinusoidal

__all__ = ["MLP"]

_ACTIVATIONS = {"silu": nn.SiLU, "gelu": nn.GELU, "relu": nn.ReLU, "tanh": nn.Tanh}

FASTEST = 8 * math.pi
"""The highest frequency of the time features, in radians per unit of time: four periods from noise
to data.  Higher ones make the field oscillate in t, which costs a solver evaluations."""

FASTEST_SPAN = math.pi
"""The same for networks of two times: objectives of flow maps differentiate by time, and a faster
feature spoils the map in one step (sliced W2 of the checkerboard .15 at 8 pi, .11 at pi)."""


@final
class MLP(VectorField):
    """An MLP of `depth` hidden layers of `width` units on the flattened x, `time_features`
    sinusoids of t, and the label.

    The paper's has 5 layers of 512.  Takes data of any shape.  `classes` > 0 makes it read
    `condition["label"]`, one-hot, with zeros for the null class.  `conditions` names other entries
    of the data that it reads, flattened; the framework fills in their shapes (`entries`).  `span`
    adds the second time of a flow map; the framework sets it where the objective needs it.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        width: Annotated[int, Gt(0)] = 512,
        depth: Annotated[int, Gt(0)] = 5,
        time_features: Annotated[int, Gt(1)] = 16,
        classes: Annotated[int, Ge(0)] = 0,
        span: bool = False,
        conditions: tuple[str, ...] = (),
        entries: Mapping[str, ConditionSpec] = NO_ENTRIES,
        activation: Literal["silu", "gelu", "relu", "tanh"] = "silu",
    ) -> None:
        super().__init__()
        if not shape or min(shape) < 1:
            raise ComponentError(
                f"model 'mlp' needs data of at least one value, not of shape {tuple(shape)}"
            )
        self.time_features = time_features
        self.classes = classes
        self.span = span
        self.read_entries = chosen_entries(conditions, entries, "mlp")
        self.fastest = FASTEST_SPAN if span else FASTEST
        size = math.prod(shape)
        times = 2 if span else 1
        # an entry has a column that is 1 where it is given
        given = sum(spec.size + 1 for spec in self.read_entries.values())
        widths = [size + times * time_features + classes + given, *[width] * depth]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Linear(inputs, outputs), _ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, size))

    @property
    def reads(self) -> frozenset[str]:
        return super().reads | self.read_entries.keys()

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Condition | None = None,
        *,
        until: Tensor | None = None,
    ) -> Tensor:
        times = [t]
        if self.span:
            times.append(torch.zeros_like(t) if until is None else until - t)
        features = [
            sinusoidal(time, self.time_features, self.fastest, ratio=1 / 16).to(x.dtype)
            for time in times
        ]
        given = [self._one_hot(x, condition), vectors(x, condition, self.read_entries)]
        inputs = torch.cat([x.flatten(1), *features, *given], dim=1)
        prediction: Tensor = self.layers(inputs)
        return prediction.reshape(x.shape)

    def _one_hot(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Return the labels as `(batch, classes)`: 1 in the class's column, zeros for -1."""
        if condition is None or "label" not in condition:
            return x.new_zeros(len(x), self.classes)
        label = condition["label"]
        return (label[:, None] == torch.arange(self.classes, device=label.device)).to(x.dtype)

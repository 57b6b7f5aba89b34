"""The fully connected network of the paper's 2-D experiments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn

from fmcore import ComponentError, Condition, ConditionSpec, Euclidean, Space, VectorField
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


FLAT = Euclidean()
"""The space where the framework gives none."""


@final
class _Residual(nn.Module):
    def __init__(self, width: int, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(width), *layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # type: ignore[no-any-return]


@final
class MLP(VectorField):
    """An MLP of `depth` hidden layers of `width` units on the flattened x, `time_features`
    sinusoids of t, and the label.

    The paper's has 5 layers of 512.  Takes data of any shape.  `classes` > 0 makes it read
    `condition["label"]`, one-hot, with zeros for the null class.  `conditions` names other entries
    of the data that it reads, flattened; the framework fills in their shapes (`entries`).  `span`
    adds the second time of a flow map; the framework sets it where the objective needs it.

    On other spaces than R^n it reads `space.features`, such as sines and cosines of angles, and
    with `octaves` > 0 also sin and cos of pi 2^k times each, k < octaves, for data with detail.
    `residual` adds each hidden layer to its input, after a normalization; `dropout` is that of the
    hidden units.
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
        octaves: Annotated[int, Ge(0), Le(16)] = 0,
        residual: bool = False,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        space: Space = FLAT,
        output_shape: tuple[int, ...] | None = None,
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
        self.space = space
        self.octaves = octaves
        self.output_shape = tuple(shape if output_shape is None else output_shape)
        # a row of zeros is enough to count, also of spaces without the point 0
        size = self._inputs(torch.zeros(1, *shape, device="cpu")).shape[1]
        times = 2 if span else 1
        # an entry has a column that is 1 where it is given
        given = sum(spec.size + 1 for spec in self.read_entries.values())
        widths = [size + times * time_features + classes + given, *[width] * depth]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layer = [nn.Linear(inputs, outputs), _ACTIVATIONS[activation]()]
            if dropout:
                layer.append(nn.Dropout(dropout))
            # the first layer has another width, so that nothing can be added to it
            layers += [_Residual(width, *layer)] if residual and layers else layer
        self.layers = nn.Sequential(*layers, nn.Linear(width, math.prod(self.output_shape)))

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
        inputs = torch.cat([self._inputs(x), *features, *given], dim=1)
        prediction: Tensor = self.layers(inputs)
        return prediction.reshape(len(x), *self.output_shape)

    def _inputs(self, x: Tensor) -> Tensor:
        """Return the features of x, `(batch, features)`."""
        if self.space.flat and not self.octaves:
            return x.flatten(1)
        coordinates = self.space.features(x).flatten(1)
        powers = math.pi * 2 ** torch.arange(self.octaves, device=x.device)
        angles = (coordinates.unsqueeze(-1) * powers).flatten(1)
        return torch.cat([coordinates, angles.sin(), angles.cos()], 1)

    def _one_hot(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Return the labels as `(batch, classes)`: 1 in the class's column, zeros for -1."""
        if condition is None or "label" not in condition:
            return x.new_zeros(len(x), self.classes)
        label = condition["label"]
        return (label[:, None] == torch.arange(self.classes, device=label.device)).to(x.dtype)

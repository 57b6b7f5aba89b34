"""The objective of a product space: one objective for each part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from fmcore import (
    Batch,
    ComponentError,
    Net,
    Objective,
    Path,
    Predictor,
    Product,
    Quantity,
    Space,
)
from fmcore_spaces.product_path import ProductPath

__all__ = ["ProductObjective"]


@final
@dataclass(frozen=True)
class ProductObjective(Objective):
    """The objectives `parts` of the parts' own paths, of one network and one time.

    The network's output is a row of all parts' outputs, in the order of the space.  Its losses are
    those of the parts, as PART/LOSS.  `weights` are the parts' weights in the total, 1 by default.
    """

    parts: dict[str, Objective]
    weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.weights if name not in self.parts]
        if unknown:
            raise ComponentError(f"objective 'product': weights names no part: '{unknown[0]}'")
        if not self.parts:
            raise ComponentError("objective 'product' needs an objective for each part")
        for name, part in self.parts.items():
            if part.spans or part.times != ("t",):
                raise ComponentError(
                    f"objective 'product', part '{name}': {type(part).__name__} is no objective of "
                    "one time"
                )

    def __hash__(self) -> int:
        return hash((*self.parts.items(), *self.weights.items()))

    @property
    def prediction(self) -> Quantity:
        return "parts"

    @property
    def loss_names(self) -> tuple[str, ...]:
        return tuple(f"{n}/{loss}" for n, part in self.parts.items() for loss in part.loss_names)

    @property
    def loss_weights(self) -> Mapping[str, float]:
        return {
            f"{n}/{loss}": self.weights.get(n, 1.0) * part.loss_weights.get(loss, 1.0)
            for n, part in self.parts.items()
            for loss in part.loss_names
        }

    def supports(self, space: Space) -> bool:
        return isinstance(space, Product)

    def check(self, path: Path) -> None:
        if not isinstance(path, ProductPath):
            raise ComponentError(
                f"objective 'product' needs path 'product', not {type(path).__name__}"
            )
        if set(self.parts) != set(path.parts):
            raise ComponentError(
                f"objective 'product' has the parts {', '.join(self.parts)}, and the path "
                f"{', '.join(path.parts)}"
            )
        for name, part in self.parts.items():
            own = path.parts[name]
            if not part.supports(own.space):
                raise ComponentError(
                    f"objective 'product', part '{name}': {type(part).__name__} does not train "
                    f"flows of points of {type(own.space).__name__}"
                )
            try:
                part.check(own)
            except ComponentError as error:
                raise ComponentError(f"objective 'product', part '{name}': {error}") from error

    def draw(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Mapping[str, Tensor]:
        # one network evaluation: the parts share the time that the first of them draws
        return next(iter(self.parts.values())).draw(n, generator, part)

    def output_shape(self, path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (sum(math.prod(own) for own in self._output_shapes(path).values()),)

    def losses(self, net: Net, path: Path, batch: Batch) -> Mapping[str, Tensor]:
        product = _product(path)
        sample = batch.at(batch.draws["t"])
        outputs = self._split(net(sample.xt, sample.t), path)
        split = product.product.split
        x0, x1 = split(batch.x0), split(batch.x1)
        z = None if batch.z is None else split(batch.z)
        losses: dict[str, Tensor] = {}
        for name, part in self.parts.items():
            own_path = product.parts[name]
            own = Batch(
                own_path,
                x0[name],
                x1[name],
                None if z is None or own_path.bridge() is None else z[name],
                _of_part(batch.condition, product.product, name),
                batch.draws,
            )
            output = outputs[name]
            found = part.losses(_Given(output), own_path, own)
            losses |= {f"{name}/{loss}": value for loss, value in found.items()}
        return losses

    def read(self, raw: Tensor, xt: Tensor, t: Tensor, path: Path) -> Mapping[Quantity, Tensor]:
        """The velocity of each continuous part and the posterior of each part of tokens."""
        product = _product(path)
        points, outputs = product.product.split(xt), self._split(raw, path)
        found: dict[str, Tensor] = {}
        for name, own_path in product.parts.items():
            target: Quantity = "velocity" if own_path.space.continuous else "posterior"
            predicted = self.parts[name].read(outputs[name], points[name], t, own_path)
            allowed = {q: own_path.constrain(v, points[name], q) for q, v in predicted.items()}
            if target in allowed:
                found[name] = allowed[target]
            else:
                source, value = next(iter(allowed.items()))
                found[name] = own_path.convert(value, points[name], t, source=source, target=target)
        return {"parts": product.join_prediction(found)}

    def _output_shapes(self, path: Path) -> dict[str, tuple[int, ...]]:
        product = _product(path)
        return {
            name: self.parts[name].output_shape(own, tuple(product.product.shapes[name]))
            for name, own in product.parts.items()
        }

    def _split(self, raw: Tensor, path: Path) -> dict[str, Tensor]:
        shapes = self._output_shapes(path)
        pieces = raw.split([math.prod(s) for s in shapes.values()], 1)  # type: ignore[no-untyped-call]
        return {
            name: piece.reshape(len(raw), *shape)
            for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
        }


@final
@dataclass(frozen=True)
class _Given:
    """The network of one part: its output was computed with that of the others."""

    output: Tensor

    def __call__(self, x: Tensor, t: Tensor, *, until: Tensor | None = None) -> Tensor:
        return self.output

    def jvp(
        self,
        x: Tensor,
        t: Tensor,
        until: Tensor | None = None,
        *,
        dx: Tensor,
        dt: Tensor,
        duntil: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        raise _only_output("derivatives of the network")

    def without(self, *names: str) -> Net:
        raise _only_output("the network without conditions")

    def averaged(self) -> Net:
        raise _only_output("the averaged network")

    def teacher(self, name: str) -> Predictor:
        raise _only_output("a teacher")


def _only_output(what: str) -> ComponentError:
    return ComponentError(
        f"objective 'product' evaluates the network once for all parts; a part asked for {what}: "
        "use an objective that only reads the output, such as 'flow_matching'"
    )


def _product(path: Path) -> ProductPath:
    if not isinstance(path, ProductPath):
        raise ComponentError("objective 'product' needs path 'product'")
    return path


def _of_part(
    condition: Mapping[str, Tensor] | None, product: Product, name: str
) -> Mapping[str, Tensor] | None:
    """Return the condition of one part: entries that have the row's shape are cut."""
    if condition is None:
        return None
    cut = {}
    for key, value in condition.items():
        whole = key in ("mask", "frozen", "frozen_values") and value.shape[1:] == (product.size,)
        cut[key] = product.split(value)[name] if whole else value
    return cut

"""The path of a product space: one path for each part."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self, final

import torch
from torch import Tensor

from fmcore import (
    ComponentError,
    Condition,
    Path,
    PathSample,
    Product,
    Rows,
    Source,
    Space,
    Tokens,
)
from fmcore.errors import did_you_mean

__all__ = ["ProductPath"]


@final
@dataclass(frozen=True)
class _Joined(Source):
    """Independent draws of the parts' sources in one row; 0 for a part without one."""

    product: Product
    sources: dict[str, Source | None]

    @property
    def reads(self) -> frozenset[str]:
        return frozenset().union(*(s.reads for s in self.sources.values() if s is not None))

    def sample(
        self,
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        drawn = {}
        for name, source in self.sources.items():
            own = tuple(self.product.shapes[name])
            if source is None:
                drawn[name] = torch.zeros((len(rows), *own), dtype=dtype, device=rows.device)
            else:
                drawn[name] = source.sample(rows, own, condition, dtype)
        return self.product.join(drawn)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        parts = self.product.split(x)
        return sum(
            (s.log_prob(parts[n], condition) for n, s in self.sources.items() if s is not None),
            x.new_zeros(len(x)),
        )


@final
@dataclass(frozen=True)
class ProductPath(Path):
    """Independent paths of the parts of a product space, `parts` by their names, all at one time.

    Its interval is the part that all paths share.
    """

    parts: dict[str, Path]
    space: Space = Product({"x": Tokens(2)}, {"x": (1,)})  # noqa: RUF009  # replaced by the data's

    def __hash__(self) -> int:
        return hash((*self.parts.items(), self.space))

    def on(self, space: Space) -> Self:
        if not isinstance(space, Product):
            raise ComponentError(
                f"path 'product' needs a product space, and the data are points of "
                f"{type(space).__name__}: use path 'geodesic' or 'mixture'"
            )
        for name in self.parts:
            if name not in space.parts:
                hint = did_you_mean(name, space.parts) or f"; parts: {', '.join(space.parts)}"
                raise ComponentError(f"path 'product': the data have no part '{name}'{hint}")
        missing = [name for name in space.parts if name not in self.parts]
        if missing:
            raise ComponentError(f"path 'product' has no path for the part '{missing[0]}'")
        bound = {}
        for name, part in space.parts.items():
            try:
                bound[name] = self.parts[name].on(part)
            except ComponentError as error:
                raise ComponentError(f"path 'product', part '{name}': {error}") from error
        return replace(self, parts=bound, space=space)

    @property
    def product(self) -> Product:
        """The space."""
        if not isinstance(self.space, Product):
            raise ComponentError("path 'product' needs a product space")
        return self.space

    @property
    def t_min(self) -> float:
        return max(path.t_min for path in self.parts.values())

    @property
    def t_max(self) -> float:
        return min(path.t_max for path in self.parts.values())

    def noise(self) -> Source:
        return self._joined(lambda path: path.noise())

    def prior(self) -> Source:
        return self._joined(lambda path: path.prior())

    def bridge(self) -> Source | None:
        found = self._joined(lambda path: path.bridge())
        return found if any(s is not None for s in found.sources.values()) else None

    def _joined(self, of: Callable[[Path], Source | None]) -> _Joined:
        return _Joined(self.product, {name: of(path) for name, path in self.parts.items()})

    def samples(
        self, x0: Tensor, x1: Tensor, t: Tensor, z: Tensor | None = None
    ) -> dict[str, PathSample]:
        """Return the sample of each part."""
        starts, ends = self.product.split(x0), self.product.split(x1)
        draws = None if z is None else self.product.split(z)
        found = {}
        for name, path in self.parts.items():
            own = () if draws is None or path.bridge() is None else (draws[name],)
            found[name] = path.sample(starts[name], ends[name], t, *own)
        return found

    def sample(self, x0: Tensor, x1: Tensor, t: Tensor, z: Tensor | None = None) -> PathSample:
        parts = self.samples(x0, x1, t, z)
        xt, ut = (
            self.product.join({name: getattr(part, field) for name, part in parts.items()})
            for field in ("xt", "ut")
        )
        return PathSample(x0=x0, x1=x1, t=t, xt=xt.to(x1.dtype), ut=ut.to(x1.dtype))

    @property
    def prediction_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each part's velocity or posterior, in the order of `parts`."""
        spaces, shapes = self.product.parts, self.product.shapes
        return {
            name: (*shapes[name], space.classes)
            if isinstance(space, Tokens)
            else tuple(shapes[name])
            for name, space in spaces.items()
        }

    def split_prediction(self, value: Tensor) -> dict[str, Tensor]:
        """Return the quantity `parts`, `(batch, elements)`, by part: velocities and posteriors."""
        shapes = self.prediction_shapes
        sizes = [math.prod(shape) for shape in shapes.values()]
        pieces = value.split(sizes, 1)  # type: ignore[no-untyped-call]
        return {
            name: piece.reshape(len(value), *shape)
            for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
        }

    def join_prediction(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return the quantity `parts` from velocities and posteriors."""
        return torch.cat([parts[name].flatten(1) for name in self.parts], 1)

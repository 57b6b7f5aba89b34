"""Interface of spaces: where the points of the data are.

Points are tensors `(batch, *shape)`.  A space with points of several numbers, such as unit vectors,
reads them from the last dimensions of `shape`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.options import Options
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.tensors import as_rows

__all__ = ["Euclidean", "Manifold", "Product", "Space", "Tokens"]


class Space(Options, ABC):
    """A set of points, as rows of floating-point numbers; tokens are whole numbers.

    Laws:
    * `project(x)` is a point of the space, and x itself where x is one.
    * `require` accepts what `project` and `uniform` give.
    """

    kind: ClassVar[str] = "space"

    @property
    def flat(self) -> bool:
        """Whether every tensor is a point: only for R^n."""
        return False

    @property
    def continuous(self) -> bool:
        """Whether points move along velocities."""
        return False

    @abstractmethod
    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ComponentError if data of `shape` cannot be points of this space."""

    @abstractmethod
    def require(self, x: Tensor, what: str) -> None:
        """Raise ComponentError unless every row of `x` is a point; `what` names x in the
        message.
        """

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """Return the nearest point to each row of `x`."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Return smooth coordinates of points for a network, `(batch, *kept, n)`: equal points have
        equal features.  `kept` are the dimensions of `shape` that count points.
        """

    @abstractmethod
    def uniform(self, rows: Rows, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Draw `(len(rows), *shape)` from the uniform distribution, by `rows` alone.

        Raises ComponentError where there is none.
        """

    @abstractmethod
    def log_volume(self, shape: tuple[int, ...]) -> float:
        """Return the logarithm of the volume of points of `shape`, in which densities are measured:
        the uniform density is exp(-log_volume).  Raises ComponentError where it is infinite.
        """

    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """Return the tangent vector at `x` nearest to `v`.

        Raises ComponentError for a space without velocities.
        """
        raise ComponentError(f"points of {type(self).__name__} have no velocity")

    def squared_distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the squared distance of points, `(batch,)`, summed over the points of a row.

        Raises ComponentError for a space without a distance.
        """
        raise ComponentError(f"points of {type(self).__name__} have no distance")


class Manifold(Space):
    """A Riemannian manifold.  Tangent vectors have the shape of points: they are those of the
    surrounding R^n.

    `point` are the trailing dimensions of one point: () where every number is a point by itself.

    Laws:
    * `geodesic(x, v, s)` starts at x with the velocity v and has constant speed; `exp(x, v)` is its
      point at s = 1, and exp(x, log(x, y)) = y.
    * `project` is differentiable near the manifold, with derivative 0 along normals; `tangent`
      is idempotent.
    * `log` is finite everywhere, with finite gradients in float32 at all distances up to the cut
      locus.
    """

    @property
    def point(self) -> tuple[int, ...]:
        """The trailing dimensions of one point."""
        return ()

    @property
    def continuous(self) -> bool:
        return True

    def check(self, shape: tuple[int, ...]) -> None:
        n = len(self.point)
        if n and tuple(shape[-n:]) != self.point:
            raise ComponentError(
                f"points of {type(self).__name__} have the trailing shape {self.point}, and the "
                f"data have shape {tuple(shape)}"
            )

    @abstractmethod
    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """Return the tangent vector at `x` nearest to `v`, both `(batch, *shape)`."""

    @abstractmethod
    def geodesic(self, x: Tensor, v: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """Return the point and the velocity at `s` of the geodesic from `x` with velocity `v`.

        `s` broadcasts to x's shape.
        """

    @abstractmethod
    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the velocity at `x` of the shortest geodesic that is at `y` at s = 1."""

    @abstractmethod
    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Return the inner product of tangent vectors of each point, without the dimensions of
        `point`.
        """

    @final
    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Return the point at s = 1 of the geodesic from `x` with velocity `v`."""
        return self.geodesic(x, v, torch.ones_like(x))[0]

    def squared_distance(self, x: Tensor, y: Tensor) -> Tensor:
        log = self.log(x, y)
        return as_rows(self.inner(x, log, log)).sum(1)


@final
@dataclass(frozen=True)
class Euclidean(Manifold):
    """R^n: points are tensors of any shape."""

    @property
    def flat(self) -> bool:
        return True

    def require(self, x: Tensor, what: str) -> None:
        if not x.isfinite().all():
            raise ComponentError(f"{what} holds values that are not finite")

    def project(self, x: Tensor) -> Tensor:
        return x

    def features(self, x: Tensor) -> Tensor:
        return as_rows(x)

    def uniform(self, rows: Rows, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        raise ComponentError(
            "R^n has no uniform distribution: use source 'gaussian', or data on a compact space"
        )

    def log_volume(self, shape: tuple[int, ...]) -> float:
        raise ComponentError("R^n has an infinite volume")

    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        return v

    def geodesic(self, x: Tensor, v: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        return x + s * v, v

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        return y - x

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return u * v


@final
@dataclass(frozen=True)
class Tokens(Space):
    """Whole numbers 0 .. classes - 1; with `mask`, x0 and xt may hold the further state `classes`.

    Data and samples never hold the mask.  A dataset gives tokens as int64; elsewhere they are whole
    floating-point numbers, so that couplings, shards and solvers treat them as any state.
    """

    classes: Annotated[int, Gt(1)]
    mask: bool = False

    @property
    def states(self) -> int:
        """The number of states, with the mask."""
        return self.classes + self.mask

    def check(self, shape: tuple[int, ...]) -> None:
        """Accept every shape."""

    def require(self, x: Tensor, what: str) -> None:
        whole = x == x.round()
        if not bool((whole & (x >= 0) & (x < self.classes)).all()):
            wrong = x[~(whole & (x >= 0) & (x < self.classes))].flatten()[0]
            raise ComponentError(
                f"{what} holds {float(wrong):g}, and tokens are whole numbers from 0 to "
                f"{self.classes - 1}"
            )

    def project(self, x: Tensor) -> Tensor:
        return x.round().clamp(0, self.states - 1)

    def indices(self, x: Tensor) -> Tensor:
        """Return the tokens as int64."""
        return x.round().long()

    def features(self, x: Tensor) -> Tensor:
        states = torch.arange(self.states, device=x.device, dtype=x.dtype)
        return (x.unsqueeze(-1) == states).to(x.dtype)

    def uniform(self, rows: Rows, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        drawn = rows.uniform(shape, torch.float64)
        return (drawn * self.classes).floor().to(dtype)

    def log_volume(self, shape: tuple[int, ...]) -> float:
        return math.prod(shape) * math.log(self.classes)

    def squared_distance(self, x: Tensor, y: Tensor) -> Tensor:
        return as_rows((x != y).to(x.dtype)).sum(1)


@final
@dataclass(frozen=True)
class Product(Space):
    """Points of several spaces as one row, `(batch, elements)`, in the order of `parts`.

    `shapes` are those of the parts' points.  Raises ComponentError unless both have the same names
    and every shape fits its space.
    """

    parts: dict[str, Space]
    shapes: dict[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        super().__post_init__()
        if tuple(self.parts) != tuple(self.shapes) or not self.parts:
            raise ComponentError(
                f"a product space needs parts and shapes of the same names in the same order; got "
                f"{list(self.parts)} and {list(self.shapes)}"
            )
        for name, space in self.parts.items():
            try:
                space.check(tuple(self.shapes[name]))
            except ComponentError as error:
                raise ComponentError(f"part '{name}': {error}") from error

    def __hash__(self) -> int:
        return hash((*self.parts.items(), *map(tuple, self.shapes.values())))

    @property
    def flat(self) -> bool:
        return all(space.flat for space in self.parts.values())

    @property
    def continuous(self) -> bool:
        return all(space.continuous for space in self.parts.values())

    @property
    def size(self) -> int:
        """The number of elements of a row."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def check(self, shape: tuple[int, ...]) -> None:
        if tuple(shape) != (self.size,):
            raise ComponentError(
                f"a row of the product of {', '.join(self.parts)} has {self.size} elements, and "
                f"the data have shape {tuple(shape)}"
            )

    def split(self, x: Tensor) -> dict[str, Tensor]:
        """Return the parts of rows `(..., elements)`, each `(..., *shape)`, as views."""
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        rows = x.split(sizes, -1)  # type: ignore[no-untyped-call]
        return {
            name: row.reshape(*x.shape[:-1], *shape)
            for (name, shape), row in zip(self.shapes.items(), rows, strict=True)
        }

    def join(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return the row of parts, each `(batch, *shape)`; integers become the dtype of the first
        floating-point part, float32 without one.

        Raises ComponentError for other names.
        """
        if set(parts) != set(self.parts):
            raise ComponentError(
                f"parts {', '.join(parts)} where the space has {', '.join(self.parts)}"
            )
        floating = [x.dtype for x in parts.values() if x.is_floating_point()]
        dtype = floating[0] if floating else torch.float32
        return torch.cat([as_rows(parts[name]).to(dtype) for name in self.parts], 1)

    def require(self, x: Tensor, what: str) -> None:
        for name, part in self.split(x).items():
            self.parts[name].require(part, f"part '{name}' of {what}")

    def project(self, x: Tensor) -> Tensor:
        return self.join({n: self.parts[n].project(p) for n, p in self.split(x).items()})

    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        at, along = self.split(x), self.split(v)
        return self.join({n: space.tangent(at[n], along[n]) for n, space in self.parts.items()})

    def features(self, x: Tensor) -> Tensor:
        found = [self.parts[n].features(p).flatten(1) for n, p in self.split(x).items()]
        return torch.cat(found, 1)

    def uniform(self, rows: Rows, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return self.join(
            {
                name: space.uniform(rows, self.shapes[name], dtype)
                for name, space in self.parts.items()
            }
        )

    def log_volume(self, shape: tuple[int, ...]) -> float:
        return sum(space.log_volume(self.shapes[n]) for n, space in self.parts.items())

    def squared_distance(self, x: Tensor, y: Tensor) -> Tensor:
        one, other = self.split(x), self.split(y)
        distances = [space.squared_distance(one[n], other[n]) for n, space in self.parts.items()]
        return torch.stack(distances).sum(0)

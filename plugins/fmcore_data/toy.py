"""Points in the plane, drawn from two-dimensional test distributions."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import Dataset, generator_for

__all__ = ["Toy"]

Figure = Literal[
    "checkerboard", "eight_gaussians", "two_moons", "spirals", "rings", "pinwheel", "swiss_roll"
]


@final
@dataclass(frozen=True)
class Toy(Dataset):
    """`count` points `(2,)`, float32, of a figure; a function of (figure, seed, split).

    The splits are independent draws.  Each figure has about the scale of N(0, I) except the
    checkerboard, which is the paper's: unit squares on [-2, 2]^2 divided by 0.45.  The label of a
    point is the number of its square, moon, ring or arm.
    """

    figure: Figure = "checkerboard"
    count: Annotated[int, Gt(0)] = 50_000
    seed: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def classes(self) -> int:
        return _FIGURES[self.figure][1]

    @property
    def length(self) -> int:
        return self.count

    @property
    def fingerprint(self) -> str:
        # A hash of the options, not of the points: the last bit of a sine differs between machines.
        name = f"toy 1/{self.figure}/{self.count}/{self.seed}/{self.split}"
        return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        points, labels = self._drawn
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return {"x1": points[rows], "label": labels[rows]}

    @cached_property
    def _drawn(self) -> tuple[Tensor, Tensor]:
        draw, parts = _FIGURES[self.figure]
        generator = generator_for(self.seed, f"toy/{self.figure}/{self.split}")
        labels = torch.randint(parts, (self.count,), generator=generator)
        return draw(labels, generator).float(), labels


def _uniform(n: int, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator, dtype=torch.float64)


def _normal(n: int, generator: torch.Generator) -> Tensor:
    return torch.randn(n, 2, generator=generator, dtype=torch.float64)


def _polar(radius: Tensor | float, angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], dim=1) * torch.as_tensor(radius)[..., None]


def _checkerboard(square: Tensor, generator: torch.Generator) -> Tensor:
    """The eight squares of a 4x4 board whose column and row have an even sum."""
    column, pair = square % 4, square // 4
    corner = torch.stack([column, 2 * pair + column % 2], dim=1) - 2
    inside = torch.rand(len(square), 2, generator=generator, dtype=torch.float64)
    return (corner + inside) / 0.45


def _eight_gaussians(part: Tensor, generator: torch.Generator) -> Tensor:
    return _polar(2.0, part * (math.pi / 4)) + 0.2 * _normal(len(part), generator)


def _two_moons(moon: Tensor, generator: torch.Generator) -> Tensor:
    """Two half circles, the second upside down and moved into the opening of the first."""
    angle = math.pi * (_uniform(len(moon), generator) + moon)
    centre = torch.stack([moon - 0.5, 0.5 * moon - 0.25], dim=1)
    return 1.4 * (_polar(1.0, angle) + centre) + 0.08 * _normal(len(moon), generator)


def _spirals(arm: Tensor, generator: torch.Generator) -> Tensor:
    turn = 3 * math.pi * _uniform(len(arm), generator).sqrt()
    return _polar(turn / 4, turn + math.pi * arm) + 0.06 * _normal(len(arm), generator)


def _rings(ring: Tensor, generator: torch.Generator) -> Tensor:
    angle = 2 * math.pi * _uniform(len(ring), generator)
    return _polar(0.6 * (ring + 1.0), angle) + 0.06 * _normal(len(ring), generator)


def _pinwheel(blade: Tensor, generator: torch.Generator) -> Tensor:
    """Five Gaussian blades, rotated in proportion to the radius."""
    noise = _normal(len(blade), generator)
    along, across = 1.3 + 0.4 * noise[:, 0], 0.12 * noise[:, 1]
    radius, angle = torch.hypot(along, across), torch.atan2(across, along)
    return _polar(radius, angle + blade * (2 * math.pi / 5) + 0.6 * radius)


def _swiss_roll(_: Tensor, generator: torch.Generator) -> Tensor:
    turn = 1.5 * math.pi * (1 + 2 * _uniform(len(_), generator))
    return _polar(turn / 6, turn) + 0.06 * _normal(len(_), generator)


_FIGURES: dict[Figure, tuple[Callable[[Tensor, torch.Generator], Tensor], int]] = {
    "checkerboard": (_checkerboard, 8),
    "eight_gaussians": (_eight_gaussians, 8),
    "two_moons": (_two_moons, 2),
    "spirals": (_spirals, 2),
    "rings": (_rings, 3),
    "pinwheel": (_pinwheel, 5),
    "swiss_roll": (_swiss_roll, 1),
}
"""Of each figure: a function that draws points of given parts, and the number of parts, which are
equally likely."""

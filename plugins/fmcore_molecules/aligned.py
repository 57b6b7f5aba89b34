"""Pairs of noise and fragments, the noise turned towards its fragment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

import torch
from torch import Tensor

from fmcore import ComponentError, Condition, Coupling, Dataset, Pairing, Path, Product, Space
from fmcore_molecules.fragment_space import PARTS, product_of

__all__ = ["Aligned", "best_rotation"]


@final
@dataclass(frozen=True)
class Aligned(Coupling):
    """Pairs of rows as they were drawn, with each fragment of noise turned as a whole towards its
    fragment of data: positions and frames have a shorter way to go.

    The rotation minimizes the sum of the squared distances in R^n of positions and of the entries
    of frames.  The noise of the pairs keeps its distribution because the data are turned by uniform
    rotations.  For data 'peptides'.  Source: Klein et al. 2023 (arXiv 2306.15030), section 4, here
    with rotations alone.
    """

    symmetry: ClassVar[bool] = True

    space: Product = product_of(8)  # noqa: RUF009  # a frozen value; the data's space replaces it

    def on(self, space: Space) -> Self:
        if not isinstance(space, Product) or tuple(space.parts) != PARTS:
            raise ComponentError(
                f"coupling 'aligned' turns fragments with the parts {', '.join(PARTS)}, as data "
                f"'peptides' has them, and the data are points of {type(space).__name__}: use "
                "coupling 'independent'"
            )
        return replace(self, space=space)

    def check(self, path: Path, data: Dataset | None = None) -> None:
        if data is not None and data.pairs:
            raise ComponentError(
                f"dataset {type(data).__name__} comes in pairs of x0 and x1: use coupling 'paired'"
            )
        # given its receptor, a fragment has no uniform rotation, and turned noise would follow it
        if data is not None and "receptor" in data.entries:
            raise ComponentError(
                "coupling 'aligned' needs fragments whose rotation is uniform, and a receptor "
                "determines it: use coupling 'independent', or set data.receptor=0"
            )

    def pair(
        self, x0: Tensor, x1: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Pairing:
        noise, data = self.space.split(x0), self.space.split(x1)
        points, goals = (
            # the axes of frames are points too: the columns of their matrices
            torch.cat([part["position"], part["frame"].mT.flatten(1, 2)], 1)
            for part in (noise, data)
        )
        turn = best_rotation(points, goals)
        noise["position"] = noise["position"] @ turn.mT
        noise["frame"] = turn[:, None] @ noise["frame"]
        return Pairing(self.space.join(noise), x1, condition)


def best_rotation(points: Tensor, goals: Tensor) -> Tensor:
    """Return the rotations Q, `(batch, 3, 3)`, that minimize the sum of |Q p - g|^2 over points p
    and goals g, both `(batch, n, 3)`.  Source: Kabsch 1976.
    """
    u, _, vt = torch.linalg.svd(goals.mT @ points)
    # the best orthogonal matrix may be a reflection: then the least singular direction is turned
    sign = torch.linalg.det(u @ vt)
    u = torch.cat([u[..., :2], u[..., 2:] * sign[:, None, None]], -1)
    turn: Tensor = u @ vt
    return turn

"""The pocket of a receptor as a condition: the residues of other chains around a peptide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from fmcore_molecules.geometry import frames_of
from fmcore_molecules.pdb import RESIDUES

__all__ = ["REACH", "ROW", "Receptor", "nearest", "pocket"]

REACH = 10.0
"""The distance in Å of two CA atoms within which a residue belongs to the pocket."""

ROW = 3 + 9 + 1 + 1
"""The values of one residue: position, frame, amino acid, and 1 where it exists."""


@final
@dataclass(frozen=True)
class Receptor:
    """The parts of a condition `receptor`, `(batch, n, 14)`: `position` of CA, `(batch, n, 3)`, in
    the units of the peptide's; `frame`, `(batch, n, 3, 3)`; `residue`, `(batch, n)` indices of the
    amino acids; `exists`, `(batch, n)` bool, False at padding.
    """

    position: Tensor
    frame: Tensor
    residue: Tensor
    exists: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Receptor:
        """Return the parts of `rows`, `(batch, n, 14)`."""
        position, frame, residue, exists = rows.split([3, 9, 1, 1], -1)  # type: ignore[no-untyped-call]
        return cls(
            position,
            frame.unflatten(-1, (3, 3)),
            residue.squeeze(-1).round().long(),
            exists.squeeze(-1) > 0,
        )

    def rows(self) -> Tensor:
        """Return the condition, `(batch, n, 14)`; padding is 0."""
        columns = [self.residue.unsqueeze(-1), self.exists.unsqueeze(-1)]
        values = [self.position, self.frame.flatten(-2), *(c.to(self.position) for c in columns)]
        return torch.cat(values, -1) * self.exists.unsqueeze(-1)

    def turned(self, turn: Tensor) -> Receptor:
        """Return it turned about the origin by `turn`, `(batch, 3, 3)`."""
        return Receptor(
            self.position @ turn.mT, turn[:, None] @ self.frame, self.residue, self.exists
        )

    def letters(self) -> Tensor:
        """Return the amino acids one-hot, `(batch, n, 20)`."""
        return F.one_hot(self.residue, len(RESIDUES)).to(self.position)


def nearest(carbons: Tensor, atoms: Tensor, count: int) -> Tensor:
    """Return the indices, rising, of the residues `atoms`, `(m, 3, 3)`, whose CA is within REACH of
    one of the CA atoms `carbons`, `(n, 3)`; of more than `count` the nearest.
    """
    distance = torch.cdist(atoms[:, 1].double(), carbons.double()).amin(1)
    within = int((distance <= REACH).sum())
    return distance.argsort(stable=True)[: min(count, within)].sort().values


def pocket(atoms: Tensor, residues: Tensor, size: int, scale: float) -> tuple[Tensor, Tensor]:
    """Return the condition of the residues `atoms`, `(m, 3, 3)` in Å with m <= size, as
    `(size, 14)`, and its origin in Å, `(3,)`: the mean of their CA atoms.

    Positions are from the origin, in units of `scale` Å.
    """
    frames, carbons = frames_of(atoms)
    origin = carbons.mean(0)
    missing = size - len(atoms)
    found = Receptor(
        ((carbons - origin) / scale)[None],
        frames[None],
        residues[None],
        torch.ones(1, len(atoms), dtype=torch.bool),
    )
    return F.pad(found.rows()[0], (0, 0, 0, missing)), origin

"""Geometry of protein backbones: torsions, residue frames, and atoms from either.

Lengths are in Å, angles in radians.  Bond lengths and angles are the averages of Engh and Huber
1991.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["IDEAL", "atoms_of_frames", "atoms_of_torsions", "dihedral", "frames_of", "torsions_of"]

N_CA, CA_C, C_N = 1.458, 1.525, 1.329
"""Bond lengths."""

AT_CA, AT_C, AT_N = math.radians(111.0), math.radians(116.2), math.radians(121.7)
"""The bond angles N-CA-C, CA-C-N and C-N-CA."""

IDEAL = torch.tensor(
    [
        [N_CA * math.cos(AT_CA), N_CA * math.sin(AT_CA), 0.0],
        [0.0, 0.0, 0.0],
        [CA_C, 0.0, 0.0],
    ]
)
"""N, CA and C of an ideal residue in its frame: CA at the origin, C on the first axis, N in the
plane of the first two."""


def dihedral(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Return the torsion angle about the bond from `b` to `c`, `(...)`, from points `(..., 3)`."""
    axis = c - b
    before = torch.linalg.cross(b - a, axis)
    after = torch.linalg.cross(axis, d - c)
    sine = torch.linalg.cross(before, after)
    along = (sine * axis).sum(-1) / axis.norm(dim=-1).clamp_min(1e-12)
    return torch.atan2(along, (before * after).sum(-1))


def torsions_of(atoms: Tensor) -> Tensor:
    """Return phi, psi and omega of each residue, `(..., n, 3)`, from atoms `(..., n, 3, 3)`; omega
    is about the bond to the next residue.  NaN where a neighbour is missing.
    """
    n, ca, c = atoms.unbind(-2)
    found = torch.full((*n.shape[:-1], 3), math.nan, dtype=atoms.dtype)
    found[..., 1:, 0] = dihedral(c[..., :-1, :], n[..., 1:, :], ca[..., 1:, :], c[..., 1:, :])
    found[..., :-1, 1] = dihedral(n[..., :-1, :], ca[..., :-1, :], c[..., :-1, :], n[..., 1:, :])
    found[..., :-1, 2] = dihedral(ca[..., :-1, :], c[..., :-1, :], n[..., 1:, :], ca[..., 1:, :])
    return found


def frames_of(atoms: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rotation, `(..., 3, 3)`, and the origin CA, `(..., 3)`, of each residue's frame,
    by Gram-Schmidt from its atoms `(..., 3, 3)`.
    """
    n, ca, c = atoms.unbind(-2)
    first = torch.nn.functional.normalize(c - ca, dim=-1)
    side = n - ca
    second = torch.nn.functional.normalize(
        side - (side * first).sum(-1, keepdim=True) * first, dim=-1
    )
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1), ca


def atoms_of_frames(rotations: Tensor, origins: Tensor) -> Tensor:
    """Return N, CA and C, `(..., 3, 3)`, of ideal residues in these frames."""
    ideal = IDEAL.to(rotations)
    return torch.einsum("...ij,aj->...ai", rotations, ideal) + origins.unsqueeze(-2)


def atoms_of_torsions(torsions: Tensor) -> Tensor:
    """Return the atoms of ideal residues with these torsions, `(..., n, 3, 3)`, from
    `(..., n, 3)`: each atom follows from the three before it (NeRF, Parsons et al. 2005).

    The first phi and the last psi and omega have no effect.
    """
    batch, count = torsions.shape[:-2], torsions.shape[-2]
    placed = [x.to(torsions).expand(*batch, 3) for x in IDEAL]
    for i in range(1, count):
        _, psi, omega = torsions[..., i - 1, :].unbind(-1)
        phi = torsions[..., i, 0]
        for length, angle, turn in ((C_N, AT_C, psi), (N_CA, AT_N, omega), (CA_C, AT_CA, phi)):
            placed.append(_next_atom(placed[-3], placed[-2], placed[-1], length, angle, turn))
    return torch.stack(placed, -2).reshape(*batch, count, 3, 3)


def _next_atom(
    a: Tensor, b: Tensor, c: Tensor, length: float, angle: float, torsion: Tensor
) -> Tensor:
    """Return the atom at `length` from c, with the angle b-c-d and the torsion a-b-c-d."""
    along = torch.nn.functional.normalize(c - b, dim=-1)
    normal = torch.nn.functional.normalize(torch.linalg.cross(b - a, along), dim=-1)
    across = torch.linalg.cross(normal, along)
    back, out = -length * math.cos(angle), length * math.sin(angle)
    turned = torsion.cos().unsqueeze(-1) * across + torsion.sin().unsqueeze(-1) * normal
    placed: Tensor = c + back * along + out * turned
    return placed

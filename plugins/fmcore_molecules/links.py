"""Features of the links between neighbouring residues of a chain."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from fmcore_molecules.geometry import (
    AT_C,
    AT_N,
    C_N,
    IDEAL,
    atoms_of_torsions,
    dihedral,
    frames_of,
)

__all__ = ["LINK_FEATURES", "link_features"]

LINK_FEATURES = 2 * 2 * 15
"""The number of features of a residue: of its links to the next and to the previous one."""

NOISE_FLOOR = 0.02
"""Added to 1 - t where deviations are divided by it."""

CA_CA = 3.80
"""The distance in Å of neighbouring CA atoms with a trans bond between them."""


def link_features(
    frames: Tensor, places: Tensor, torsions: Tensor, t: Tensor, scale: float
) -> Tensor:
    """Return how far neighbouring residues are from an ideal bond and from their torsions,
    `(batch, n, features)`, in the residue's own frame; 0 where a chain has no neighbour.

    `places` are CA atoms in units of `scale` Å.  All features are 0 in a chain of ideal bonds, and
    of the order of 1 - t at time `t`.  They are given as they are and divided by 1 - t: near t = 1
    the velocity is a deviation divided by 1 - t, and a network learns no such factor by itself.
    """
    first, second = _deviations(frames, places, torsions, scale)
    # the last residue has no next one, the first none before it
    both = torch.cat([F.pad(first, (0, 0, 0, 1)), F.pad(second, (0, 0, 1, 0))], -1)
    noise = (1 - t).clamp_min(0) + NOISE_FLOOR
    return torch.cat([both, torch.asinh(both / noise[:, None, None].to(both.dtype))], -1)


def _deviations(
    frames: Tensor, places: Tensor, torsions: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Return the deviations of each link, `(batch, n - 1, 15)`, in the frame of its first residue
    and in that of its second.
    """
    before, after = frames[:, :-1], frames[:, 1:]
    relative = before.mT @ after
    back = relative.mT
    step = _turned(before.mT, places[:, 1:] - places[:, :-1])
    ideal = IDEAL.to(places)
    # the second residue in the frame of the first: as its frame places it, and as torsions do
    found = scale * step.unsqueeze(-2) + ideal @ back
    turned, origin = frames_of(_placed(torsions))
    shift = step - origin / scale
    turn = _vee(turned.mT @ relative)
    bond = found[..., 0, :] - ideal[2]
    length, far = _length(bond), _length(found[..., 1, :])
    stretch = bond * (1 - C_N / length) / scale
    lengths = torch.cat([length - C_N, far - CA_CA], -1) / scale
    given = torch.cat([torsions[:, :-1, 1:], torsions[:, 1:, :1]], -1)
    twist = (_torsions_between(ideal, found) - given).sin()
    # both angles of the bond: the cosine is that of its complement
    at_c = (bond / length * _unit(ideal[2])).sum(-1, keepdim=True) + math.cos(AT_C)
    to_ca = _unit(found[..., 1, :] - found[..., 0, :])
    at_n = (bond / length * to_ca).sum(-1, keepdim=True) + math.cos(AT_N)
    first = [shift, _turned(relative, turn), stretch, lengths, twist, at_c]
    second = [_turned(back, shift), turn, _turned(back, stretch), lengths, twist, at_n]
    return torch.cat(first, -1), torch.cat(second, -1)


def _torsions_between(ideal: Tensor, found: Tensor) -> Tensor:
    """Return psi and omega of the first and phi of the second residue, `(..., 3)`, from the atoms
    `found` of the second in the frame of the first.
    """
    n, ca, c = (atom.expand_as(found[..., 0, :]) for atom in ideal)
    next_n, next_ca, next_c = found.unbind(-2)
    angles = [
        dihedral(n, ca, c, next_n),
        dihedral(ca, c, next_n, next_ca),
        dihedral(c, next_n, next_ca, next_c),
    ]
    return torch.stack(angles, -1)


def _placed(torsions: Tensor) -> Tensor:
    """Return the atoms of each next residue in the frame of this one, `(batch, n - 1, 3, 3)`."""
    pairs = torch.stack([torsions[:, :-1], torsions[:, 1:]], 2)
    return atoms_of_torsions(pairs)[:, :, 1]


def _turned(rotation: Tensor, v: Tensor) -> Tensor:
    return (rotation @ v.unsqueeze(-1)).squeeze(-1)


def _vee(r: Tensor) -> Tensor:
    """Return the axis of rotations times the sine of their angles."""
    skew = (r - r.mT) / 2
    return torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], -1)


def _length(v: Tensor) -> Tensor:
    # the gradient of a length is NaN at 0
    return (v.square().sum(-1, keepdim=True) + 1e-6).sqrt()


def _unit(v: Tensor) -> Tensor:
    return v / _length(v)

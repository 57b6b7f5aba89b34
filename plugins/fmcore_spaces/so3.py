"""Rotations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import ComponentError, Rows
from fmcore_spaces.compact import IMAGES, Compact, normal_log_density, safe_norm

__all__ = [
    "SO3",
    "hat",
    "rotation_of_quaternion",
    "rotation_of_vector",
    "vector_of_rotation",
    "vee",
]

ORTHOGONAL_ATOL = 1e-4
"""How far R'R of a rotation R of the data may be from the identity, in any entry."""


def hat(w: Tensor) -> Tensor:
    """Return the skew matrix with hat(w) u = w x u, `(..., 3, 3)`."""
    x, y, z = w.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.stack(rows, -1).reshape(*x.shape, 3, 3)


def vee(matrix: Tensor) -> Tensor:
    """Return the w of the skew part of `matrix`, `(..., 3)`: the inverse of `hat`."""
    skew = (matrix - matrix.mT) / 2
    return torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], -1)


def rotation_of_vector(w: Tensor) -> Tensor:
    """Return the rotation by the angle |w| about w, by Rodrigues' formula, `(..., 3, 3)`."""
    angle, large = safe_norm(w)
    square = w.square().sum(-1, keepdim=True)
    first = torch.where(large, angle.sin() / angle, 1 - square / 6)
    # 2 sin^2(a / 2) = 1 - cos(a), without cancellation
    second = torch.where(large, 2 * (angle / 2).sin().square() / angle.square(), 0.5 - square / 24)
    skew = hat(w)
    one = torch.eye(3, dtype=w.dtype, device=w.device)
    return one + first.unsqueeze(-1) * skew + second.unsqueeze(-1) * (skew @ skew)


def quaternion_of_rotation(r: Tensor) -> Tensor:
    """Return the unit quaternion with a real part >= 0, `(..., 4)`, real part first.

    Of the four ways to compute it, the one that divides by the largest component (Shepperd 1978).
    """
    d0, d1, d2 = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    x, y, z = r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]
    a, b, c = r[..., 0, 1] + r[..., 1, 0], r[..., 0, 2] + r[..., 2, 0], r[..., 1, 2] + r[..., 2, 1]
    rows = torch.stack(
        [
            torch.stack([1 + d0 + d1 + d2, x, y, z], -1),
            torch.stack([x, 1 + d0 - d1 - d2, a, b], -1),
            torch.stack([y, a, 1 - d0 + d1 - d2, c], -1),
            torch.stack([z, b, c, 1 - d0 - d1 + d2], -1),
        ],
        -2,
    )
    largest = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)
    chosen = rows.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4)).squeeze(-2)
    unit = chosen / chosen.norm(dim=-1, keepdim=True)
    return torch.where(unit[..., :1] < 0, -unit, unit)


def rotation_of_quaternion(q: Tensor) -> Tensor:
    """Return the rotation of unit quaternions `(..., 4)`, real part first."""
    w, x, y, z = q.unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).reshape(*x.shape, 3, 3)


def vector_of_rotation(r: Tensor) -> Tensor:
    """Return the w with |w| <= pi of which `r` is the rotation, `(..., 3)`: accurate at all angles,
    by quaternions, since the skew part of r vanishes at pi.
    """
    q = quaternion_of_rotation(r)
    length, large = safe_norm(q[..., 1:])
    half = torch.atan2(length, q[..., :1])
    return torch.where(large, 2 * half / length, 2.0) * q[..., 1:]


@final
@dataclass(frozen=True)
class SO3(Compact):
    """Rotation matrices in the last two dimensions, `(..., 3, 3)`.

    A tangent vector at R is R hat(w), with w in the body frame; its squared length is |w|^2, so
    that distances are angles.  Source: Yim et al. 2023 (arXiv 2310.05297), section 2.
    """

    @property
    def point(self) -> tuple[int, ...]:
        return (3, 3)

    def require(self, x: Tensor, what: str) -> None:
        away = (x.mT @ x - torch.eye(3, dtype=x.dtype, device=x.device)).abs().amax((-2, -1))
        good = (away.nan_to_num(math.inf) <= ORTHOGONAL_ATOL) & (torch.linalg.det(x) > 0)
        if not bool(good.all()):
            raise ComponentError(
                f"{what} holds a matrix that is no rotation: R'R differs from the identity by up "
                f"to {float(away.max()):.3g}, or the determinant is negative"
            )

    def project(self, x: Tensor) -> Tensor:
        # Newton-Schulz steps towards the polar factor, not an SVD, whose gradient is NaN at the
        # singular values 1, 1, 1 of a rotation.
        one = torch.eye(3, dtype=x.dtype, device=x.device)
        for _ in range(4):  # the error is squared in each, from a tenth to 1e-14
            x = x @ (1.5 * one - 0.5 * (x.mT @ x))
        return x

    def features(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def uniform(self, rows: Rows, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        q = rows.normal((*shape[:-2], 4), dtype)
        return rotation_of_quaternion(q / q.norm(dim=-1, keepdim=True))

    def log_volume(self, shape: tuple[int, ...]) -> float:
        return math.prod(shape[:-2]) * math.log(8 * math.pi**2)

    def tangent(self, x: Tensor, v: Tensor) -> Tensor:
        body = x.mT @ v
        return x @ ((body - body.mT) / 2)

    def geodesic(self, x: Tensor, v: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        w = vee(x.mT @ v)
        point = x @ rotation_of_vector(s.expand_as(x)[..., 0] * w)
        return point, point @ hat(w)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        return x @ hat(vector_of_rotation(x.mT @ y))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return (u * v).sum((-2, -1)) / 2

    def origin(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.eye(3, dtype=dtype).expand(shape).clone()

    def standard_normal(self, rows: Rows, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return hat(rows.normal((*shape[:-2], 3), dtype))

    def log_wrapped(self, x: Tensor, scale: float) -> Tensor:
        angle = vector_of_rotation(x).norm(dim=-1, keepdim=True)
        turns = 2 * math.pi * torch.arange(IMAGES + 1, device=x.device, dtype=x.dtype)
        lengths = torch.cat([angle + turns, turns[1:] - angle], -1)
        # the volume of a ball of rotation vectors grows with 4 sin^2(r / 2), not with r^2
        sine = 2 * (lengths / 2).sin().abs()
        stretch = 2 * (lengths / sine.clamp_min(1e-12)).log()
        stretch = torch.where(lengths > 1e-6, stretch, 0.0)
        return (normal_log_density(lengths.square(), scale, 3) + stretch).logsumexp(-1)

"""Means and covariances of features, and the Frechet distance between them.

All computations are float64.  Source: Dowson & Landau 1982; Heusel et al. 2017, "GANs trained by a
two time-scale update rule converge to a local Nash equilibrium".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from fmcore import DataError

__all__ = ["Moments", "frechet_distance"]

CHUNK = 4096
"""Rows converted to float64 at once, so that 50,000 wide features need no second copy."""


@final
@dataclass(frozen=True)
class Moments:
    """`mean` `(d,)` and `scatter` `(d, d)`, the sum of outer products about it, of `count` rows."""

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: Tensor, weights: Tensor | None = None) -> Moments:
        """Return the moments of features `(rows, d)`, each row counted `weights` times.

        `weights` are `(rows,)`, whole numbers (default: 1).  Raises DataError for other shapes.
        """
        times = torch.ones(len(features), dtype=torch.float64) if weights is None else weights
        if features.ndim != 2 or times.shape != features.shape[:1]:
            raise DataError(
                "moments need features of shape (rows, d) and weights of shape (rows,); got "
                f"{tuple(features.shape)} and {tuple(times.shape)}"
            )
        chunks = zip(torch.split(features, CHUNK), torch.split(times.double(), CHUNK), strict=True)
        return cls.merged(cls._of_chunk(x.double(), n) for x, n in chunks)

    @classmethod
    def merged(cls, parts: Iterable[Moments]) -> Moments:
        """Return the moments of the rows of all parts.  Source: Chan et al. 1979."""
        whole: Moments | None = None
        for part in parts:
            whole = part if whole is None else whole + part
        if whole is None:
            raise DataError("there is no row to compute moments of")
        return whole

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance, `(d, d)`.  Raises DataError for a single row."""
        if self.count < 2:
            raise DataError(f"a covariance needs at least 2 rows, got {self.count}")
        return self.scatter / (self.count - 1)

    @cached_property
    def root(self) -> Tensor:
        """R, `(d, rank)`, with R R^T = covariance; eigenvalues below rounding are left out."""
        values, vectors = _eigh(self.covariance)
        rounding = len(values) * torch.finfo(values.dtype).eps * values.abs().max()
        kept = values > rounding
        root: Tensor = vectors[:, kept] * values[kept].sqrt()
        return root

    def __add__(self, other: Moments) -> Moments:
        count = self.count + other.count
        if not count:
            return self
        apart = other.mean - self.mean
        between = (self.count * other.count / count) * torch.outer(apart, apart)
        mean = self.mean + apart * (other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    @classmethod
    def _of_chunk(cls, x: Tensor, times: Tensor) -> Moments:
        count = times.sum()
        mean = (times @ x) / count.clamp_min(1)
        centred = (x - mean) * times.sqrt()[:, None]
        return cls(int(count), mean, centred.T @ centred)


def _eigh(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues and eigenvectors of a symmetric matrix."""
    try:
        values, vectors = torch.linalg.eigh(covariance)
    except RuntimeError:
        # torch's LAPACK may not converge for few rows of many features; scipy's does
        import scipy.linalg

        found = scipy.linalg.eigh(covariance.cpu().numpy())
        return torch.from_numpy(found[0]), torch.from_numpy(found[1])
    return values, vectors


def frechet_distance(p: Moments, q: Moments) -> float:
    """Return the squared 2-Wasserstein distance of the normal distributions with these moments:

        |m - n|^2 + tr C + tr D - 2 tr (C^1/2 D C^1/2)^1/2

    The last trace is the sum of the singular values of C^1/2 D^1/2.  Computed in this way, from
    roots without the eigenvalues below rounding, it is accurate to about 1e-12 of the traces even
    where there are fewer rows than features; no imaginary part arises, and nothing is added to a
    diagonal.  NaN where a moment is not finite.  Raises DataError for features of unequal number.
    """
    if p.mean.shape != q.mean.shape:
        raise DataError(
            f"a Frechet distance needs equal numbers of features; got {len(p.mean)} and "
            f"{len(q.mean)}"
        )
    if not all(m.isfinite().all() for m in (p.mean, p.covariance, q.mean, q.covariance)):
        return math.nan
    mean = (p.mean - q.mean).square().sum()
    cross = torch.linalg.svdvals(p.root.T @ q.root).sum()
    return float(mean + p.covariance.trace() + q.covariance.trace() - 2 * cross)

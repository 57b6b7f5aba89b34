"""The kernel distance (KID) between two sets of features.

Source: Binkowski et al. 2018, "Demystifying MMD GANs".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt
from torch import Tensor

from fmcore import DataError, Result
from fmcore_metrics.feature_metric import FeatureMetric, FeatureSets
from fmcore_metrics.mmd import KernelMeans, squared_mmd_of

__all__ = ["KernelMetric", "squared_mmd"]

RNG_SEED = 2020
"""The seed of torch-fidelity, whose subsets these are."""

LARGEST_SUBSET = 1000


@dataclass(frozen=True)
class KernelMetric(FeatureMetric):
    """The mean squared MMD over `subsets` pairs of random subsets of `subset_size` rows each.

    Unbiased, so it may be slightly negative.  `subset_size` defaults to 1000, or to the size of the
    smaller set.
    """

    subsets: Annotated[int, Gt(0)] = 100
    subset_size: Annotated[int, Ge(2)] | None = None

    def compare(self, sets: FeatureSets) -> dict[str, Result]:
        fake, real = sets.fake, sets.real_rows()
        size = min(self.subset_size or LARGEST_SUBSET, len(fake), len(real))
        values = torch.tensor(list(self._values(fake, real, size)), dtype=torch.float64)
        provenance = {"subsets": self.subsets, "subset_size": size, "rng_seed": RNG_SEED}
        # The subsets overlap, so that this spread is no standard error.
        details = {"spread_over_subsets": float(values.std(correction=0))}
        return {self.name: Result(float(values.mean()), None, provenance, details=details)}

    def _values(self, fake: Tensor, real: Tensor, size: int) -> Iterator[float]:
        random = np.random.RandomState(RNG_SEED)
        for _ in range(self.subsets):
            p = fake[torch.from_numpy(random.choice(len(fake), size, replace=False))]
            q = real[torch.from_numpy(random.choice(len(real), size, replace=False))]
            yield squared_mmd(p, q)


def squared_mmd(fake: Tensor, real: Tensor) -> float:
    """Return the unbiased estimate of the squared MMD with the kernel (x . y / d + 1)^3.

    Both sets are `(rows, d)` with at least 2 rows; `squared_mmd_of` bounds the value for exploded
    rows of `fake`.  NaN if any feature is not finite.  Raises DataError for other shapes.
    """
    if fake.ndim != 2 or fake.shape != real.shape or len(fake) < 2:
        raise DataError(
            "a kernel distance compares two sets of one shape (rows, d), rows at least 2; got "
            f"{tuple(fake.shape)} and {tuple(real.shape)}"
        )
    centre = real.double().mean(0)
    p, q = fake.double() - centre, real.double() - centre
    across = float(_kernel(p, q, centre).mean())
    return squared_mmd_of(_means(p, centre), _means(q, centre), across, len(p))


def _means(x: Tensor, centre: Tensor) -> KernelMeans:
    count, values = len(x), _kernel(x, x, centre)
    itself = float(values.diagonal().mean())
    values.fill_diagonal_(0)  # not subtracted from the sum, where a large one would cost digits
    return KernelMeans(itself, float(values.sum()) / (count * (count - 1)))


def _kernel(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return k(x, y) - k(x, c) - k(c, y) + k(c, c) for k(x, y) = (x . y / d + 1)^3, x = a + c and
    y = b + c.

    The terms of x or y alone cancel out of the MMD, where they would cost digits if features are
    far from 0.  With u, p, q and o for the bases of the four cubes, u^3 - p^3 - q^3 + o^3 is
    expanded by u - p = q - o + g and p - o = s, so that only products are added.
    """
    d = a.shape[1]
    s, r, g = (a @ c / d)[:, None], b @ c / d, a @ b.T / d
    o = c @ c / d + 1
    p, q = o + s, o + r
    u = p + r + g
    return g * (u**2 + u * p + p**2) + r * ((s + g) * (u + q + p) + s * (q + p + o))

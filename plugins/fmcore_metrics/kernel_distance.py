"""The kernel distance (KID) between two sets of features.

Source: Binkowski et al. 2018, "Demystifying MMD GANs".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from fmcore import Result
from fmcore_metrics.feature_metric import Compared

__all__ = ["KernelDistance", "squared_mmd"]

RNG_SEED = 2020
"""Of torch-fidelity, whose subsets these are."""

LARGEST_SUBSET = 1000


@final
@dataclass(frozen=True)
class KernelDistance:
    """The mean squared MMD over `subsets` pairs of random subsets of `subset_size` rows each.

    Unbiased, so it may be slightly negative, and small sets do not look far.  `subset_size` None is
    1000, or as many as there are.
    """

    subsets: int
    subset_size: int | None

    def results(self, name: str, sets: Compared) -> dict[str, Result]:
        """Under `name`; the spread over subsets, which overlap, is no standard error."""
        fake, real = sets.fake, sets.real_rows()
        size = min(self.subset_size or LARGEST_SUBSET, len(fake), len(real))
        values = torch.tensor(list(self._values(fake, real, size)), dtype=torch.float64)
        made = {"subsets": self.subsets, "subset_size": size, "rng_seed": RNG_SEED}
        details = {"spread_over_subsets": float(values.std(correction=0))}
        return {name: Result(float(values.mean()), None, made, details=details)}

    def _values(self, fake: Tensor, real: Tensor, size: int) -> Iterator[float]:
        random = np.random.RandomState(RNG_SEED)
        for _ in range(self.subsets):
            p = fake[torch.from_numpy(random.choice(len(fake), size, replace=False))]
            q = real[torch.from_numpy(random.choice(len(real), size, replace=False))]
            yield squared_mmd(p, q)


def squared_mmd(p: Tensor, q: Tensor) -> float:
    """The unbiased estimate of the squared MMD of two sets `(rows, d)` of equal size, at least 2
    rows, with the kernel (x . y / d + 1)^3.
    """
    p, q = p.double(), q.double()
    count = len(p)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def among(x: Tensor) -> Tensor:
        within = kernel(x, x)
        return (within.sum() - within.trace()) / (count * (count - 1))

    return float(among(p) + among(q) - 2 * kernel(p, q).mean())

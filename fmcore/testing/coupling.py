"""Checks of the laws of `Coupling`, on one coupling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.coupling import Coupling, Pairing
from fmcore.interfaces.path import AffinePath, Coefficients
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.source import Condition, Source
from fmcore.testing.checks import (
    generator,
    require,
    require_close,
    require_equal,
    skip,
    untouched_randomness,
)
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["CouplingSuite"]

BATCH = 24

MOVED = 2000
"""Rows whose moments are compared with those of the noise."""

DEVIATIONS = 5.0
"""Standard errors that a moment may be off: of a few hundred, none is by chance."""


class CouplingSuite(ComponentChecks, Suite):
    """Override `component()` to build the coupling, and `pairs` if x0 or x1 must be special.

    A coupling with `symmetry` is also checked on `symmetric_pairs`: override it if the symmetry is
    none of rotations of points in R^3.
    """

    interface = Coupling

    def pairs(self, n: int, shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
        """Return `n` distinct rows of noise and of data to pair, `(n, *shape)`, float64."""
        g = generator(3 + seed)
        x0 = torch.randn((n, *shape), generator=g, dtype=torch.float64)
        return x0, 2 * torch.randn((n, *shape), generator=g, dtype=torch.float64) + 1

    def symmetric_pairs(self, n: int) -> tuple[Tensor, Tensor]:
        """Return `n` rows of noise and of data, both distributions with the coupling's symmetry.

        By default four normal points in R^3 and one tetrahedron, uniformly rotated, `(n, 4, 3)`
        float64.
        """
        g = generator(17)
        x0 = torch.randn((n, 4, 3), generator=g, dtype=torch.float64)
        corners = torch.tensor([[0.0, 0, 0], [3, 0, 0], [0, 2, 0], [0, 0, 1]], dtype=torch.float64)
        turns = torch.linalg.qr(torch.randn((n, 3, 3), generator=g, dtype=torch.float64))
        # the signs make Q uniform over orthogonal matrices, and the determinant over rotations
        turn = turns.Q * turns.R.diagonal(dim1=1, dim2=2).sign()[:, None]
        return x0, corners @ (turn * torch.linalg.det(turn)[:, None, None]).mT

    def pair(
        self, x0: Tensor, x1: Tensor, condition: Condition | None = None, seed: int = 0
    ) -> Pairing:
        """Return the coupling's pairs for a batch."""
        paired: Pairing = self.component().pair(x0, x1, generator(seed), condition)
        return paired

    def test_pool_is_a_positive_number(self) -> None:
        """`pool`, the number of batches that are paired together, is at least 1."""
        pool = self.component().pool
        require(isinstance(pool, int) and pool >= 1, f"pool is {pool!r}, should be 1 or more")

    def test_every_row_is_kept_once(self) -> None:
        """The returned rows of x0 and x1 are a permutation: none is dropped, repeated or changed,
        for vectors and for images.  Rows of a side that `marginals` does not name may be dropped
        and repeated, and are not changed."""
        kept_sides = self.component().marginals
        require(
            set(kept_sides) <= {"x0", "x1"},
            f"marginals is {kept_sides!r}: name 'x0' and 'x1', or those of them that are kept",
        )
        for shape in ((2,), (3, 4, 4)):
            x0, x1 = _batch(self, shape)
            paired = self.pair(x0, x1)
            for name, given, found in (("x0", x0, paired.x0), ("x1", x1, paired.x1)):
                if name == "x0" and self.component().symmetry:
                    require(found.shape == given.shape, "x0 changed its shape")
                    continue
                require(
                    found.shape == given.shape,
                    f"{name} has shape {tuple(found.shape)}, should be {tuple(given.shape)}",
                )
                kept = _places(found, given)
                unknown, distinct = int((kept < 0).sum()), len(torch.unique(kept))
                require(unknown == 0, f"{unknown} rows of {name} are not among the input rows")
                require(
                    name not in kept_sides or distinct == len(given),
                    f"{name} is returned with {distinct} different rows of {len(given)}: "
                    "a coupling permutes rows and does not draw with replacement, or leaves "
                    f"'{name}' out of its `marginals`",
                )

    def test_a_symmetry_keeps_the_order_of_rows(self) -> None:
        """With `symmetry`, x1 is returned as it was given, row by row."""
        x0, x1 = self._symmetric_rows(BATCH)
        require_equal(self.pair(x0, x1).x1, x1, "x1 of a coupling with `symmetry`")

    def test_a_symmetry_keeps_the_distribution_of_noise(self) -> None:
        """With `symmetry`, the moved rows of x0 have the first and second moments of the noise, on
        data whose distribution has that symmetry."""
        x0, x1 = self._symmetric_rows(MOVED)
        before, after = (_moments(x.flatten(1)) for x in (x0, self.pair(x0, x1).x0))
        change = after - before
        mean, error = change.mean(0), change.std(0) / math.sqrt(len(change))
        # rounding moves a row that its symmetry leaves as it is
        worst = ((mean.abs() - 1e-9).clamp_min(0) / (error + 1e-12)).max()
        require(
            bool(worst <= DEVIATIONS),
            f"a moment of the moved x0 is {float(worst):.3g} standard errors from that of the "
            "noise: move rows of x0 only by transformations under which the distributions of noise "
            "and data do not change, or leave `symmetry` False",
        )

    def _symmetric_rows(self, n: int) -> tuple[Tensor, Tensor]:
        if not self.component().symmetry:
            skip(f"{type(self.component()).__name__} declares no symmetry")
        return self.symmetric_pairs(n * max(1, self.component().pool))

    def test_pairs_cost_no_more_than_independent_ones(self) -> None:
        """Where `cost` is declared, it is `(batch,)`, and its mean over the pairs is at most that
        over all pairs of rows."""
        coupling = self.component()
        for seed in range(3):
            x0, x1 = _batch(self, (2,), seed)
            paired = self.pair(x0, x1, seed=seed)
            found = coupling.cost(paired.x0, paired.x1)
            if found is None:
                skip(f"{type(coupling).__name__} declares no cost")
            n = len(paired.x0)
            require(tuple(found.shape) == (n,), f"the cost of {n} pairs is {tuple(found.shape)}")
            every = coupling.cost(x0.repeat_interleave(len(x1), 0), x1.repeat(len(x0), 1)).mean()
            require(
                bool(found.mean() <= every * (1 + 1e-9)),
                f"the pairs cost {float(found.mean()):.4g} on average, independent ones "
                f"{float(every):.4g}",
            )

    def test_conditions_stay_with_their_data(self) -> None:
        """Every row of x1 keeps all entries of its condition."""
        x0, x1 = _batch(self, (2,))
        row = torch.arange(len(x1))
        condition = {"label": row % 3, "mask": (row % 2).double()[:, None]}
        paired = self.pair(x0, x1, condition)
        require(
            paired.condition is not None and paired.condition.keys() == condition.keys(),
            f"the condition has {sorted(condition)}, the pairs {sorted(paired.condition or ())}",
        )
        order = _places(paired.x1, x1)
        for name, entry in (paired.condition or {}).items():
            require_equal(entry, condition[name][order], f"'{name}' of its row of x1")

    def test_dtypes_are_kept(self) -> None:
        """x0 and x1 keep their dtypes."""
        for dtype in (torch.float32, torch.float64):
            x0, x1 = (x.to(dtype) for x in _batch(self, (2,)))
            paired = self.pair(x0, x1)
            for name, value in (("x0", paired.x0), ("x1", paired.x1)):
                require(value.dtype == dtype, f"{name} is {value.dtype}, should be {dtype}")

    def test_randomness_comes_from_the_generator_alone(self) -> None:
        """Equal generators give equal pairs; no global generator is used."""
        x0, x1 = _batch(self, (2,))
        with untouched_randomness("pair"):
            first, again = self.pair(x0, x1), self.pair(x0, x1)
        require_equal(again.x0, first.x0, "x0 of a second, equal call")
        require_equal(again.x1, first.x1, "x1 of a second, equal call")

    def test_independent_coupling_ignores_the_values(self) -> None:
        """A coupling that declares itself independent ignores the values of the rows."""
        if not self.component().independent:
            skip(f"{type(self.component()).__name__} does not declare itself independent")
        x0, x1 = _batch(self, (2,))
        order = _orders(self.pair(x0, x1), x0, x1)
        other = _orders(self.pair(x0, -x1), x0, -x1)
        require_close(
            other, order, "the pairing of x0 and x1 after every x1 changed its sign", atol=0
        )

    def test_conditional_noise_keeps_its_condition_or_is_refused(self) -> None:
        """If the source draws x0 from the condition, `check` refuses the path, or every x0 keeps
        the condition that it was drawn from.
        """
        try:
            self.component().check(_FromConditionPath())
        except ComponentError:
            return
        if self.component().symmetry:
            skip("rows keep their order")
        x0, x1 = _batch(self, (2,))
        place = torch.arange(len(x0)).double()
        paired = self.pair(x0, x1, {"place": place})
        paired_place = (paired.condition or {})["place"]
        require_close(
            place[_places(paired.x0, x0)],
            paired_place,
            "the condition that x0 was drawn from, compared with the one it is paired with",
        )


def _moments(x: Tensor) -> Tensor:
    """Return the values of each row, their squares and the products of neighbours."""
    return torch.cat([x, x.square(), x[:, 1:] * x[:, :-1]], 1)


def _batch(suite: CouplingSuite, shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return as many distinct rows of noise and data as a pool of batches has."""
    return suite.pairs(BATCH * max(1, suite.component().pool), shape, seed)


def _places(found: Tensor, given: Tensor) -> Tensor:
    """Return the index in `given` of each row of `found`, -1 if it is not there."""
    same = (found.flatten(1)[:, None] == given.flatten(1)[None].to(found.dtype)).all(-1)
    return torch.where(same.any(1), same.double().argmax(1), -1)


def _orders(paired: Pairing, x0: Tensor, x1: Tensor) -> Tensor:
    """Return, for each input row of x1, the index of its x0."""
    order = torch.empty(len(x1))
    order[_places(paired.x1, x1)] = _places(paired.x0, x0).float()
    return order


@final
@dataclass(frozen=True)
class _FromCondition(Source):
    """A source that draws x0 from the condition."""

    conditional: ClassVar[bool] = True

    def sample(
        self,
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        return rows.normal(shape, dtype)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return -0.5 * x.flatten(1).square().sum(1)


@final
@dataclass(frozen=True)
class _FromConditionPath(AffinePath):
    source: Source = _FromCondition()

    def coefficients(self, t: Tensor) -> Coefficients:
        one = torch.ones_like(t)
        return Coefficients(alpha=t, sigma=1 - t, d_alpha=one, d_sigma=-one)

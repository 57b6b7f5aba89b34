"""The laws of `Coupling`, as checks on one coupling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.coupling import Coupling, Pairing
from fmcore.interfaces.path import AffinePath, Coefficients
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


class CouplingSuite(ComponentChecks, Suite):
    """Override `component()` to build the coupling."""

    interface = Coupling

    def pair(
        self, x0: Tensor, x1: Tensor, condition: Condition | None = None, seed: int = 0
    ) -> Pairing:
        """What the coupling makes of a batch."""
        paired: Pairing = self.component().pair(x0, x1, generator(seed), condition)
        return paired

    def test_pool_is_a_positive_number(self) -> None:
        """`pool`, the batches that are paired at once, is at least 1."""
        pool = self.component().pool
        require(isinstance(pool, int) and pool >= 1, f"pool is {pool!r}, should be 1 or more")

    def test_every_row_is_kept_once(self) -> None:
        """The rows of x0 and of x1 come back as a permutation: none dropped, none repeated, none
        changed, for vectors and for images."""
        for shape in ((2,), (3, 4, 4)):
            x0, x1 = _batch(self, shape)
            paired = self.pair(x0, x1)
            for name, given, found in (("x0", x0, paired.x0), ("x1", x1, paired.x1)):
                require(
                    found.shape == given.shape,
                    f"{name} is {tuple(found.shape)} of {tuple(given.shape)} given",
                )
                kept = _places(found, given)
                unknown, distinct = int((kept < 0).sum()), len(torch.unique(kept))
                require(unknown == 0, f"{unknown} rows of {name} are none of those given")
                require(
                    distinct == len(given),
                    f"{name} comes back with {distinct} different rows of {len(given)}: "
                    "a coupling permutes, it does not draw with replacement",
                )

    def test_conditions_stay_with_their_data(self) -> None:
        """A row of x1 keeps its condition; all its entries come back."""
        x0, x1 = _batch(self, (2,))
        row = torch.arange(len(x1))
        condition = {"label": row % 3, "mask": (row % 2).double()[:, None]}
        paired = self.pair(x0, x1, condition)
        require(
            paired.condition is not None and paired.condition.keys() == condition.keys(),
            f"of the condition's {sorted(condition)} came back {sorted(paired.condition or ())}",
        )
        order = _places(paired.x1, x1)
        for name, entry in (paired.condition or {}).items():
            require_equal(entry, condition[name][order], f"'{name}' beside its row of x1")

    def test_dtypes_are_kept(self) -> None:
        """x0 and x1 keep their dtypes."""
        for dtype in (torch.float32, torch.float64):
            x0, x1 = (x.to(dtype) for x in _batch(self, (2,)))
            paired = self.pair(x0, x1)
            for name, value in (("x0", paired.x0), ("x1", paired.x1)):
                require(value.dtype == dtype, f"{name} is {value.dtype}, was given as {dtype}")

    def test_randomness_comes_from_the_generator_alone(self) -> None:
        """Equal generators give equal pairs; no global one is touched."""
        x0, x1 = _batch(self, (2,))
        with untouched_randomness("pair"):
            first, again = self.pair(x0, x1), self.pair(x0, x1)
        require_equal(again.x0, first.x0, "x0 of a second, equal call")
        require_equal(again.x1, first.x1, "x1 of a second, equal call")

    def test_independent_means_blind(self) -> None:
        """A coupling that calls itself independent pairs rows whatever their values."""
        if not self.component().independent:
            skip(f"{type(self.component()).__name__} does not call itself independent")
        x0, x1 = _batch(self, (2,))
        order = _orders(self.pair(x0, x1), x0, x1)
        other = _orders(self.pair(x0, -x1), x0, -x1)
        require_close(
            other, order, "which x0 goes to which x1, after every x1 changed its sign", atol=0
        )

    def test_noise_drawn_beside_a_condition_stays_there_or_is_refused(self) -> None:
        """Where the source draws x0 from the condition, `check` refuses the path, or x0 stays
        beside an equal condition."""
        try:
            self.component().check(_FromConditionPath())
        except ComponentError:
            return
        x0, x1 = _batch(self, (2,))
        place = torch.arange(len(x0)).double()
        paired = self.pair(x0, x1, {"place": place})
        beside = (paired.condition or {})["place"]
        require_close(
            place[_places(paired.x0, x0)],
            beside,
            "the condition that x0 was drawn from, beside the one it is paired with",
        )


def _batch(suite: CouplingSuite, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Distinct rows of noise and of data, as many as a pool of batches holds."""
    n, g = BATCH * max(1, suite.component().pool), generator(3)
    x0 = torch.randn((n, *shape), generator=g, dtype=torch.float64)
    return x0, 2 * torch.randn((n, *shape), generator=g, dtype=torch.float64) + 1


def _places(found: Tensor, given: Tensor) -> Tensor:
    """Where each row of `found` stands in `given`; -1 if nowhere."""
    same = (found.flatten(1)[:, None] == given.flatten(1)[None].to(found.dtype)).all(-1)
    return torch.where(same.any(1), same.double().argmax(1), -1)


def _orders(paired: Pairing, x0: Tensor, x1: Tensor) -> Tensor:
    """For each x1 as given, which x0 it got."""
    order = torch.empty(len(x1))
    order[_places(paired.x1, x1)] = _places(paired.x0, x0).float()
    return order


@final
@dataclass(frozen=True)
class _FromCondition(Source):
    """A source that draws x0 from the condition, for `check` to see."""

    conditional: ClassVar[bool] = True

    def sample(
        self,
        n: int,
        shape: tuple[int, ...],
        generator: torch.Generator,
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        return torch.randn((n, *shape), generator=generator, dtype=dtype)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return -0.5 * x.flatten(1).square().sum(1)


@final
@dataclass(frozen=True)
class _FromConditionPath(AffinePath):
    source: Source = _FromCondition()

    def coefficients(self, t: Tensor) -> Coefficients:
        one = torch.ones_like(t)
        return Coefficients(alpha=t, sigma=1 - t, d_alpha=one, d_sigma=-one)

"""Losses of networks with two times, u(xt, t, until): shared by the objectives of flow maps."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

from annotated_types import Ge, Le
from torch import Tensor

from fmcore import ComponentError, Objective, Path, Quantity

__all__ = ["FlowMapObjective"]


@dataclass(frozen=True)
class FlowMapObjective(Objective, ABC):
    """An objective whose network gives the average velocity from t to `until`, t <= until.

    The map from t to `until` is x + (until - t) u(x, t, until); at until = t, u is the velocity.
    """

    spans: ClassVar[bool] = True

    @final
    @property
    def prediction(self) -> Quantity:
        return "average_velocity"

    @final
    def read(self, raw: Tensor, xt: Tensor, t: Tensor, path: Path) -> Mapping[Quantity, Tensor]:
        # without `until` the network answers at until = t
        return {"velocity": raw}

    def check(self, path: Path) -> None:
        if path.bridge() is not None:
            raise ComponentError(
                f"{type(self).__name__} differentiates along the path at fixed (x0, x1), which a "
                f"bridge such as {type(path).__name__} does not allow: use an affine path"
            )


Share = Annotated[float, Ge(0), Le(1)]
"""A fraction of the rows of a batch."""

"""A trained flow as a velocity field."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from fmcore.interfaces.model import VectorField
from fmcore.interfaces.path import Path, Quantity
from fmcore.interfaces.source import Condition

__all__ = ["Predictor"]


class Predictor(Protocol):
    """What a field does, so that one can be wrapped: guided, or led along another path."""

    @property
    def model(self) -> VectorField:
        """The network that answers, or the stronger one of two."""

    @property
    def path(self) -> Path:
        """The path along which this is the velocity."""

    @property
    def nfe(self) -> int:
        """Velocity evaluations per sample so far."""

    @property
    def forwards(self) -> int:
        """Network evaluations per sample so far."""

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        """The velocity at `x`, `(batch, *shape)`, and `t`, `(batch,)`; counted in `nfe`."""

    def predict(
        self,
        x: Tensor,
        t: Tensor,
        condition: Condition | None = None,
        target: Quantity = "velocity",
    ) -> Tensor:
        """The prediction at `(x, t)` as any quantity; counted in `forwards` alone."""

    def jump(
        self, x: Tensor, t: Tensor, until: Tensor, condition: Condition | None = None
    ) -> Tensor:
        """The state at `until`, `(batch,)`, that the flow carries `x` to from `t`; counted in `nfe`.

        Raises ComponentError for a field that is no flow map.
        """

    def prepare(self, condition: Condition | None) -> Condition | None:
        """The condition that calls take, from a raw one (see `VectorField.prepare`)."""

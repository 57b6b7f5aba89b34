"""Protocol of velocity fields that also predict data, noise and score."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from fmcore.interfaces.model import VectorField
from fmcore.interfaces.path import Path, Quantity
from fmcore.interfaces.source import Condition

__all__ = ["Predictor", "require_score"]


def require_score(field: object, who: str) -> None:
    """Raise ComponentError if `field` was trained under a coupling that leaves no score to `who`.

    A field reports this by a method `require_score(who)`; one without it is assumed to have a
    score.
    """
    check = getattr(field, "require_score", None)
    if check is not None:
        check(who)


class Predictor(Protocol):
    """A velocity field with predictions: a trained network, or a wrapper such as guidance."""

    @property
    def model(self) -> VectorField:
        """The network; the strong one under guidance."""

    @property
    def path(self) -> Path:
        """The path of which this is the velocity."""

    @property
    def nfe(self) -> int:
        """Velocity evaluations per sample so far."""

    @property
    def forwards(self) -> int:
        """Network evaluations per sample so far."""

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the velocity at `x`, `(batch, *shape)`, and `t`, `(batch,)`; count it in `nfe`."""

    def predict(
        self,
        x: Tensor,
        t: Tensor,
        condition: Condition | None = None,
        target: Quantity = "velocity",
    ) -> Tensor:
        """Return the prediction at `(x, t)` as `target`, `(batch, *shape)`; count it only in
        `forwards`.
        """

    def jump(
        self, x: Tensor, t: Tensor, until: Tensor, condition: Condition | None = None
    ) -> Tensor:
        """Return the state at `until`, `(batch,)`, of the flow through `x` at `t`; count `nfe`.

        Raises ComponentError for a field that is no flow map.
        """

    def prepare(self, condition: Condition | None) -> Condition | None:
        """Return the condition that calls take, from a raw one (see `VectorField.prepare`)."""

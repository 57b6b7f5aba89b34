"""The velocity field of a network, from its path and its objective."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.coupling import Coupling
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.objective import Objective
from fmcore.interfaces.path import Path, Quantity
from fmcore.interfaces.source import Condition
from fmcore.interfaces.tensors import append_dims

__all__ = ["Field", "prepared", "score_refusal"]


KEPT = ("mask", "frozen")
"""Entries of the raw condition that every prepared condition has."""


def score_refusal(coupling: Coupling | None, who: str) -> list[str]:
    """Return the reason why `who` cannot compute a score under `coupling`; empty if it can.

    The noise of a pair, over -sigma, is the score of N(alpha x1, sigma^2 I).  Its expectation given
    xt is the score of the marginal only if x0 given x1 is Gaussian.
    """
    if coupling is None or coupling.independent:
        return []
    return [
        f"{who} needs the score, which a velocity gives only where x0 is independent of x1; "
        f"coupling {type(coupling).__name__} pairs them: use coupling 'independent', "
        "or an objective and a solver that need the velocity alone"
    ]


@final
@dataclass
class Field:
    """A network as a velocity field: `field(x, t)` is the velocity, `predict` any other quantity.

    `objective.prediction` is the quantity that the network predicts.  The network runs under
    autocast to `precision`; x, t and the conversion stay in their own dtype, at least float32.
    `nfe` counts velocity evaluations per sample, `forwards` network evaluations per sample, which
    guidance increases.  `coupling` is the coupling of the training: under one that is not
    independent, the score cannot be predicted.  A `mask` in the condition sets
    elements that do not exist to 0.
    """

    model: VectorField
    path: Path
    objective: Objective
    precision: torch.dtype = torch.float32
    coupling: Coupling | None = None
    nfe: int = field(default=0, init=False)
    forwards: int = field(default=0, init=False)

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the velocity at `x`, `(batch, *shape)`, and `t`, `(batch,)`, in x's dtype."""
        self.nfe += 1
        return self.predict(x, t, condition, "velocity")

    def predict(
        self,
        x: Tensor,
        t: Tensor,
        condition: Condition | None = None,
        target: Quantity = "velocity",
    ) -> Tensor:
        """Return the prediction at `x`, `(batch, *shape)`, and `t`, `(batch,)`, as `target`.

        Raises ComponentError for a score under a coupling that is not independent, for a conversion
        along a path that is not affine, and for a network that changes x's shape.
        """
        if target == "score":
            self.require_score("this prediction")
        self.forwards += 1
        with self._cast(x.device):
            raw: Tensor = self.model(x, t, condition)
        if raw.shape[1:] != self.objective.output_shape(self.path, tuple(x.shape[1:])):
            raise ComponentError(
                f"model {type(self.model).__name__} returned shape {tuple(raw.shape)} for x of "
                f"shape {tuple(x.shape)}; "
                "a vector field has the shape of its argument"
            )
        found = self.objective.read(raw.to(x.dtype), x, t, self.path)
        allowed = {name: self.path.constrain(value, x, name) for name, value in found.items()}
        if target in allowed:
            return _masked(allowed[target], condition, target)
        source, value = next(iter(allowed.items()))
        converted = self.path.convert(value, x, t, source=source, target=target)
        return _masked(converted, condition, target)

    def jump(
        self, x: Tensor, t: Tensor, until: Tensor, condition: Condition | None = None
    ) -> Tensor:
        """x + (until - t) u(x, t, until), with u the average velocity from t to `until`."""
        if not self.model.span:
            raise ComponentError(
                f"{type(self.model).__name__} was trained for velocities, not for jumps: train a "
                "flow map (objective 'mean_flow' or 'shortcut'), or use an ODE solver"
            )
        self.nfe += 1
        self.forwards += 1
        with self._cast(x.device):
            average: Tensor = self.model(x, t, condition, until=until)
        average = _masked(average.to(x.dtype), condition)
        return x + append_dims(until - t, x).to(x.dtype) * average

    def prepare(self, condition: Condition | None) -> Condition | None:
        """The condition that `forward` of the network takes, from a raw one."""
        with self._cast(next(self.model.parameters(), torch.empty(0)).device):
            made = self.model.prepare(condition).condition
        # `predict` and solvers read these, so that no network can drop them
        kept = {k: v for k, v in (condition or {}).items() if k in KEPT and k not in (made or {})}
        return {**(made or {}), **kept} if kept else made

    def require_score(self, who: str) -> None:
        """Raise ComponentError if the training's coupling leaves no score to `who`."""
        if reasons := score_refusal(self.coupling, who):
            raise ComponentError(reasons[0])

    def _cast(self, device: torch.device) -> AbstractContextManager[object]:
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(device.type, dtype=self.precision)


def _masked(value: Tensor, condition: Condition | None, quantity: Quantity = "velocity") -> Tensor:
    """`value` with 0 at the elements that do not exist, and a velocity of 0 at frozen ones."""
    given = {} if condition is None else condition
    if quantity in ("posterior", "parts"):  # these have another shape than x
        return value
    if "mask" in given:
        value = value * given["mask"].to(value.dtype)
    if quantity == "velocity" and "frozen" in given:
        value = value.masked_fill(given["frozen"], 0)
    return value


def prepared(field: object, condition: Condition | None) -> Condition | None:
    """The condition for the calls of `field`, from a raw one; once for each solve.

    A plain function as field has nothing to prepare.
    """
    prepare = getattr(field, "prepare", None)
    if prepare is None:
        return condition
    made: Condition | None = prepare(condition)
    return made

"""Interface of guidance: a change of a trained field's predictions while samples are drawn.

A guidance writes what it needs into the condition once (`prepare`), and changes each prediction
(`guide`).  `Guided` applies it: it keeps to the interval, counts, and nests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Ge, Le
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.condition import PRESENT, ConditionReader
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.field import Predictor, require_score
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.options import Options
from fmcore.interfaces.path import Path, Quantity
from fmcore.interfaces.source import Condition
from fmcore.interfaces.tensors import append_dims

__all__ = ["Guidance", "Guided", "GuidedCall", "branches"]

Fraction = Annotated[float, Ge(0), Le(1)]

STRONG, OWN = "strong", "guidance"
"""The branch of the guided field under the whole condition, and that of the guidance itself."""


@dataclass(frozen=True)
class Guidance(Options, ConditionReader, ABC):
    """A rule that changes the predictions of a field for t in the closed `interval`, within [0, 1].

    Laws (each a check of `fmcore.testing.GuidanceSuite`):
    * With the options `neutral`, the guided field is the field, at its cost.
    * Outside the interval the guided field is the field.
    * Row i of a prediction depends on row i of x, t and the condition alone: adaptive solvers
      reorder rows and replace finished ones.  So an object holds no condition and no state.
    * `nfe` counts one evaluation a call, `forwards` those of every network, in any nesting.
    * `with_classes` replaces each class name in the options by its number, and changes no other
      option; it refuses a name that is no class.
    """

    kind: ClassVar[str] = "guidance"
    quantity: ClassVar[Quantity | None] = "velocity"
    """What `guide` returns; None if its rule is the same for every quantity."""
    neutral: ClassVar[Mapping[str, Any]] = {"scale": 1.0}
    """The options with which the guided field is the field."""

    interval: tuple[Fraction, Fraction] = field(default=(0.0, 1.0), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        start, end = self.interval
        object.__setattr__(self, "interval", (float(start), float(end)))
        if not 0 <= start <= end <= 1:
            raise ComponentError(
                f"interval must be two times in [0, 1], in order; got [{start}, {end}]"
            )

    @property
    def drop(self) -> tuple[str, ...] | None:
        """The conditions that a branch leaves out; None means those that training drops.

        An option called `drop` overrides this; the framework sets it where it is None.
        """
        return ()

    def with_classes(self, data: Dataset) -> Guidance:
        """Return the guidance with the names of classes in its options replaced by their numbers;
        by default, itself.

        Raises ComponentError for a name that is no class of `data`.
        """
        return self

    def check(self, path: Path) -> None:
        """Raise ComponentError with the reason if a field along `path` cannot be guided."""

    def prepare(self, field: Predictor, raw: Condition | None) -> Condition | None:
        """Return the condition of the calls, from a raw one, by means of `branches`."""
        return branches(strong=field.prepare(raw))

    @abstractmethod
    def guide(self, call: GuidedCall) -> Tensor:
        """Return the guided prediction of `quantity`, `(batch, *shape)`.

        `call` gives x, t, the condition, and the predictions of each branch.
        """

    def wrap(self, field: Predictor) -> Predictor:
        """Return `field`, guided."""
        return Guided(field, self)

    @final
    @property
    def is_neutral(self) -> bool:
        """Whether it changes nothing."""
        return all(getattr(self, name) == value for name, value in self.neutral.items())


def branches(
    more: Condition | None = None, /, **prepared: Condition | None
) -> dict[str, Tensor] | None:
    """Return one condition with the prepared conditions of all branches, under `BRANCH/NAME`.

    `more` are entries that `guide` itself reads, under `guidance/NAME`.  The mask of the branch
    `strong` keeps its name, for the sampler.  None if there is nothing in it.
    """
    found = {f"{OWN}/{name}": value for name, value in (more or {}).items()}
    for branch, condition in prepared.items():
        found |= {f"{branch}/{name}": value for name, value in (condition or {}).items()}
    if f"{STRONG}/mask" in found:
        found["mask"] = found[f"{STRONG}/mask"]
    return found or None


@final
@dataclass
class GuidedCall:
    """One call of a guided field at `x`, `(batch, *shape)`, and `t`, `(batch,)`.

    `condition` is the prepared one.  `predict` evaluates a branch.
    """

    guided: Guided
    x: Tensor
    t: Tensor
    condition: Condition | None
    quantity: Quantity
    until: Tensor | None = None
    _strong: dict[Quantity, Tensor] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The path of the field."""
        return self.guided.path

    def entry(self, name: str) -> Tensor:
        """Return the rows of an entry that `prepare` gave to `branches` for the guidance itself."""
        if self.condition is None or f"{OWN}/{name}" not in self.condition:
            raise ComponentError(
                f"{type(self.guided.guidance).__name__} reads the entry '{name}', which its "
                "`prepare` did not give"
            )
        return self.condition[f"{OWN}/{name}"]

    def predict(
        self,
        branch: str = STRONG,
        target: Quantity | None = None,
        *,
        x: Tensor | None = None,
        t: Tensor | None = None,
    ) -> Tensor:
        """Return the prediction of `branch` as `target`, `(batch, *shape)`.

        The field is that of the branch's name among the guidance's other fields, or the guided one.
        By default the prediction is that of the guidance's quantity at the call's x and t; for a
        flow map, the average velocity.  That of `strong` there is computed once.
        """
        target = target or self.quantity
        reused = branch == STRONG and x is None and t is None
        if reused and target in self._strong:
            return self._strong[target]
        field = self.guided.others.get(branch, self.guided.strong)
        prefix = f"{branch}/"
        entries = (self.condition or {}).items()
        own = {k.removeprefix(prefix): v for k, v in entries if k.startswith(prefix)} or None
        at = self.x if x is None else x
        if self.until is None:
            value = field.predict(at, self.t if t is None else t, own, target)
        elif target == "velocity":
            value = _average_velocity(field, at, self.t, self.until, own)
        else:
            raise ComponentError(
                f"{type(self.guided.guidance).__name__} guides the {target} prediction, and a jump "
                "of a flow map has none: use an ODE solver such as 'midpoint'"
            )
        if reused:
            self._strong[target] = value
        return value


@final
@dataclass
class Guided:
    """The field `strong` under a guidance; `others` are the fields of branches with their names.

    Other fields are evaluated under the same raw condition.  Outside the interval only `strong` is
    evaluated.  `nfe` counts velocities per sample, `forwards` network evaluations per sample.  A
    raw condition is prepared at each call.  Raises ComponentError for fields along another path.
    """

    strong: Predictor
    guidance: Guidance
    others: Mapping[str, Predictor] = field(default_factory=dict)
    nfe: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.guidance.check(self.strong.path)
        for name, other in self.others.items():
            if other.path != self.strong.path:
                raise ComponentError(
                    f"the {name} field follows {other.path}, the strong one {self.strong.path}: "
                    "put one on the other's path with fmcore.ChangedSchedule"
                )

    @property
    def model(self) -> VectorField:
        return self.strong.model

    @property
    def path(self) -> Path:
        return self.strong.path

    @property
    def forwards(self) -> int:
        return self.strong.forwards + sum(other.forwards for other in self.others.values())

    def require_score(self, who: str) -> None:
        """Raise ComponentError if one of the fields has no score for `who`."""
        for each in (self.strong, *self.others.values()):
            require_score(each, who)

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        self.nfe += 1
        return self.predict(x, t, condition, "velocity")

    def predict(
        self,
        x: Tensor,
        t: Tensor,
        condition: Condition | None = None,
        target: Quantity = "velocity",
    ) -> Tensor:
        if target == "score":  # computed here from another quantity, not by the strong field
            self.require_score("this prediction")
        quantity = self.guidance.quantity or target
        call = GuidedCall(self, x, t, self._prepared(condition), quantity)
        inside = self._inside(t)
        if inside is None:
            return call.predict(target=target)
        value = self._blend(call, inside)
        if quantity == target:
            return value
        return self.path.convert(value, x, t, source=quantity, target=target)

    def jump(
        self, x: Tensor, t: Tensor, until: Tensor, condition: Condition | None = None
    ) -> Tensor:
        """Return the state at `until`: the guidance changes the average velocity from t to it."""
        self.nfe += 1
        quantity = self.guidance.quantity or "velocity"
        call = GuidedCall(self, x, t, self._prepared(condition), quantity, until)
        inside = self._inside(t)
        average = call.predict() if inside is None else self._blend(call, inside)
        return x + append_dims(until - t, x).to(x.dtype) * average

    def prepare(self, condition: Condition | None) -> Condition | None:
        if self.guidance.is_neutral:
            return branches(strong=self.strong.prepare(condition))
        own = self.guidance.prepare(self.strong, condition)
        prepared = {name: other.prepare(condition) for name, other in self.others.items()}
        return {**(own or {}), **(branches(**prepared) or {})} or None

    def _prepared(self, condition: Condition | None) -> Condition | None:
        """Return the prepared condition of a call, which may get a raw one."""
        # every entry that `branches` makes has a branch before its name; raw ones have only flags
        ready = any("/" in name and not name.startswith(PRESENT) for name in condition or ())
        return condition if ready else self.prepare(condition)

    def _inside(self, t: Tensor) -> Tensor | None:
        """Return the mask of guided rows, `(batch,)`, or None if there are none.

        With an interval shorter than [0, 1] the host waits for the device, to save evaluations.
        """
        if self.guidance.is_neutral:
            return None
        start, end = self.guidance.interval
        inside = (start <= t) & (t <= end)
        return inside if (start, end) == (0.0, 1.0) or bool(inside.any()) else None

    def _blend(self, call: GuidedCall, inside: Tensor) -> Tensor:
        """Return the guided prediction in the rows `inside`, the strong one in the others."""
        guided = self.guidance.guide(call)
        # logits have another shape than x: a combination of two predictions has theirs
        shaped = call.quantity in ("posterior", "parts")
        if not shaped and guided.shape != call.x.shape:
            raise ComponentError(
                f"{type(self.guidance).__name__}.guide returned shape {tuple(guided.shape)} for x "
                f"of shape {tuple(call.x.shape)}: a prediction has the shape of x"
            )
        if self.guidance.interval == (0.0, 1.0):
            return guided
        return torch.where(append_dims(inside, guided), guided, call.predict())


def _average_velocity(
    field: Predictor, x: Tensor, t: Tensor, until: Tensor, condition: Condition | None
) -> Tensor:
    """Return (jump - x) / (until - t), and 0 where the two times are equal."""
    step = append_dims(until - t, x).to(x.dtype)
    away = field.jump(x, t, until, condition) - x
    return away / torch.where(step == 0, torch.ones_like(step), step)

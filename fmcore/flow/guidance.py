"""Guidance: extrapolation of a prediction away from a weaker one.

The scale has one meaning for every kind of guidance:

    v = v_weak + scale (v_strong - v_weak)

A scale of 1 is no guidance, 0 the weak prediction, and above 1 an extrapolation.  It is 1 + w for
the w of Ho and Salimans.  At a given (x, t) every quantity is the same affine function of the
velocity, so guidance of data, noise, score or velocity gives the same flow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.condition import without
from fmcore.interfaces.field import Predictor, require_score
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.path import Path, Quantity
from fmcore.interfaces.source import Condition
from fmcore.interfaces.tensors import append_dims

__all__ = ["Guided"]


@final
@dataclass
class Guided:
    """The field `strong`, guided by `scale` for t in the closed `interval`.

    Classifier-free guidance: with `weak=None`, the weak prediction is that of the strong field
    without the conditions `drop`; train it with dropout of them (Ho and Salimans 2022,
    arXiv 2207.12598, eq. 6).
    Autoguidance: `weak` is a smaller or less trained field, evaluated under the same condition
    (Karras et al. 2024, arXiv 2406.02507).  Outside the interval the weak field is not evaluated
    (Kynkäänniemi et al. 2024, arXiv 2404.07724).  `nfe` counts velocities per sample, `forwards`
    network evaluations per sample.  Raises ComponentError for an interval outside [0, 1] and for
    fields along two paths.
    """

    strong: Predictor
    scale: float
    weak: Predictor | None = None
    interval: tuple[float, float] = (0.0, 1.0)
    drop: tuple[str, ...] = ("label",)
    nfe: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        start, end = self.interval
        if not 0 <= start <= end <= 1:
            raise ComponentError(
                f"guidance interval must be two times in [0, 1], in order; got {self.interval}"
            )
        if self.weak is not None and self.weak.path != self.strong.path:
            raise ComponentError(
                f"the weak field follows {self.weak.path}, the strong one {self.strong.path}: "
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
        return self.strong.forwards + (0 if self.weak is None else self.weak.forwards)

    def require_score(self, who: str) -> None:
        """Raise ComponentError if one of the fields has no score for `who`."""
        require_score(self.strong, who)
        require_score(self.weak, who)

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
        strong = self.strong.predict(x, t, self._of_strong(condition), target)
        guided = self._within(t)
        if guided is None:
            return strong
        weaker = self.strong if self.weak is None else self.weak
        weak = weaker.predict(x, t, self._of_weak(condition), target)
        scale = append_dims(torch.where(guided, self.scale, 1.0).to(x.dtype), x)
        return weak + scale * (strong - weak)

    def jump(
        self, x: Tensor, t: Tensor, until: Tensor, condition: Condition | None = None
    ) -> Tensor:
        """The guided jump: the same combination of where the two fields lead."""
        self.nfe += 1
        strong = self.strong.jump(x, t, until, self._of_strong(condition))
        guided = self._within(t)
        if guided is None:
            return strong
        weaker = self.strong if self.weak is None else self.weak
        weak = weaker.jump(x, t, until, self._of_weak(condition))
        scale = append_dims(torch.where(guided, self.scale, 1.0).to(x.dtype), x)
        return weak + scale * (strong - weak)

    def prepare(self, condition: Condition | None) -> Condition | None:
        """The prepared conditions of the two fields, under `strong/` and `weak/`.

        Two, because a network may consume what guidance drops when it prepares its condition.
        """
        strong = self.strong.prepare(condition)
        if self.scale == 1:
            return strong
        if self.weak is None:
            weak = self.strong.prepare(dropping(condition, self.drop))
        else:
            weak = self.weak.prepare(condition)
        if strong is None and weak is None:
            return None
        mask = {} if strong is None or "mask" not in strong else {"mask": strong["mask"]}
        return {
            **mask,  # the sampler reads it
            **{f"{STRONG}{name}": value for name, value in (strong or {}).items()},
            **{f"{WEAK}{name}": value for name, value in (weak or {}).items()},
        }

    def _of_strong(self, condition: Condition | None) -> Condition | None:
        return _branch(condition, STRONG) if _is_prepared(condition) else condition

    def _of_weak(self, condition: Condition | None) -> Condition | None:
        """The weak field's condition: its branch, or the raw one of a call without `prepare`."""
        if _is_prepared(condition):
            return _branch(condition, WEAK)
        return dropping(condition, self.drop) if self.weak is None else condition

    def _within(self, t: Tensor) -> Tensor | None:
        """Return the mask of guided rows, `(batch,)`, or None if there are none.

        With an interval shorter than [0, 1] the host waits for the device, to save evaluations.
        """
        if self.scale == 1:
            return None
        start, end = self.interval
        inside = (start <= t) & (t <= end)
        return inside if (start, end) == (0.0, 1.0) or bool(inside.any()) else None


STRONG, WEAK = "strong/", "weak/"
"""Prefixes of the entries that `Guided.prepare` makes for its two fields."""


def _is_prepared(condition: Condition | None) -> bool:
    return any(name.startswith((STRONG, WEAK)) for name in condition or ())


def _branch(condition: Condition | None, prefix: str) -> Condition | None:
    """Return the entries of one field, under their own names."""
    entries = (condition or {}).items()
    return {k.removeprefix(prefix): v for k, v in entries if k.startswith(prefix)} or None


def dropping(condition: Condition | None, names: tuple[str, ...]) -> Condition:
    """Return the condition with the null values of `names`; other entries stay.

    Raises ComponentError if there is nothing to leave out.
    """
    if missing := [name for name in names if name not in (condition or {})]:
        raise ComponentError(
            f"classifier-free guidance removes the condition '{missing[0]}', and there is none: "
            "use data with labels, a scale of 1, or a weak field (autoguidance)"
        )
    return without(condition, names)

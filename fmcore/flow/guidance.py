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
from fmcore.interfaces.field import Predictor, require_score
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.path import Path, Quantity
from fmcore.interfaces.source import NULL_CLASS, Condition
from fmcore.interfaces.tensors import append_dims

__all__ = ["Guided", "without_label"]


@final
@dataclass
class Guided:
    """The field `strong`, guided by `scale` for t in the closed `interval`.

    Classifier-free guidance: with `weak=None`, the weak prediction is that of the strong field
    without its label; train it with label dropout (Ho and Salimans 2022, arXiv 2207.12598, eq. 6).
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
        strong = self.strong.predict(x, t, condition, target)
        guided = self._within(t)
        if guided is None:
            return strong
        if self.weak is None:
            weak = self.strong.predict(x, t, without_label(condition), target)
        else:
            weak = self.weak.predict(x, t, condition, target)
        scale = append_dims(torch.where(guided, self.scale, 1.0).to(x.dtype), x)
        return weak + scale * (strong - weak)

    def _within(self, t: Tensor) -> Tensor | None:
        """Return the mask of guided rows, `(batch,)`, or None if there are none.

        With an interval shorter than [0, 1] the host waits for the device, to save evaluations.
        """
        if self.scale == 1:
            return None
        start, end = self.interval
        inside = (start <= t) & (t <= end)
        return inside if (start, end) == (0.0, 1.0) or bool(inside.any()) else None


def without_label(condition: Condition | None) -> Condition:
    """Return the condition with every label replaced by the null class; other entries stay.

    Raises ComponentError if there is no label.
    """
    if condition is None or "label" not in condition:
        raise ComponentError(
            "classifier-free guidance removes the condition 'label', and there is none: "
            "use data with labels, a scale of 1, or a weak field (autoguidance)"
        )
    return {**condition, "label": torch.full_like(condition["label"], NULL_CLASS)}

"""Change of schedule: a model trained along one path, sampled along another of the same points.

Two affine paths from the same noise to the same data have the same points up to a scale: at times
of equal signal-to-noise ratio alpha / sigma, xt of one is s times xt of the other.  So the
predictions of x1 and x0 at such a point hold for both, and the velocity of the new path is its own
combination of the two: the scale-time transformation.  Paths with kappa have equal points at equal
kappa, without a scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.field import Predictor, require_score
from fmcore.interfaces.kappa_path import KappaPath
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.path import AffinePath, Path, Quantity
from fmcore.interfaces.source import Condition
from fmcore.interfaces.tensors import append_dims, at_least_float32

__all__ = ["ChangedKappa", "ChangedSchedule", "change_schedule"]


@final
@dataclass
class ChangedSchedule:
    """The field `trained`, along its own affine path, as a field along the affine `path`.

    Exact where the trained path reaches the signal-to-noise ratio of the new one; beyond its ends
    the prediction at the nearest end is used.  Start from the prior of `path`.  Raises
    ComponentError for paths that are not affine or have different sources.
    Source: Karras et al. 2022 (arXiv 2206.00364), eq. 4; Pokle et al. 2023 (arXiv 2310.04432).
    """

    trained: Predictor
    path: Path
    nfe: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        old, new = self.trained.path, self.path
        if not (isinstance(old, AffinePath) and isinstance(new, AffinePath)):
            raise ComponentError(
                "the schedule can be changed after training only between affine paths; this is "
                f"{type(old).__name__} to {type(new).__name__}"
            )
        if old.source != new.source:
            raise ComponentError(
                f"the path was trained from {old.source}, and cannot be sampled from {new.source}: "
                "give both paths the same `source`"
            )
        self._old, self._new = old, new

    @property
    def model(self) -> VectorField:
        return self.trained.model

    @property
    def forwards(self) -> int:
        return self.trained.forwards

    def require_score(self, who: str) -> None:
        """Raise ComponentError if the trained field has no score for `who`."""
        require_score(self.trained, who)

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
        if target == "score":  # computed here from the noise, not by the trained field
            self.require_score("this prediction")
        t = at_least_float32(t)
        time, scale = self._counterpart(t)
        there = x / append_dims(scale, x).to(x.dtype)
        velocity = self.trained.predict(there, time, condition, "velocity")
        x1 = self._old.convert(velocity, there, time, source="velocity", target="data")
        if target == "data":
            return x1
        x0 = self._old.convert(velocity, there, time, source="velocity", target="noise")
        if target != "velocity":
            return self._new.convert(x0, x, t, source="noise", target=target)
        c = self._new.coefficients(t)
        d_alpha, d_sigma = (append_dims(v, x).to(x.dtype) for v in (c.d_alpha, c.d_sigma))
        return d_alpha * x1 + d_sigma * x0

    def jump(
        self, x: Tensor, t: Tensor, until: Tensor, condition: Condition | None = None
    ) -> Tensor:
        """The trained field's jump between the two counterparts of `x`."""
        self.nfe += 1
        begin, scale = self._counterpart(at_least_float32(t))
        end, end_scale = self._counterpart(at_least_float32(until))
        there = x / append_dims(scale, x).to(x.dtype)
        return append_dims(end_scale, x).to(x.dtype) * self.trained.jump(
            there, begin, end, condition
        )

    def prepare(self, condition: Condition | None) -> Condition | None:
        return self.trained.prepare(condition)

    def _counterpart(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the time on the trained path with the same signal-to-noise ratio, and the scale of
        the new path's points relative to it, each `(batch,)`.

        Computed on the CPU, once for each distinct time: in a fixed solver all rows share one.
        """
        at, row = torch.unique(t.detach().double().cpu(), return_inverse=True)
        time = self._old.inverse_log_snr(self._new.log_snr(at))
        old, new = self._old.coefficients(time), self._new.coefficients(at)
        # alpha's ratio and sigma's are equal, but each is 0 / 0 at one end.
        scale = ((new.alpha**2 + new.sigma**2) / (old.alpha**2 + old.sigma**2)).sqrt()
        return time[row].to(t), scale[row].to(t)


@final
@dataclass
class ChangedKappa:
    """The field `trained`, along its own path with kappa, as a field along the path `path`, which
    goes the same way at other times.

    At times of equal kappa the points of both paths have one distribution; velocities differ by the
    ratio of kappa'.  Raises ComponentError for paths of different kinds, spaces or sources.
    """

    trained: Predictor
    path: Path
    nfe: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        old, new = self.trained.path, self.path
        if not (isinstance(old, KappaPath) and isinstance(new, KappaPath)):
            raise ComponentError(
                f"the schedule of {type(old).__name__} cannot be changed to that of "
                f"{type(new).__name__}: give sample.path the path of the training with another "
                "`schedule`"
            )
        if type(old) is not type(new) or (old.noise(), old.space) != (new.noise(), new.space):
            raise ComponentError(
                f"the path was trained as {old}, and cannot be sampled as {new}: change only the "
                "schedule"
            )
        self._old, self._new = old, new

    @property
    def model(self) -> VectorField:
        return self.trained.model

    @property
    def forwards(self) -> int:
        return self.trained.forwards

    def require_score(self, who: str) -> None:
        """Raise ComponentError if the trained field has no score for `who`."""
        require_score(self.trained, who)

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
        t = at_least_float32(t)
        kappa, d_kappa = self._new.kappa(t.double())
        time = self._old.inverse_kappa(kappa)
        found = self.trained.predict(x, time.to(t), condition, target)
        if target != "velocity":
            return found
        # kappa' of the trained path may be 0 at its start, where its velocity is 0 too
        speed = (d_kappa / self._old.kappa(time)[1].clamp_min(1e-12)).to(x.dtype)
        return append_dims(speed, x) * found

    def jump(
        self, x: Tensor, t: Tensor, until: Tensor, condition: Condition | None = None
    ) -> Tensor:
        """Raise ComponentError: flow maps have affine paths."""
        raise ComponentError("a flow map has no path with kappa, so its schedule cannot be changed")

    def prepare(self, condition: Condition | None) -> Condition | None:
        return self.trained.prepare(condition)


def change_schedule(trained: Predictor, path: Path) -> Predictor:
    """Return the field `trained` along `path`: another schedule of the trained path.

    Raises ComponentError where that is not possible.
    """
    if isinstance(trained.path, AffinePath):
        return ChangedSchedule(trained, path)
    return ChangedKappa(trained, path)

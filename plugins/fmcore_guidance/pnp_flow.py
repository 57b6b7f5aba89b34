"""Plug-and-play flow matching: restoration of a measurement by a trained field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from fmcore import (
    AffinePath,
    ComponentError,
    Condition,
    ConditionSpec,
    Operator,
    Path,
    Problem,
    Rows,
    Solution,
    Solver,
    Stats,
    Status,
    append_dims,
)
from fmcore.solving import asked_times, interval, label_of, state_of
from fmcore_guidance.geometry import dot
from fmcore_guidance.measurement import encode_measurement, measured

__all__ = ["PnPFlow"]

POWER_ITERATIONS = 20
"""Of the norm of A^T A, whose inverse is the longest stable step."""


@final
@dataclass(frozen=True)
class PnPFlow(Solver):
    """Steps towards a measurement of x1, made by `operator`, each followed by a denoising.

    From t = 0 to 1 in `nfe` / `draws` equal steps, at each time t:

        z = x - rate (1 - t)^power A^T (A x - y) / |A^T A|     towards the measurement
        x = mean over draws of D(alpha z + sigma n)            with new noise n ~ N(0, I)

    with D the data prediction.  It starts from A^T y, and returns one restoration a sample, near
    the posterior's mean, not draws of the posterior.  The measurement is the condition called
    `measurement`.  Source: Martin et al. 2024, arXiv 2410.02423, algorithm 1.
    """

    needs_path: ClassVar[bool] = True
    restores: ClassVar[bool] = True

    operator: Operator = field(kw_only=True)
    measurement: str = field(default="measurement", kw_only=True)
    nfe: Annotated[int, Gt(0)] = field(default=100, kw_only=True)
    draws: Annotated[int, Gt(0)] = field(default=1, kw_only=True)
    rate: Annotated[float, Ge(0)] = field(default=1.0, kw_only=True)
    power: Annotated[float, Ge(0)] = field(default=0.5, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nfe < self.draws:
            raise ComponentError(
                f"{label_of(self)}: nfe={self.nfe} is less than one step of draws={self.draws} "
                "evaluations"
            )

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({self.measurement})

    def check(self, path: Path | None) -> None:
        if not isinstance(path, AffinePath):
            raise ComponentError(
                f"{label_of(self)} needs an affine path, such as 'ot'; the path is "
                f"{type(path).__name__}"
            )

    def entries(self, shape: tuple[int, ...]) -> Mapping[str, ConditionSpec]:
        return {self.measurement: ConditionSpec(self.operator.shape(shape))}

    def encode(self, given: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Tensor]:
        return super().encode(encode_measurement(given, self.entries(shape)), shape)

    def measure(self, x1: Tensor, rows: Rows) -> dict[str, Tensor]:
        return {self.measurement: measured(self.operator, x1, rows)}

    def facts(self) -> Mapping[str, str]:
        own = {"order": "none", "evaluations": f"{self.draws} a step"}
        return own | dict(super().facts())

    def solve(self, problem: Problem) -> Solution:
        x, path = state_of(problem), problem.path
        self.check(path)
        t0, t1 = interval(problem)
        if t1 < t0 or not isinstance(path, AffinePath):
            raise ComponentError(f"{label_of(self)} goes from noise to data: t0 must be below t1")
        y, condition = self._measurement(problem)
        predict = _data_prediction(problem.field)
        ids = range(len(x)) if problem.sample_ids is None else problem.sample_ids.tolist()
        noise = Rows(problem.seed, "pnp_flow", 0, ids, x.device)
        operator, norm = self.operator, _norm(self.operator, x)
        x = operator.adjoint(y.to(x))
        steps = self.nfe // self.draws
        asked, states = asked_times(problem), list[Tensor]()
        for step in range(steps):
            at = t0 + (t1 - t0) * step / steps
            states += [x] * (sum(time <= at for time in asked) - len(states))
            t = torch.full((len(x),), at, dtype=x.dtype, device=x.device)
            away = operator.adjoint(operator.apply(x) - y.to(x)) / norm
            z = x - self.rate * (1 - at) ** self.power * away
            c = path.coefficients(t)
            alpha, sigma = append_dims(c.alpha, x), append_dims(c.sigma, x)
            drawn = torch.zeros_like(x)
            for _ in range(self.draws):
                n = noise.normal(x.shape[1:], x.dtype)
                drawn = drawn + predict(alpha * z + sigma * n, t, condition)
            x = drawn / self.draws
        states += [x] * (len(asked) - len(states))
        finite = x.flatten(1).isfinite().all(1)
        status = torch.where(finite, int(Status.SUCCESS), int(Status.NONFINITE))
        nfe = steps * self.draws
        return Solution(
            x=x,
            status=status,
            t_reached=torch.full_like(status, t1, dtype=x.dtype),
            stats=Stats(
                nfe=torch.full_like(status, nfe),
                calls=nfe,
                steps=steps,
                extra={"forwards": nfe, "nfe_asked": self.nfe},
            ),
            trajectory=torch.stack(states) if asked else None,
        )

    def _measurement(self, problem: Problem) -> tuple[Tensor, Condition | None]:
        """Return the measurement, and the condition without it for the field."""
        given = dict(problem.condition or {})
        for name in (f"solver/{self.measurement}", self.measurement):
            if name in given:
                y = self.operator.project(given.pop(name))
                return y, given or None
        raise ComponentError(
            f"{label_of(self)} reads the condition '{self.measurement}', which is missing: give "
            f"it, as in condition.{self.measurement}=photo.png"
        )


def _data_prediction(field: Any) -> Any:
    predict = getattr(field, "predict", None)
    if predict is None:
        raise ComponentError(
            f"solver 'pnp_flow' needs a field that predicts data, and {type(field).__name__} is a "
            "plain velocity: give a fmcore.Field"
        )
    return lambda x, t, condition: predict(x, t, condition, "data")


def _norm(operator: Operator, x: Tensor) -> Tensor:
    """Return the largest eigenvalue of A^T A by power iteration, from the same point always."""
    # not constant, which a difference would annihilate
    v = torch.linspace(1, 2, x[0].numel(), dtype=x.dtype, device=x.device).reshape(1, *x.shape[1:])
    size = torch.ones_like(dot(v, v))
    for _ in range(POWER_ITERATIONS):
        v = operator.adjoint(operator.apply(v))
        size = dot(v, v).sqrt().clamp(min=torch.finfo(v.dtype).tiny)
        v = v / size
    return size

"""The solver of tokens and of products: go a fraction of the way to the predicted end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from fmcore import (
    ComponentError,
    KappaPath,
    Manifold,
    Path,
    Problem,
    Quantity,
    Rows,
    Solution,
    Solver,
    Space,
    Stats,
    Status,
    Tokens,
)
from fmcore.solving import asked_times, interval, label_of, state_of
from fmcore_spaces.product_path import ProductPath

__all__ = ["Leap"]

DEFAULT_STEPS = 50


@final
@dataclass(frozen=True)
class Leap(Solver):
    """Steps of the fraction (kappa(t') - kappa(t)) / (1 - kappa(t)) of what is left.

    A token jumps with this probability to a draw of its posterior, softened by `temperature`; a
    point of a manifold moves by this fraction of the geodesic to its predicted end.  One network
    evaluation a step serves all parts of a product.  `noise` > 0 lets tokens jump too far and
    redraws some of them from the source, which corrects earlier choices; the last step adds none.
    The marginal of a single token is exact for every number of steps and every noise; tokens of one
    step are drawn independently of each other, so that their joint distribution needs many steps.

    `steps` and `nfe` are the same number here, 50 by default.
    Source: Campbell et al. 2024 (arXiv 2402.04997); Gat et al. 2024 (arXiv 2407.15595).
    """

    leaps: ClassVar[bool] = True

    nfe: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    steps: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    noise: Annotated[float, Ge(0)] = field(default=0.0, kw_only=True)
    temperature: Annotated[float, Gt(0)] = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nfe is not None and self.steps is not None:
            raise ComponentError(f"{label_of(self)} takes one of nfe= and steps=; got both")

    def supports(self, space: Space) -> bool:
        return True

    def facts(self) -> Mapping[str, str]:
        own = {"order": "1", "evaluations": "1 a step", "grid": "uniform in time"}
        return own | dict(super().facts())

    def solve(self, problem: Problem) -> Solution:
        predict = getattr(problem.field, "predict", None)
        if predict is None or problem.path is None:
            raise ComponentError(
                f"{label_of(self)} needs a field with `predict` and its path: a trained network "
                "(fmcore.Field), not a function of (x, t)"
            )
        if problem.augmentation is not None:
            raise ComponentError(f"{label_of(self)} integrates no divergence: use 'dopri5'")
        x = state_of(problem).detach().clone()
        t0, t1 = interval(problem)
        if t1 < t0:
            raise ComponentError(f"{label_of(self)} goes from noise to data: t0 must be below t1")
        asked = asked_times(problem)
        times = self._times(t0, t1, asked)
        ids = range(len(x)) if problem.sample_ids is None else problem.sample_ids
        quantity = _quantity(problem.path)
        frozen = (problem.condition or {}).get("frozen")
        states: dict[float, Tensor] = {t0: x}
        before = getattr(problem.field, "forwards", 0)
        for number, (s, t) in enumerate(pairwise(times)):
            at = torch.full((len(x),), s, dtype=x.dtype, device=x.device)
            with torch.no_grad():
                predicted = predict(x, at, problem.condition, target=quantity)
            rows = Rows(problem.seed, "leap", number, ids, x.device)
            moved = self._moved(problem.path, x, predicted, (s, t), rows, t == times[-1])
            x = moved if frozen is None else torch.where(frozen, x, moved)
            states[t] = x
        return _solution(x, states, asked, times, getattr(problem.field, "forwards", 0) - before)

    def _times(self, t0: float, t1: float, asked: tuple[float, ...]) -> list[float]:
        count = self.steps or self.nfe or DEFAULT_STEPS
        grid = torch.linspace(t0, t1, count + 1, dtype=torch.float64).tolist()
        return sorted({*grid, *asked}) if t0 < t1 else [t0]

    def _moved(
        self,
        path: Path,
        x: Tensor,
        predicted: Tensor,
        step: tuple[float, float],
        rows: Rows,
        is_last: bool,
    ) -> Tensor:
        """Return the state at the end of the step."""
        if isinstance(path, ProductPath):
            points, ends = path.product.split(x), path.split_prediction(predicted)
            return path.product.join(
                {
                    name: self._moved(part, points[name], ends[name], step, rows, is_last)
                    for name, part in path.parts.items()
                }
            )
        if isinstance(path.space, Tokens):
            return self._jumped(path, x, predicted, step, rows, is_last)
        if not isinstance(path.space, Manifold):
            raise ComponentError(f"{label_of(self)} cannot move points of {path.space}")
        return path.space.exp(x, _length(path, step) * predicted)

    def _jumped(
        self,
        path: Path,
        x: Tensor,
        logits: Tensor,
        step: tuple[float, float],
        rows: Rows,
        is_last: bool,
    ) -> Tensor:
        if not isinstance(path, KappaPath):
            raise ComponentError(f"{label_of(self)} needs a path with kappa for tokens")
        now, then = _kappas(path, step)
        # the overshoot that the redraw takes back
        eta = 0.0 if is_last else min(1.0, self.noise * (step[1] - step[0]))
        beyond = then + eta * (1 - then)
        shape = tuple(x.shape[1:])
        jumps = rows.uniform(shape, torch.float64) < (beyond - now) / max(1 - now, 1e-12)
        x = torch.where(jumps, self._drawn(logits, rows, shape).to(x.dtype), x)
        if beyond > then:
            again = rows.uniform(shape, torch.float64) < 1 - then / beyond
            x = torch.where(again, path.noise().sample(rows, shape, dtype=x.dtype), x)
        return x

    def _drawn(self, logits: Tensor, rows: Rows, shape: tuple[int, ...]) -> Tensor:
        """Return a draw of the posterior by its inverse distribution function, in float64, in which
        rare tokens keep their probability.
        """
        shares = (logits.double() / self.temperature).softmax(-1).cumsum(-1)
        chance = rows.uniform(shape, torch.float64).unsqueeze(-1) * shares[..., -1:]
        # the last share is above the chance, up to rounding
        return (
            torch.searchsorted(shares, chance, right=True)
            .squeeze(-1)
            .clamp_max(logits.shape[-1] - 1)
        )


def _quantity(path: Path) -> Quantity:
    if isinstance(path, ProductPath):
        return "parts"
    return "velocity" if path.space.continuous else "posterior"


def _kappas(path: KappaPath, step: tuple[float, float]) -> tuple[float, float]:
    now, then = path.kappa(torch.tensor(step, dtype=torch.float64))[0].tolist()
    return now, then


def _length(path: Path, step: tuple[float, float]) -> float:
    """Return the factor of a velocity: its part of the way to the end is then that of kappa."""
    if not isinstance(path, KappaPath):
        return step[1] - step[0]
    now, then = _kappas(path, step)
    speed = float(path.kappa(torch.tensor(step[0], dtype=torch.float64))[1])
    # where kappa starts with speed 0, the velocity is 0 too and does not name the end
    return (then - now) / speed if speed > 1e-6 else step[1] - step[0]


def _solution(
    x: Tensor,
    states: Mapping[float, Tensor],
    asked: tuple[float, ...],
    times: list[float],
    forwards: int,
) -> Solution:
    finite = x.flatten(1).isfinite().all(1)
    status = torch.where(finite, int(Status.SUCCESS), int(Status.NONFINITE))
    steps = len(times) - 1
    extra: dict[str, Any] = {"forwards": forwards} if forwards else {}
    return Solution(
        x=x,
        status=status,
        t_reached=torch.full_like(status, times[-1], dtype=x.dtype),
        stats=Stats(nfe=torch.full_like(status, steps), calls=steps, steps=steps, extra=extra),
        trajectory=torch.stack([states[t] for t in asked]) if asked else None,
    )

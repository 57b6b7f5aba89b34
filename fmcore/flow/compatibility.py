"""Checks of whether components can be combined, made before a run starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

import torch

from fmcore.errors import ComponentError, DataError, FmcoreError
from fmcore.flow.field import score_refusal
from fmcore.interfaces.codec import Codec
from fmcore.interfaces.coupling import Coupling
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.metric import Metric
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.objective import Objective
from fmcore.interfaces.path import AffinePath, Path, Quantity
from fmcore.interfaces.solver import Solver
from fmcore.interfaces.space import Euclidean, Product, Space
from fmcore.recipe.create import create
from fmcore.registry import registry

__all__ = [
    "check_codec",
    "check_network",
    "check_points",
    "check_pretrained",
    "check_together",
    "on_space",
    "refusals",
]

CHECKED_POINTS = 256
"""The examples whose points are checked before a training; every batch is checked in it."""

SCHEDULE_ATOL = 5e-4
"""The largest difference of alpha or sigma between equal schedules: `ot` with the default sigma_min
equals `linear`; the continuous limit of a discrete schedule does not equal that schedule."""


def check_together(
    path: Path,
    coupling: Coupling,
    objective: Objective,
    *,
    data: Dataset | None = None,
    solver: Solver | None = None,
    metrics: Iterable[Metric] = (),
) -> None:
    """Raise ComponentError with all reasons, one a line, why these cannot be combined."""
    reasons = refusals(path, coupling, objective, data=data, solver=solver, metrics=metrics)
    if reasons:
        raise ComponentError("\n".join(reasons))


def refusals(
    path: Path,
    coupling: Coupling,
    objective: Objective,
    *,
    data: Dataset | None = None,
    solver: Solver | None = None,
    metrics: Iterable[Metric] = (),
) -> list[str]:
    """Return all reasons why these cannot be combined; empty if there is none."""
    reasons = [*_of(partial(objective.check, path)), *_of(partial(coupling.check, path, data))]
    if not objective.supports(path.space):
        reasons.append(
            f"objective {type(objective).__name__} does not train flows of points of "
            f"{type(path.space).__name__}: use {_objective_of(path.space)}"
        )
    if solver is not None and not solver.supports(path.space):
        others = "a Runge-Kutta solver such as 'midpoint'" if path.space.continuous else "'leap'"
        reasons.append(
            f"solver {type(solver).__name__} does not move points of {type(path.space).__name__}: "
            f"use solver {others}"
        )
    elif solver is not None:
        reasons += _of(partial(solver.check, path))
        if solver.jumps and not objective.spans:
            reasons.append(
                f"solver {type(solver).__name__} jumps along a flow map, and objective "
                f"{type(objective).__name__} trains a velocity: use objective 'mean_flow' or "
                "'shortcut', or an ODE solver such as 'midpoint'"
            )
        if not objective.loss_names:
            reasons.append(
                f"objective {type(objective).__name__} trains no flow, so nothing can be sampled: "
                "leave out the section sample"
            )
    if objective.prediction == "score" or (solver is not None and solver.needs_score):
        who = type(objective if objective.prediction == "score" else solver).__name__
        reasons += score_refusal(coupling, who)
    if data is not None:
        reasons += [r for metric in metrics for r in _of(partial(metric.check, data, path))]
    return list(dict.fromkeys(reasons))


def on_space(
    data: Dataset, codec: Codec | None, path: Path, coupling: Coupling
) -> tuple[Path, Coupling]:
    """Return path and coupling for the space of `data`; latents of a codec are in R^n.

    Raises ComponentError with all reasons, one a line, why they do not know it.
    """
    if codec is not None and codec.encodes:
        return path.on(Euclidean()), coupling.on(Euclidean())
    space, reasons = data.space, []
    try:
        space.check(tuple(data.shape))
    except DataError:  # missing files are reported where the data are opened
        pass
    except ComponentError as refused:
        reasons.append(f"{type(data).__name__}: {refused}")
    for component in (path, coupling):
        try:
            component.on(space)
        except ComponentError as refused:
            reasons.append(str(refused))
    if reasons:
        raise ComponentError("\n".join(reasons))
    return path.on(space), coupling.on(space)


def check_points(data: Dataset) -> None:
    """Raise ComponentError if the first examples are no points of the data's space."""
    if not data.space.flat:
        x1 = data.batch(range(min(CHECKED_POINTS, data.length)))["x1"]
        data.space.require(x1, f"{type(data).__name__} (one of the first examples)")


def check_codec(codec: Codec, data: Dataset, metrics: Iterable[Metric] = ()) -> None:
    """Raise ComponentError if the codec does not fit the data, or a metric not its latents."""
    reasons = list(_of(lambda: _require_shape(codec, data)))
    if codec.encodes:
        reasons += [
            f"{type(metric).__name__} measures the density of the data, and the flow has one of "
            f"the latents of codec {type(codec).__name__}: leave out that metric, or the codec"
            for metric in metrics
            if metric.density
        ]
        if data.pairs:
            reasons.append(
                f"{type(data).__name__} gives pairs of states, which codec {type(codec).__name__} "
                "cannot encode: leave out the section codec"
            )
    if reasons:
        raise ComponentError("\n".join(dict.fromkeys(reasons)))


def _require_shape(codec: Codec, data: Dataset) -> None:
    codec.shape(tuple(data.shape))


def check_network(
    model: VectorField, path: Path, objective: Objective, shape: tuple[int, ...]
) -> None:
    """Raise ComponentError if the network cannot be trained by the objective: one of two times is
    needed, or another output shape.
    """
    name, reasons = type(model).__name__, []
    if objective.spans and not model.span:
        reasons.append(
            f"objective {type(objective).__name__} trains networks of two times, and {name} takes "
            "one: use a model with the option `span`, such as 'mlp' or 'unet'"
        )
    space = getattr(model, "space", Euclidean())
    if space != path.space:
        reasons.append(
            f"{name} reads points of {type(space).__name__}, and the data are points of "
            f"{type(path.space).__name__}: use a model with the argument `space`, such as 'mlp'"
        )
    wanted = objective.output_shape(path, shape)
    given = getattr(model, "output_shape", shape)
    if tuple(wanted) != tuple(given):
        reasons.append(
            f"objective {type(objective).__name__} needs outputs of shape {tuple(wanted)}, and "
            f"{name} gives {tuple(given)}"
        )
    if reasons:
        raise ComponentError("\n".join(reasons))


def check_pretrained(model: VectorField, path: Path, objective: Objective) -> None:
    """Raise ComponentError if a pretrained network predicts another quantity than the objective's,
    or was trained along another path.
    """
    pretrained = model.pretrained
    if pretrained is None:
        return
    name, reasons = type(model).__name__, []
    if pretrained.prediction not in (None, objective.prediction):
        reasons.append(
            f"{name} was trained to give {pretrained.prediction}, and objective "
            f"{type(objective).__name__} reads {objective.prediction}: "
            f"use {_objectives_for(pretrained.prediction)}"
        )
    if pretrained.path is not None and not _have_equal_schedules(pretrained.path, path):
        reasons.append(
            f"{name} was trained along {pretrained.path}, and the path is {path}: give the path "
            "that it was trained along (to sample along another, sample.path)"
        )
    if reasons:
        raise ComponentError("\n".join(reasons))


def _objectives_for(prediction: Quantity) -> str:
    """Return the installed objectives that predict `prediction` with their default options."""
    names: list[str] = []
    for name in registry().names("objective"):
        with suppress(FmcoreError):
            objective = create("objective", name)
            names += [f"'{name}'"] if objective.prediction == prediction else []
    return f"objective {' or '.join(names)}" if names else f"an objective that reads {prediction}"


def _have_equal_schedules(one: Path, other: Path) -> bool:
    if not (isinstance(one, AffinePath) and isinstance(other, AffinePath)):
        return one == other
    low, high = max(one.t_min, other.t_min), min(one.t_max, other.t_max)
    t = torch.linspace(low, high, 65, dtype=torch.float64)
    a, b = one.coefficients(t), other.coefficients(t)
    difference = torch.stack([a.alpha - b.alpha, a.sigma - b.sigma]).abs().max()
    return bool(difference < SCHEDULE_ATOL)


def _objective_of(space: Space) -> str:
    if space.continuous and not isinstance(space, Product):
        return "objective 'flow_matching' or 'data'"
    return "objective 'product'" if isinstance(space, Product) else "objective 'cross_entropy'"


def _of(check: Callable[[], None]) -> Iterator[str]:
    try:
        check()
    except ComponentError as refused:
        yield str(refused)

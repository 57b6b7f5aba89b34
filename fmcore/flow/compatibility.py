"""Which components do not go together, and why: asked before anything is spent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

import torch

from fmcore.errors import ComponentError, FmcoreError
from fmcore.interfaces.coupling import Coupling
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.metric import Metric
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.objective import Objective
from fmcore.interfaces.path import AffinePath, Path, Quantity
from fmcore.interfaces.solver import Solver
from fmcore.recipe.create import create
from fmcore.registry import registry

__all__ = ["check_network", "check_pretrained", "check_together", "refusals", "score_refusal"]


def check_together(
    path: Path,
    coupling: Coupling,
    objective: Objective,
    *,
    data: Dataset | None = None,
    solver: Solver | None = None,
    metrics: Iterable[Metric] = (),
) -> None:
    """Raise ComponentError with every reason, a line each, why these cannot work together."""
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
    """Every reason, in words, against this combination; empty if there is none."""
    reasons = [*_of(partial(objective.check, path)), *_of(partial(coupling.check, path, data))]
    if solver is not None:
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


def score_refusal(coupling: Coupling | None, who: str) -> list[str]:
    """Why `who` cannot have a score under `coupling`, if it cannot.

    The noise of a pair, over -sigma, is the score of N(alpha x1, sigma^2 I): its expectation given
    xt is the marginal's score only if x0 stays Gaussian once x1 is known.
    """
    if coupling is None or coupling.independent:
        return []
    return [
        f"{who} needs the score, which a velocity gives only where x0 is independent of x1; "
        f"coupling {type(coupling).__name__} pairs them: use coupling 'independent', "
        "or an objective and a solver that need the velocity alone"
    ]


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
    """Raise ComponentError if a network that was trained elsewhere gives another quantity than the
    objective's, or was trained along another path.
    """
    told = model.pretrained
    if told is None:
        return
    name, reasons = type(model).__name__, []
    if told.prediction not in (None, objective.prediction):
        reasons.append(
            f"{name} was trained to give {told.prediction}, and objective "
            f"{type(objective).__name__} reads {objective.prediction}: "
            f"use {_objectives_for(told.prediction)}"
        )
    if told.path is not None and not _alike(told.path, path):
        reasons.append(
            f"{name} was trained along {told.path}, and the path is {path}: give the path that it "
            "was trained along (to sample along another, sample.path)"
        )
    if reasons:
        raise ComponentError("\n".join(reasons))


def _objectives_for(prediction: Quantity) -> str:
    """The installed objectives that read `prediction`, as they stand without options."""
    names: list[str] = []
    for name in registry().names("objective"):
        with suppress(FmcoreError):
            objective = create("objective", name)
            names += [f"'{name}'"] if objective.prediction == prediction else []
    return f"objective {' or '.join(names)}" if names else f"an objective that reads {prediction}"


ALIKE = 5e-4
"""How far alpha and sigma may differ: `ot` with the usual sigma_min is `linear`; the continuous
limit of a discrete schedule is not that schedule."""


def _alike(one: Path, other: Path) -> bool:
    if not (isinstance(one, AffinePath) and isinstance(other, AffinePath)):
        return one == other
    low, high = max(one.t_min, other.t_min), min(one.t_max, other.t_max)
    t = torch.linspace(low, high, 65, dtype=torch.float64)
    a, b = one.coefficients(t), other.coefficients(t)
    away = torch.stack([a.alpha - b.alpha, a.sigma - b.sigma]).abs().max()
    return bool(away < ALIKE)


def _of(check: Callable[[], None]) -> Iterator[str]:
    try:
        check()
    except ComponentError as refused:
        yield str(refused)

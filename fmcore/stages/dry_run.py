"""What a recipe would take, without doing any of it: the network lives on torch's meta device.

FLOPs count multiply and add as two.  Memory of activations is what autograd keeps for one
micro-batch in float32, with the largest part that is computed again where the network does so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from torch.utils.flop_counter import FlopCounterMode

from fmcore.errors import ComponentError, DataError, RecipeError
from fmcore.flow.compatibility import check_together
from fmcore.interfaces.model import VectorField
from fmcore.recipe.recipe import Recipe
from fmcore.runs.trackers import require_trackers
from fmcore.stages.components import Components
from fmcore.stages.devices import accelerator_for
from fmcore.stages.probe import Activations, Fit, Probe, fit_of, probe_of, size_text
from fmcore.training.ema import profiles_of

__all__ = ["Forecast", "dry_run"]

BYTES = 4
STATE_COPIES = {"weights": 1, "gradients": 1, "Adam's moments": 2}


@final
@dataclass(frozen=True)
class Forecast:
    """What a run would take.  `missing` says what has to be provided first, a message each."""

    parameters: int
    state_bytes: int
    activation_bytes: int
    flops_per_step: int
    steps: int
    missing: tuple[str, ...]
    fit: Fit
    time: Probe | None = None

    def lines(self) -> list[str]:
        """The forecast as a person reads it."""
        return [
            f"parameters       {self.parameters:,}  ({self.parameters / 1e6:.1f} M)",
            f"training state   {size_text(self.state_bytes)}  "
            "(weights, gradients, Adam, moving averages; float32)",
            f"activations      {size_text(self.activation_bytes)}  "
            "(one micro-batch, float32, kept for the gradient)",
            f"FLOPs per step   {self.flops_per_step:.3g}  (forward and backward)",
            f"FLOPs in all     {self.flops_per_step * self.steps:.3g}  ({self.steps:,} steps)",
            f"memory           {self.fit.line()}",
            *([f"time             {self.time.line(self.steps)}"] if self.time else []),
            *(f"missing: {text}" for text in self.missing),
        ]


def dry_run(recipe: Recipe, device: str | None = None, probe: bool = False) -> Forecast:
    """Forecast `recipe` on `device`.  Builds everything that needs no data; writes nothing.

    With `probe`, and where nothing but metrics' files is missing, a few steps are taken and timed.
    Raises RecipeError or ComponentError for what is wrong rather than missing.
    """
    _require_what_is_built(recipe)
    components = Components.of(_filled(recipe))
    solver = components.sample.solver if components.sample else None
    check_together(components.path, components.coupling, components.objective, solver=solver)
    accelerator = accelerator_for(components, device)
    processes = accelerator.num_processes
    batch = components.train.batch_size if components.train else 1
    micro = max(1, batch // processes // (components.train.grad_accum if components.train else 1))
    shape = components.data.shape
    with torch.device("meta"):
        model: VectorField = recipe.build("model", shape=shape, span=components.objective.spans)
    parameters = sum(p.numel() for p in model.parameters())
    averages = len(profiles_of(components.train)) if components.train else 0
    copies = sum(STATE_COPIES.values()) + averages
    flops, kept = _one_example(model, shape)
    cut = processes if components.train and components.train.fsdp else 1
    state = parameters * copies * BYTES // cut
    flops_per_step = flops * batch
    missing_data = _missing_data(components, recipe)
    fit = fit_of(state, kept, batch // processes, micro, accelerator.device)
    tried = (
        probe_of(components, components.train, accelerator, flops_per_step, fit)
        if probe and components.train is not None and not (recipe.missing or missing_data)
        else None
    )
    return Forecast(
        parameters=parameters,
        state_bytes=state,
        activation_bytes=kept * micro,
        flops_per_step=flops_per_step,
        steps=components.train.steps if components.train else 0,
        missing=(
            *map(_must_be_given, recipe.missing),
            *missing_data,
            *_missing_of_metrics(components),
            *_missing_trackers(components),
        ),
        fit=fit,
        time=tried,
    )


def _one_example(model: VectorField, shape: tuple[int, ...]) -> tuple[int, int]:
    """FLOPs of a forward and backward pass of one example, and bytes that are held for it at once:
    what autograd keeps, and the largest part that is computed again.
    """
    t, one = torch.zeros((1,), device="meta"), torch.ones((), device="meta")
    counter, kept = FlopCounterMode(display=False), Activations()
    with counter, kept:
        loss = model(torch.zeros((1, *shape), device="meta"), t).sum()
        held = kept.held() - loss.nbytes
        again = kept.again(partial(loss.backward, one))
    return counter.get_total_flops(), held + again


PLACEHOLDER = "not-given"


def _filled(recipe: Recipe) -> Recipe:
    """The recipe with a placeholder for every value that must still be given."""
    return recipe.override([f"{key}={PLACEHOLDER}" for key in recipe.missing])


def _require_what_is_built(recipe: Recipe) -> None:
    """Raise RecipeError for missing values that nothing can stand for, such as a network's file."""
    keys = [key for key in recipe.missing if key.split(".")[0] in ("model", "path")]
    if keys:
        raise RecipeError(map(_must_be_given, keys))


def _must_be_given(key: str) -> str:
    return f"{key} must be given: add {key}=… to the command line"


def _missing_data(components: Components, recipe: Recipe) -> tuple[str, ...]:
    """What training would stop at for want of files."""
    if any(key.startswith("data.") for key in recipe.missing):
        return ()
    return _unmet([lambda: components.data.length])


def _missing_of_metrics(components: Components) -> tuple[str, ...]:
    """What the evaluation would stop at for want of files."""
    measured = [s for s in (components.evaluate, components.watched) if s is not None]
    data, path = components.data, components.path
    checks = [partial(m.check, data, path) for s in measured for m in s.metrics]
    return tuple(dict.fromkeys(_unmet(checks)))


def _missing_trackers(components: Components) -> tuple[str, ...]:
    """What training would stop at for want of a tracker's package."""
    try:
        require_trackers(components.train.trackers if components.train else ())
    except ComponentError as error:
        return (str(error),)
    return ()


def _unmet(checks: Sequence[Callable[[], object]]) -> tuple[str, ...]:
    missing = []
    for check in checks:
        try:
            check()
        except DataError as error:
            missing.append(str(error))
    return tuple(missing)

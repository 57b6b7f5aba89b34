"""What a recipe would take, without doing any of it: the network lives on torch's meta device.

FLOPs count multiply and add as two.  Memory of activations is what autograd keeps for one
micro-batch in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from torch.utils.flop_counter import FlopCounterMode

from fmcore.compatibility import check_together
from fmcore.errors import DataError, RecipeError
from fmcore.interfaces.model import VectorField
from fmcore.recipe import Recipe
from fmcore.stages.components import Components
from fmcore.stages.devices import accelerator_for
from fmcore.stages.probe import Fit, Probe, fit_of, probe_of, size_text
from fmcore.training.profiles import profiles_of

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
    batch = components.train.batch_size if components.train else 1
    micro = batch // (components.train.accumulate if components.train else 1)
    shape = components.data.shape
    with torch.device("meta"):
        model: VectorField = recipe.build("model", shape=shape)
    parameters = sum(p.numel() for p in model.parameters())
    averages = len(profiles_of(components.train)) if components.train else 0
    copies = sum(STATE_COPIES.values()) + averages
    flops, kept = _one_example(model, shape)
    state = parameters * copies * BYTES
    flops_per_step = flops * batch
    missing_data = _missing_data(components, recipe)
    accelerator = accelerator_for(components, device)
    fit = fit_of(state, kept, batch, micro, accelerator.device)
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
        ),
        fit=fit,
        time=tried,
    )


def _one_example(model: VectorField, shape: tuple[int, ...]) -> tuple[int, int]:
    """FLOPs of a forward and backward pass of one example, and bytes that autograd keeps for it."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            kept[id(tensor.untyped_storage())] = tensor.untyped_storage().nbytes()
        return tensor

    x = torch.zeros((1, *shape), device="meta")
    t = torch.zeros((1,), device="meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(x, t).sum().backward()
    return counter.get_total_flops(), sum(kept.values())


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
    if components.evaluate is None:
        return ()
    data, path = components.data, components.path
    return _unmet([partial(m.check, data, path) for m in components.evaluate.metrics])


def _unmet(checks: Sequence[Callable[[], object]]) -> tuple[str, ...]:
    missing = []
    for check in checks:
        try:
            check()
        except DataError as error:
            missing.append(str(error))
    return tuple(missing)

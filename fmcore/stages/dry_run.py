"""What a recipe would take, without doing any of it: the network lives on torch's meta device.

FLOPs count multiply and add as two.  Memory of activations is what autograd keeps for one
micro-batch in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from torch.utils.flop_counter import FlopCounterMode

from fmcore.compatibility import check_together
from fmcore.errors import DataError
from fmcore.interfaces.model import VectorField
from fmcore.recipe import Recipe
from fmcore.stages.components import Components
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

    def lines(self) -> list[str]:
        """The forecast as a person reads it."""
        return [
            f"parameters       {self.parameters:,}  ({self.parameters / 1e6:.1f} M)",
            f"training state   {_size(self.state_bytes)}  "
            "(weights, gradients, Adam, moving averages; float32)",
            f"activations      {_size(self.activation_bytes)}  "
            "(one micro-batch, float32, kept for the gradient)",
            f"FLOPs per step   {self.flops_per_step:.3g}  (forward and backward)",
            f"FLOPs in all     {self.flops_per_step * self.steps:.3g}  ({self.steps:,} steps)",
            *(f"missing: {text}" for text in self.missing),
        ]


def dry_run(recipe: Recipe) -> Forecast:
    """Forecast `recipe`.  Builds everything that needs no data; reads and writes nothing.

    Raises RecipeError or ComponentError for what is wrong rather than missing.
    """
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
    return Forecast(
        parameters=parameters,
        state_bytes=parameters * copies * BYTES,
        activation_bytes=kept * micro,
        flops_per_step=flops * batch,
        steps=components.train.steps if components.train else 0,
        missing=(*map(_must_be_given, recipe.missing), *_missing(components, recipe)),
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


def _must_be_given(key: str) -> str:
    return f"{key} must be given: add {key}=… to the command line"


def _missing(components: Components, recipe: Recipe) -> tuple[str, ...]:
    """What the run would stop at for want of files."""
    located = not any(key.startswith("data.") for key in recipe.missing)
    checks: list[Callable[[], object]] = [lambda: components.data.length] if located else []
    if components.evaluate is not None:
        data, path = components.data, components.path
        checks += [partial(m.check, data, path) for m in components.evaluate.metrics]
    missing = []
    for check in checks:
        try:
            check()
        except DataError as error:
            missing.append(str(error))
    return tuple(missing)


def _size(n: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024:
            return f"{n:.4g} {unit}"
        n /= 1024
    return f"{n:.4g} TiB"

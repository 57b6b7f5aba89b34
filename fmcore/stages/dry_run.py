"""Forecast of a recipe's cost, without running it: the network is built on torch's meta device.

FLOPs count a multiplication and an addition as two.  The memory of activations is what autograd
keeps for one micro-batch in float32, plus the largest part that is recomputed, if the network
recomputes.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, final

import torch

from fmcore.errors import ComponentError, DataError, FmcoreError, RecipeError, RunError
from fmcore.flow.compatibility import check_together
from fmcore.interfaces.condition import ConditionSpec, null_rows
from fmcore.interfaces.model import VectorField
from fmcore.recipe.recipe import Recipe
from fmcore.recipe.sections import Train
from fmcore.runs.samples import MAX_SHARDS
from fmcore.runs.trackers import require_trackers
from fmcore.stages.components import Components
from fmcore.stages.devices import accelerator_for
from fmcore.stages.other_runs import check_runs
from fmcore.stages.probe import Activations, Fit, Probe, fit_of, probe_of, size_text
from fmcore.training.checks import check_training
from fmcore.training.ema import profiles_of
from fmcore.training.optimizers import rehearse

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Forecast", "dry_run", "require_disk", "require_memory"]

BYTES = 4
STATE_COPIES = {"weights": 1, "gradients": 1}

SMALL = 10**9
"""The largest product of parameters and values of an example whose forward and backward passes take
less than about 0.2 s on one core."""

MARGIN = 4
"""How far the estimate of activations may be off: mixed precision, compilation and in-place
operations keep less than what autograd keeps in float32."""


@final
@dataclass(frozen=True)
class Estimate:
    """What training needs: parameters and bytes, and whether the device can hold it."""

    parameters: int
    state_bytes: int
    activation_bytes: int
    fit: Fit


@final
@dataclass(frozen=True)
class Forecast:
    """The cost of a run.  `missing` lists what has to be provided first, a message each."""

    parameters: int
    state_bytes: int
    activation_bytes: int
    flops_per_step: int
    steps: int
    missing: tuple[str, ...]
    fit: Fit
    time: Probe | None = None

    def lines(self) -> list[str]:
        """Return the forecast as text."""
        return [
            f"parameters       {self.parameters:,}  ({self.parameters / 1e6:.1f} M)",
            f"training state   {size_text(self.state_bytes)}  "
            "(weights, gradients, optimizer, moving averages; float32)",
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

    With `probe`, run a few steps and time them, unless data are missing.  Raises RecipeError or
    ComponentError for what is wrong rather than missing.
    """
    _require_what_is_built(recipe)
    components = Components.of(_filled(recipe))
    solver = components.sample.solver if components.sample else None
    check_together(components.path, components.coupling, components.objective, solver=solver)
    accelerator = accelerator_for(components, device)
    # its import takes a quarter of a second, which a run need not spend
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    try:
        if components.train is not None:
            check_training(components.train, components.planned_model)
        cost = estimate(components, accelerator, counter)
    except (DataError, RunError):  # the shape of these data, or of their latents, is in files
        if recipe.missing:
            raise RecipeError(map(_must_be_given, recipe.missing)) from None
        raise
    missing_data = (
        *_missing_data(components, recipe),
        *_missing_codec(components, recipe),
        *_missing_runs(components, recipe),
    )
    batch = components.train.batch_size if components.train else 1
    flops = counter.get_total_flops() * batch
    # a probe reads data and trains: it needs everything that the run needs
    ready = probe and components.train is not None and not (recipe.missing or missing_data)
    return Forecast(
        parameters=cost.parameters,
        state_bytes=cost.state_bytes,
        activation_bytes=cost.activation_bytes,
        flops_per_step=flops,
        steps=components.train.steps if components.train else 0,
        missing=(
            *map(_must_be_given, recipe.missing),
            *missing_data,
            *_missing_of_metrics(components),
            *_missing_trackers(components),
        ),
        fit=cost.fit,
        time=probe_of(components, accelerator, flops, cost.fit) if ready else None,
    )


def _missing_runs(components: Components, recipe: Recipe) -> tuple[str, ...]:
    """Return what is wrong with the other runs that the recipe names: all may be made later."""
    try:
        check_runs(components)
    except RunError as error:
        lines = str(error).splitlines()
        return tuple(line for line in lines if line.partition(":")[0] not in recipe.missing)
    return ()


def estimate(
    components: Components,
    accelerator: Accelerator,
    observer: AbstractContextManager[object] | None = None,
    quick: bool = False,
) -> Estimate:
    """Estimate the memory of a training step from one example on the meta device.

    `observer` is entered while the network runs, forward and backward.  With `quick`, a small
    network runs on the CPU instead.
    """
    train, processes = components.train, accelerator.num_processes
    batch = train.batch_size if train else 1
    micro = max(1, batch // processes // (train.grad_accum if train else 1))
    shape = components.state_shape
    # on the meta device: a network larger than this machine can be counted
    model: VectorField | None = components.planned_model
    if model is None:  # raises what the build there raised
        arguments = components.model_arguments  # data that are read here need real tensors
        with torch.device("meta"):
            model = components.recipe.build("model", **arguments)
    parameters = sum(p.numel() for p in model.parameters())
    copies = sum(STATE_COPIES.values()) + (len(profiles_of(train)) if train else 0)
    # operations on the meta device import torch's compiler, which takes longer than a small example
    if quick and parameters * math.prod(shape) <= SMALL:
        model = components.model()
    kept = _one_example(model, shape, components.entries, observer)
    # only FSDP splits the state; plain data parallelism copies it to every process
    shards = processes if train and train.fsdp else 1
    moments = _moments(train, model) if train else 0
    state = (parameters * copies + moments) * BYTES // shards
    return Estimate(
        parameters=parameters,
        state_bytes=state,
        activation_bytes=kept * micro,
        fit=fit_of(state, kept, batch // processes, micro, accelerator.device),
    )


def _moments(train: Train, model: VectorField) -> int:
    """Return the count of numbers that the optimizer keeps, from one step with small weights."""
    layout = rehearse(train.optimizer, dict(model.named_parameters()))
    shapes = [shape for own in layout.values() for shape in own.values() if shape is not None]
    return sum(shape.numel() for shape in shapes if len(shape))


def require_memory(components: Components, accelerator: Accelerator) -> None:
    """Refuse a training that cannot fit the device, before anything is written.

    Raises ComponentError if the state alone, or the state and a quarter of the activations, is
    larger than the memory, and for a network that cannot be built.
    """
    if components.train is None:
        return
    try:
        cost = estimate(components, accelerator, quick=True)
    except FmcoreError:
        raise
    except Exception:  # a network that the meta device cannot run may train all the same
        return
    # the state is exact; of the activations only what even a compressed form would need
    least = cost.state_bytes + cost.activation_bytes // MARGIN
    if least > cost.fit.there:
        raise ComponentError(f"not enough memory: {cost.fit.line()}")


def require_disk(components: Components, root: Path) -> None:
    """Refuse samples that cannot be saved in the run folder `root`, before anything is drawn.

    Raises ComponentError if they need more files than a run may have, or more than the free space.
    """
    settings = components.sample
    if settings is None:
        return
    if settings.count // settings.batch_size > MAX_SHARDS:
        raise ComponentError(
            f"sample.count={settings.count} makes over {MAX_SHARDS:,} files of "
            f"sample.batch_size={settings.batch_size} samples: lower the count"
        )
    kept = min(settings.count, settings.keep_on_disk or settings.count)
    values = math.prod(components.data.shape) * (BYTES if components.data.levels is None else 1)
    there = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    # what a stopped run saved is part of what it needs
    saved = sum(file.stat().st_size for file in (root / "samples").glob("shard-*.safetensors"))
    free = shutil.disk_usage(there).free + saved
    if kept * values > free:
        raise ComponentError(
            f"not enough disk space: {kept} samples need {size_text(kept * values)}, "
            f"{size_text(free)} are free: lower sample.count, or set sample.keep_on_disk"
        )


def _one_example(
    model: VectorField,
    shape: tuple[int, ...],
    entries: Mapping[str, ConditionSpec] = MappingProxyType({}),
    observer: AbstractContextManager[object] | None = None,
) -> int:
    """Return the bytes that one example holds at most in the forward and backward passes.

    Those are what autograd keeps, and the largest part that is recomputed.
    """
    device = next((p.device for p in model.parameters()), torch.device("meta"))
    t = torch.zeros((1,), device=device)
    kept = Activations()
    read = {k: v for k, v in entries.items() if k in model.reads and k != "label"}
    raw = {
        k: v.to(device) for name, spec in read.items() for k, v in null_rows(name, spec, 1).items()
    }
    # dropout draws from torch's global generator: leave the caller's state as it was
    with torch.random.fork_rng(devices=[]), observer or nullcontext(), kept:
        condition = model.prepare(raw or None).condition
        loss = model(torch.zeros((1, *shape), device=device), t, condition).sum()
        # the loss itself is freed by the backward pass, and no activation
        held = kept.held() - int(loss.nbytes)
        recomputed = kept.recomputed(loss.backward)
    return held + recomputed


PLACEHOLDER = "not-given"


def _filled(recipe: Recipe) -> Recipe:
    """Return the recipe with a placeholder for every value that must still be given."""
    return (
        recipe
        if not recipe.missing
        else recipe.override([f"{key}={PLACEHOLDER}" for key in recipe.missing])
    )


def _require_what_is_built(recipe: Recipe) -> None:
    """Raise RecipeError for missing values of the network and the path, which are built."""
    keys = [key for key in recipe.missing if key.split(".")[0] in ("model", "path")]
    if keys:
        raise RecipeError(map(_must_be_given, keys))


def _must_be_given(key: str) -> str:
    return f"{key} must be given: add {key}=… to the command line"


def _missing_data(components: Components, recipe: Recipe) -> tuple[str, ...]:
    """Return why the data cannot be read, if they cannot."""
    if any(key.startswith("data.") for key in recipe.missing):
        return ()
    return _unmet([lambda: components.data.length])


def _missing_codec(components: Components, recipe: Recipe) -> tuple[str, ...]:
    """Return why the codec cannot be read, if it cannot."""
    codec = components.codec
    if codec is None or any(key.startswith("codec.") for key in recipe.missing):
        return ()
    return _unmet([lambda: codec.fingerprint])


def _missing_of_metrics(components: Components) -> tuple[str, ...]:
    """Return which files the metrics lack."""
    data, path = components.data, components.path
    checks = [partial(m.check, data, path) for m in components.metrics()]
    return tuple(dict.fromkeys(_unmet(checks)))


def _missing_trackers(components: Components) -> tuple[str, ...]:
    """Return which trackers lack their package."""
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

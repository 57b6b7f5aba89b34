"""Draw samples from a trained run: sample i is a function of (seed, i), whatever the batch."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from pathlib import Path as FilePath
from typing import Any, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError, RunError, route_warnings
from fmcore.flow.guidance import Guided
from fmcore.flow.reschedule import ChangedSchedule
from fmcore.interfaces.dataset import ImageDataset
from fmcore.interfaces.field import Predictor
from fmcore.interfaces.levels import to_levels
from fmcore.interfaces.problem import Callback, Problem, Solution, Status
from fmcore.interfaces.randomness import noise_of
from fmcore.interfaces.solver import Solver
from fmcore.interfaces.source import Condition
from fmcore.recipe.sections import Guidance, Sample
from fmcore.runs.checkpoint import Checkpoint
from fmcore.runs.distributed import Team
from fmcore.runs.folder import RunFolder
from fmcore.runs.progress import Advance, progress
from fmcore.runs.samples import Shards
from fmcore.runs.signals import stop_on_signal
from fmcore.solving.adaptive.solver import AdaptiveSolver
from fmcore.stages.components import Components
from fmcore.stages.weights import trained_field, weights_of

__all__ = ["Sampler", "led", "sample", "sampler_of", "sampling_field", "window", "with_refill"]


@final
@dataclass(frozen=True)
class Sampler:
    """What draws sample i: the field, the settings, and where the noise comes from."""

    components: Components
    settings: Sample
    field: Predictor
    device: torch.device

    @property
    def seed(self) -> int:
        """The seed of the samples."""
        own = self.settings.seed
        return self.components.seed if own is None else own

    def condition(self, indices: Sequence[int]) -> Condition | None:
        """Labels taking turns, or the one asked for; None for a network without labels."""
        classes = getattr(self.field.model, "classes", 0)
        if not classes:
            return None
        label = self.settings.label
        labels = torch.tensor([i % classes if label is None else label for i in indices])
        return {"label": labels}

    def noise(self, indices: Sequence[int]) -> Tensor:
        """Where the samples `indices` start."""
        return noise_of(
            self.field.path.prior(),
            indices,
            self.components.data.shape,
            self.seed,
            self.condition(indices),
        )

    def solve(
        self,
        x: Tensor,
        indices: Sequence[int],
        t0: float = 0.0,
        t1: float = 1.0,
        times: tuple[float, ...] | None = None,
        *,
        solver: Solver | None = None,
        callback: Callback | None = None,
    ) -> Solution:
        """Carry `x`, the states of samples `indices` at t0, to t1, by way of `times`; by the
        settings' solver unless another is given.
        """
        condition = self.condition(indices)
        if condition is not None:
            condition = {k: v.to(self.device) for k, v in condition.items()}
        problem = Problem(
            field=self.field,
            x0=x.to(self.device),
            t0=t0,
            t1=t1,
            path=self.field.path,
            condition=condition,
            sample_ids=torch.tensor(list(indices)),
            seed=self.seed,
            times=times,
            callback=callback,
        )
        with torch.no_grad():
            return (solver or self.settings.solver).solve(problem)

    def draw(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """The samples `indices` as a shard holds them."""
        return self._kept(indices, self.solve(self.noise(indices), indices))

    def draw_together(
        self, shards: Sequence[range], callback: Callback | None = None
    ) -> list[dict[str, Tensor]]:
        """The samples of several shards, each as `draw` gives it to rounding.

        Where the solver can, in one solve of `batch_size` samples at a time, those that wait taking
        the place of those that have arrived; `callback` looks on.
        """
        refilling = with_refill(self.settings.solver, self.settings.batch_size)
        if refilling is None or not shards:
            return [self.draw(shard) for shard in shards]
        indices = [i for shard in shards for i in shard]
        solution = self.solve(self.noise(indices), indices, solver=refilling, callback=callback)
        drawn = self._kept(indices, solution)
        ends = list(accumulate(map(len, shards)))
        spans = [slice(end - len(shard), end) for shard, end in zip(shards, ends, strict=True)]
        return [{name: rows[span] for name, rows in drawn.items()} for span in spans]

    def _kept(self, indices: Sequence[int], solution: Solution) -> dict[str, Tensor]:
        stats = solution.stats
        forwards = stats.extra.get("forwards", 0) / max(1, stats.calls)  # a velocity's, by guidance
        return {
            "x": self.stored(solution.x),
            "nfe": stats.nfe,
            "forwards": (stats.nfe * forwards).round().long(),
            "status": solution.status,
            **(self.condition(indices) or {}),
        }

    def stored(self, x: Tensor) -> Tensor:
        """Points as they are kept: levels of images, else float32."""
        data = self.components.data
        if isinstance(data, ImageDataset):
            return to_levels(x, data.levels, data.dequantize)
        return x.float()


def sample(
    components: Components,
    folder: RunFolder,
    device: torch.device,
    team: Team,
    quiet: bool = False,
) -> Sampler:
    """Draw the samples that are to lie on disk and are not there yet, and return what drew them.

    Processes take turns at the shards, or at windows of several if the solver lets samples take the
    place of others.  Raises KeyboardInterrupt on a signal, after finishing a shard or window; what
    was drawn is kept.
    """
    settings = _settings(components)
    field, checkpoint = sampling_field(components, settings, folder, device)
    sampler = Sampler(components, settings, field, device)
    shards = Shards(folder.samples, settings.count, settings.batch_size, settings.keep_on_disk)
    team.first(lambda: shards.begin(_made(components, settings, checkpoint, sampler.seed)))
    ranges, total = team.first(shards.missing), shards.kept()[-1].stop
    done = total - sum(map(len, ranges))
    width = window(settings.solver, len(ranges), team.size)
    turn = width * team.size
    with (
        stop_on_signal() as stop,
        route_warnings(lambda text: folder.log(f"warning: {text}")),
        progress("sample", total, "samples", done, quiet or not team.leads) as show,
    ):
        for first in range(0, len(ranges), turn):
            mine = ranges[first + team.rank * width :][:width]
            before, done = done, done + sum(map(len, ranges[first : first + turn]))
            drawn = sampler.draw_together(mine, _between(before, done, show))
            for indices, tensors in zip(mine, drawn, strict=True):
                shards.write(indices, tensors)
            show(done)
            if team.any(bool(stop)):
                raise KeyboardInterrupt
    if team.leads:
        _warn_of_failures(folder, shards)
        if total < settings.count:
            folder.log(
                f"the first {total} of {settings.count} samples are kept; "
                "the others are drawn when they are measured"
            )
    return sampler


def _between(begun: int, end: int, show: Advance) -> Callback:
    """Shows a solve's progress as samples from `begun` to `end`."""
    return lambda moment: show(begun + int(moment.progress * (end - begun)))


def sampler_of(components: Components, folder: RunFolder, device: torch.device) -> Sampler:
    """What drew the samples that are there, to draw those that were not kept, whatever the recipe
    says now.

    Raises RunError if the network was trained on since.
    """
    made = Shards.there(folder.samples).made()
    options = {f.name for f in fields(Sample)}
    values = {k: v for k, v in made.items() if k in options} | {"path": made.get("along")}
    recipe = components.recipe.override([f"sample={json.dumps(values)}"])
    settings = _settings(replace(components, recipe=recipe, sample=recipe.settings("sample")))
    field, checkpoint = sampling_field(components, settings, folder, device)
    if checkpoint.step != made["step"]:
        raise RunError(
            f"{folder.root}: its samples are of step {made['step']}, and those that were not kept "
            f"cannot be drawn by the network of step {checkpoint.step}: draw all again with fmcore "
            "sample"
        )
    return Sampler(components, settings, field, device)


def sampling_field(
    components: Components, settings: Sample, folder: RunFolder, device: torch.device
) -> tuple[Predictor, Checkpoint]:
    """The trained field, led along another path and guided as the settings say, and the checkpoint
    that it is of."""
    trained, checkpoint = trained_field(components, folder, settings.weights, device)
    return led(trained, settings, device), checkpoint


def led(trained: Predictor, settings: Sample, device: torch.device) -> Predictor:
    """The trained field, along another path and guided as the settings say."""
    field = trained
    if settings.path is not None:
        settings.solver.check(settings.path)
        field = ChangedSchedule(field, settings.path)
    if settings.guidance is not None:
        field = _guided(field, settings.guidance, settings, device)
    return field


def _guided(field: Predictor, guidance: Guidance, settings: Sample, device: torch.device) -> Guided:
    if guidance.weak is None:
        if not getattr(field.model, "classes", 0):
            raise ComponentError(
                "sample.guidance: the network knows no classes to leave out: train with "
                "model.classes and train.label_dropout, or guide by a weaker run: "
                "sample.guidance.weak=RUN"
            )
        return Guided(field, guidance.scale, interval=guidance.interval)
    folder = RunFolder.open(FilePath(guidance.weak))
    weak, _ = trained_field(Components.of(folder.recipe()), folder, settings.weights, device)
    led = weak if settings.path is None else ChangedSchedule(weak, settings.path)
    return Guided(field, guidance.scale, led, guidance.interval)


def _made(
    components: Components, settings: Sample, checkpoint: Checkpoint, seed: int
) -> Mapping[str, Any]:
    """How the samples are made: `path` is the one trained on, `along` another that leads them."""
    values = dict(components.recipe.values["sample"])
    values.pop("keep_on_disk")
    along = values.pop("path")
    own = {
        "weights": weights_of(checkpoint, settings.weights),
        "seed": seed,
        "step": checkpoint.step,
        "path": components.recipe.values["path"],
    }
    return {**values, **own, **({} if along is None else {"along": along})}


def _settings(components: Components) -> Sample:
    if components.sample is None:
        raise components.missing("sample")
    return components.sample


def _warn_of_failures(folder: RunFolder, shards: Shards) -> None:
    statuses = Counter(code for _, drawn in shards.all() for code in drawn["status"].tolist())
    failed = {Status(c).name: n for c, n in sorted(statuses.items()) if c != Status.SUCCESS}
    if failed:
        folder.log(
            f"warning: not every sample reached the end: {failed}; they are kept as they are"
        )


LARGEST = 8
"""Shards in a window: their states are in memory together, and a stop waits for them."""


def window(solver: Solver, shards: int, processes: int = 1) -> int:
    """How many of `shards` each process draws at once: as evenly as they go into windows of 8 at
    most, or one by one where nothing is won.
    """
    if with_refill(solver, 1) is None:
        return 1
    each = max(1, math.ceil(shards / processes))
    return math.ceil(each / math.ceil(each / LARGEST))


def with_refill(solver: Solver, lanes: int) -> Solver | None:
    """`solver` with no more than `lanes` samples on their way at once; None if it cannot."""
    if not isinstance(solver, AdaptiveSolver) or solver.step_control != "per_sample":
        return None
    return replace(solver, max_active=min(lanes, solver.max_active or lanes))

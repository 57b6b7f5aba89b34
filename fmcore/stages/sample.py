"""Draw samples from a trained run: sample i is a function of (seed, i), whatever the batch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path as FilePath
from typing import Any, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError, RunError
from fmcore.field import Predictor
from fmcore.guidance import Guided
from fmcore.interfaces.dataset import ImageDataset
from fmcore.interfaces.source import Condition
from fmcore.levels import to_levels
from fmcore.randomness import noise_of
from fmcore.recipe.sections import Guidance, Sample
from fmcore.rescheduled import Rescheduled
from fmcore.runs.checkpoint import Checkpoint
from fmcore.runs.folder import RunFolder
from fmcore.runs.progress import progress
from fmcore.runs.signals import stop_on_signal
from fmcore.runs.team import Team
from fmcore.solving.problem import Problem, Solution, Status
from fmcore.stages.components import Components
from fmcore.stages.network import trained_field, weights_of
from fmcore.stages.shards import Shards
from fmcore.words import told_to

__all__ = ["Sampler", "sample", "sampler_of", "sampling_field"]


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

    def condition(self, indices: range) -> Condition | None:
        """Labels taking turns, or the one asked for; None for a network without labels."""
        classes = getattr(self.field.model, "classes", 0)
        if not classes:
            return None
        label = self.settings.label
        labels = torch.tensor([i % classes if label is None else label for i in indices])
        return {"label": labels}

    def noise(self, indices: range) -> Tensor:
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
        indices: range,
        t0: float = 0.0,
        t1: float = 1.0,
        times: tuple[float, ...] | None = None,
    ) -> Solution:
        """Carry `x`, the states of samples `indices` at t0, to t1, by way of `times`."""
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
        )
        with torch.no_grad():
            return self.settings.solver.solve(problem)

    def draw(self, indices: range) -> dict[str, Tensor]:
        """The samples `indices` as a shard holds them."""
        before = self.field.forwards
        solution = self.solve(self.noise(indices), indices)
        forwards = self.field.forwards - before
        return {
            "x": self.stored(solution.x),
            "nfe": solution.stats.nfe,
            "forwards": torch.full((len(indices),), forwards),
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

    Processes take turns at the shards.  Raises KeyboardInterrupt on a signal, after finishing a
    shard; what was drawn is kept.
    """
    settings = _settings(components)
    field, checkpoint = sampling_field(components, settings, folder, device)
    sampler = Sampler(components, settings, field, device)
    shards = Shards(folder.samples, settings.count, settings.batch_size, settings.keep)
    team.first(lambda: shards.begin(_made(components, settings, checkpoint, sampler.seed)))
    ranges, total = team.first(shards.missing), shards.kept()[-1].stop
    done = total - sum(map(len, ranges))
    with (
        stop_on_signal() as stop,
        told_to(lambda text: folder.log(f"warning: {text}")),
        progress("sample", total, "samples", done, quiet or not team.leads) as show,
    ):
        for first in range(0, len(ranges), team.size):
            for indices in ranges[first + team.rank : first + team.rank + 1]:
                shards.write(indices, sampler.draw(indices))
            done += sum(map(len, ranges[first : first + team.size]))
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
    field: Predictor = trained
    if settings.path is not None:
        settings.solver.check(settings.path)
        field = Rescheduled(field, settings.path)
    if settings.guidance is not None:
        field = _guided(field, settings.guidance, settings, device)
    return field, checkpoint


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
    led = weak if settings.path is None else Rescheduled(weak, settings.path)
    return Guided(field, guidance.scale, led, guidance.interval)


def _made(
    components: Components, settings: Sample, checkpoint: Checkpoint, seed: int
) -> Mapping[str, Any]:
    """How the samples are made: `path` is the one trained on, `along` another that leads them."""
    values = dict(components.recipe.values["sample"])
    values.pop("keep")
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

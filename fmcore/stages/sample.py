"""Draw the samples of a run that are kept on disk, and record how."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from fmcore.errors import RunError, route_warnings
from fmcore.interfaces.problem import SolverCallback, Status
from fmcore.recipe.sections import Sample
from fmcore.runs.checkpoint import Checkpoint
from fmcore.runs.distributed import Distributed
from fmcore.runs.folder import RunFolder
from fmcore.runs.progress import Advance, progress
from fmcore.runs.samples import Shards
from fmcore.runs.signals import StopRequest, stop_on_signal
from fmcore.stages.components import Components
from fmcore.stages.conditions import (
    files_given,
)
from fmcore.stages.identity import used_plugins
from fmcore.stages.other_runs import weights_used
from fmcore.stages.sampler import Sampler, shards_per_solve
from fmcore.stages.sampling_field import sampling_field
from fmcore.stages.weights import weights_of

__all__ = ["codec_facts", "provenance_of", "sample", "sampler_of", "shards_of"]


def sample(
    components: Components,
    folder: RunFolder,
    device: torch.device,
    processes: Distributed,
    quiet: bool = False,
    reuse: Path | None = None,
) -> Sampler:
    """Draw the samples to be kept on disk that are missing there, and return the sampler.

    Shards of the same samples in the folder `reuse` are not drawn again.  Processes share the work.
    Raises KeyboardInterrupt on a signal; the shards written so far are kept.
    """
    settings = _settings(components)
    with stop_on_signal() as stop:
        field, checkpoint = sampling_field(components, settings, folder, device)
        sampler = Sampler(components, settings, field, device)
        shards = shards_of(settings, folder)
        provenance = provenance_of(components, settings, checkpoint)
        processes.on_main(lambda: shards.begin(provenance, folder.log))
        if reuse is not None:
            processes.on_main(lambda: shards.take_over(reuse, provenance))
        missing = processes.on_main(lambda: shards.missing(folder.log))
        with route_warnings(lambda text: folder.log(f"warning: {text}")):
            _draw_missing(sampler, shards, missing, processes, stop, quiet)
    if processes.is_main:
        _warn_of_failures(folder, shards)
        kept = shards.kept()[-1].stop
        if kept < settings.count:
            folder.log(
                f"the first {kept} of {settings.count} samples are kept on disk; "
                "the others are drawn when they are measured"
            )
    return sampler


def shards_of(settings: Sample, folder: RunFolder) -> Shards:
    """Return the shards that the settings ask for."""
    return Shards(folder.samples, settings.count, settings.batch_size, settings.keep_on_disk)


def _draw_missing(
    sampler: Sampler,
    shards: Shards,
    missing: Sequence[range],
    processes: Distributed,
    stop: StopRequest,
    quiet: bool,
) -> None:
    total = shards.kept()[-1].stop
    done = total - sum(map(len, missing))
    width = shards_per_solve(sampler.settings.solver, len(missing), processes.size)
    turn = width * processes.size
    hidden = quiet or not processes.is_main
    with progress("sample", total, "samples", done, hidden) as show:
        for first in range(0, len(missing), turn):
            own = missing[first + processes.rank * width :][:width]
            before, done = done, done + sum(map(len, missing[first : first + turn]))
            try:
                with stop.at_once():
                    drawn = sampler.draw_together(own, _between(before, done, show))
            except KeyboardInterrupt:
                drawn = []  # the other processes wait below: stop together with them
            # strict=False: nothing was drawn after a signal
            for indices, tensors in zip(own, drawn, strict=False):
                shards.write(indices, tensors)
            if processes.any(bool(stop)):
                raise KeyboardInterrupt
            show(done)


def _between(begun: int, end: int, show: Advance) -> SolverCallback:
    """Return a callback that shows a solve's progress as samples from `begun` to `end`."""
    return lambda moment: show(begun + int(moment.progress * (end - begun)))


def sampler_of(components: Components, folder: RunFolder, device: torch.device) -> Sampler:
    """Return the sampler of the samples on disk, by their provenance, to draw those not kept.

    Raises RunError if the network was trained further since.
    """
    # not by the recipe: the samples may have been drawn with options of the command line
    made = Shards.on_disk(folder.samples).provenance()
    options = {f.name for f in fields(Sample)}
    values = {k: v for k, v in made.items() if k in options} | {"path": made.get("along")}
    settings = components.recipe.override([f"sample={json.dumps(values)}"]).settings("sample")
    field, checkpoint = sampling_field(components, settings, folder, device)
    if checkpoint.step != made["step"]:
        raise RunError(
            f"{folder.root}: its samples are of step {made['step']}, and those that were not kept "
            f"cannot be drawn by the network of step {checkpoint.step}: draw all again with fmcore "
            "sample"
        )
    return Sampler(components, settings, field, device)


def provenance_of(
    components: Components, settings: Sample, checkpoint: Checkpoint
) -> Mapping[str, Any]:
    """Return how the samples are made, as made.json and results record it.

    `path` is the one trained on, `along` another one sampled along.
    """
    values = dict(components.recipe.values["sample"])
    values.pop("keep_on_disk")  # the samples do not depend on it
    if values["condition"] is None:  # as samples of earlier versions were recorded
        values.pop("condition")
    values["guidance"] = values["guidance"] or None  # an empty list is none
    along, plugins = values.pop("path"), used_plugins(components, True)
    runs = {k: v for k, v in weights_used(components).items() if k.startswith("sample.")}
    return {
        **values,
        "weights": weights_of(checkpoint, settings.weights),
        "seed": components.seed if settings.seed is None else settings.seed,
        "step": checkpoint.step,
        "path": components.recipe.values["path"],
        **({} if along is None else {"along": along}),
        # what the recipe names without its content: other runs, files, plugins
        **({"runs": runs} if runs else {}),
        **files_given(components.data, settings),
        **codec_facts(components),
        **({"plugins": plugins} if plugins else {}),
    }


def codec_facts(components: Components) -> dict[str, Any]:
    """Return the codec with its options and fingerprint, for made.json; {} without one."""
    codec = components.codec
    if codec is None:
        return {}
    return {"codec": {**components.recipe.values["codec"], "fingerprint": codec.fingerprint}}


def _settings(components: Components) -> Sample:
    if components.sample is None:
        raise components.missing("sample")
    return components.sample


def _warn_of_failures(folder: RunFolder, shards: Shards) -> None:
    statuses = Counter(code for _, drawn in shards.all() for code in drawn["status"].tolist())
    failed = {Status(c).name: n for c, n in sorted(statuses.items()) if c != Status.SUCCESS}
    if failed:
        folder.log(
            f"warning: the solver did not finish every sample: {failed}; they are kept as they are"
        )

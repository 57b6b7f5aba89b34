"""Measure a run: every metric over one stream of samples, or of held-out data.

Samples that were not kept are drawn as they are measured; processes take turns at the pieces of
both streams.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fmcore.errors import ExpectationError, RunError
from fmcore.interfaces.dataset import Dataset, ImageDataset
from fmcore.interfaces.metric import Evaluation, MetricBatch, Result
from fmcore.interfaces.problem import Status
from fmcore.recipe.sections import Bound, Evaluate
from fmcore.registry import registry
from fmcore.runs.cache import cache_folder
from fmcore.runs.distributed import Team
from fmcore.runs.folder import RunFolder
from fmcore.runs.partial_metrics import Tallies
from fmcore.runs.results import save_results
from fmcore.runs.samples import Shards
from fmcore.stages.components import Components
from fmcore.stages.metric_stream import Measuring, Stream
from fmcore.stages.sample import sampler_of
from fmcore.stages.weights import trained_field, weights_of

__all__ = ["as_measured", "check_expectations", "evaluate", "held_out", "on_cpu"]

NOT_CONDITIONS = ("x", "nfe", "forwards", "status")
"""What a shard holds beside the conditions of its samples."""


def evaluate(
    components: Components,
    folder: RunFolder,
    device: torch.device,
    team: Team,
    quiet: bool = False,
) -> dict[str, Result]:
    """Compute the recipe's metrics, and write them to results.json with how each was made.

    Returns the results in the leading process, nothing in the others.  What was measured before a
    stop is kept in the folder's tally/, and gone on from if metrics, weights and samples are still
    the same; it goes once the results are written.  Raises KeyboardInterrupt on a signal, after
    finishing a piece.
    """
    settings = components.evaluate
    if settings is None:
        raise components.missing("evaluate")
    evaluation = _evaluation(components, folder, settings, device)
    measuring = Measuring(evaluation, team, folder.log, quiet)
    found: dict[int, dict[str, Result]] = {}
    for consumes, read in (("samples", _samples), ("data", _held_out)):
        own = [m for m in settings.metrics if m.consumes == consumes]
        if own:
            stream, made = read(components, folder, evaluation, device)
            tallies = Tallies(folder.tally / consumes, _digest(components, evaluation, made))
            results = measuring.results(own, stream, tallies)
            found |= dict(zip(map(id, own), results, strict=False))
            if team.leads and consumes == "samples":
                _warn_of_failures(folder, stream, tallies)
    if not team.leads:
        return {}
    whole = _with_provenance(settings, evaluation, folder, found)
    save_results(whole, folder)
    shutil.rmtree(folder.tally, ignore_errors=True)
    return whole


def _evaluation(
    components: Components, folder: RunFolder, settings: Evaluate, device: torch.device
) -> Evaluation:
    weights = components.sample.weights if components.sample else "ema"
    field, checkpoint = trained_field(components, folder, weights, device)
    provenance = {
        "step": checkpoint.step,
        "weights": weights_of(checkpoint, weights),
        "device": device.type,
    }
    return Evaluation(
        data=components.data.with_split(settings.split),
        train_data=components.data.with_split("train"),
        path=components.path,
        field=field,
        seed=components.seed,
        batch_size=settings.batch_size,
        cache=cache_folder() / "references",
        provenance=provenance,
    )


def _samples(
    components: Components, folder: RunFolder, evaluation: Evaluation, device: torch.device
) -> tuple[Stream, Mapping[str, Any]]:
    """The samples that were drawn last, shard by shard, and how they were made.

    Shards that were not kept are drawn as they are read.
    """
    shards = Shards.there(folder.samples)
    pieces, kept = shards.ranges(), shards.kept()
    shape = tuple(components.data.shape)
    read: Callable[[range], Mapping[str, Tensor]] = shards.whole
    if len(kept) < len(pieces):
        sampler, there = sampler_of(components, folder, device), set(kept)
        folder.log(
            f"of {shards.count} samples {shards.count - kept[-1].stop} were not kept: "
            "they are drawn as they are measured"
        )

        def read(piece: range) -> Mapping[str, Tensor]:
            return shards.whole(piece) if piece in there else on_cpu(sampler.draw(piece))

    def measured(piece: range) -> MetricBatch:
        tensors = read(piece)
        if (found := tuple(tensors["x"].shape[1:])) != shape:
            raise RunError(
                f"{folder.samples}: samples of shape {found}, but the data have {shape}; "
                "draw the samples again with fmcore sample"
            )
        return as_measured(components.data, piece, tensors)

    return Stream("measure samples", pieces, measured), shards.made()


def as_measured(data: Dataset, indices: range, drawn: Mapping[str, Tensor]) -> MetricBatch:
    """The samples `indices` of `data`'s kind, as a shard holds them, for metrics of samples."""
    images = isinstance(data, ImageDataset)
    return MetricBatch(
        indices=torch.tensor(list(indices)),
        x=None if images else drawn["x"],
        levels=drawn["x"] if images else None,
        condition={k: v for k, v in drawn.items() if k not in NOT_CONDITIONS},
        nfe=drawn["nfe"],
        status=drawn["status"],
    )


def held_out(data: Dataset, count: int | None, batch_size: int) -> Stream:
    """The first `count` examples of `data`, or all, as metrics of data take them."""
    count = data.length if count is None else min(count, data.length)
    pieces = [range(a, min(a + batch_size, count)) for a in range(0, count, batch_size)]

    def measured(piece: range) -> MetricBatch:
        batch = data.batch(piece)
        x1 = batch.pop("x1")
        return MetricBatch(
            indices=torch.tensor(list(piece)),
            x=x1 if data.levels is None else None,
            levels=None if data.levels is None else x1,
            condition=batch,
        )

    return Stream("measure held-out data", pieces, measured)


def _held_out(
    components: Components, folder: RunFolder, evaluation: Evaluation, device: torch.device
) -> tuple[Stream, Mapping[str, Any]]:
    """The examples of the split that is evaluated, and which they are."""
    asked = components.evaluate.count if components.evaluate else None
    stream = held_out(evaluation.data, asked, evaluation.batch_size)
    return stream, {"split": evaluation.data.split, "count": stream.count}


def on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same on the CPU, without a graph."""
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}


def _digest(components: Components, evaluation: Evaluation, made: Mapping[str, Any]) -> str:
    """Of everything that what a metric keeps of a row may depend on: options, weights, data, and
    how the stream is made.
    """
    metrics = components.recipe.values["evaluate"]["metrics"]
    entries = [registry().entry("metric", metric["name"]) for metric in metrics]
    facts = {
        "metrics": metrics,
        "plugins": [[entry.plugin, str(entry.version)] for entry in entries],
        "batch_size": evaluation.batch_size,
        "seed": evaluation.seed,
        "data": evaluation.data.fingerprint,
        "path": components.recipe.values["path"],
        "objective": components.recipe.values["objective"],
        "weights": _weights_hash(evaluation),
        "torch": torch.__version__,
        "evaluation": dict(evaluation.provenance),
        "stream": dict(made),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _weights_hash(evaluation: Evaluation) -> str:
    digest = hashlib.blake2b(digest_size=16)
    if evaluation.field is not None:
        for name, tensor in evaluation.field.model.state_dict().items():
            digest.update(name.encode())
            digest.update(
                tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            )
    return digest.hexdigest()


def _with_provenance(
    settings: Evaluate,
    evaluation: Evaluation,
    folder: RunFolder,
    found: Mapping[int, Mapping[str, Result]],
) -> dict[str, Result]:
    results: dict[str, Result] = {}
    for metric in settings.metrics:
        beside = dict(evaluation.provenance)
        if metric.consumes == "samples":
            beside["sampler"] = Shards.there(folder.samples).made()
        for name, result in found[id(metric)].items():
            results[name] = replace(result, provenance={**beside, **result.provenance})
    return results


def _warn_of_failures(folder: RunFolder, stream: Stream, tallies: Tallies) -> None:
    """Of the samples that were drawn for measuring alone; of the kept ones the sampler told."""
    kept = set(Shards.there(folder.samples).kept())
    ends: Counter[str] = Counter()
    for piece in stream.pieces:
        if piece not in kept:
            ends.update(tallies.ended(piece))
    failed = {name: n for name, n in sorted(ends.items()) if name != Status.SUCCESS.name}
    if failed:
        folder.log(
            f"warning: not every sample that was measured and not kept reached the end: {failed}"
        )


def check_expectations(components: Components, results: Mapping[str, Any]) -> None:
    """Raise ExpectationError naming every result outside the recipe's `expect:` bounds."""
    missed = [
        line
        for name, bound in components.expect.items()
        for line in _missed(name, bound, results.get(name))
    ]
    if missed:
        raise ExpectationError("expected otherwise:\n  " + "\n  ".join(missed))


def _missed(name: str, bound: Bound, result: Mapping[str, Any] | None) -> Iterator[str]:
    if result is None:
        yield f"{name}: expected a value, but it was not measured"
        return
    value = float(result["value"])
    if bound.min is not None and not value >= bound.min:
        yield f"{name} = {value:.6g}, expected at least {bound.min}"
    if bound.max is not None and not value <= bound.max:
        yield f"{name} = {value:.6g}, expected at most {bound.max}"

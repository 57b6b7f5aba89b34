"""Measure a run: every metric over one stream of samples, or of held-out data.

Samples that were not kept on disk are drawn as they are measured.  Processes share the pieces of
both streams.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fmcore.errors import ExpectationError, RunError
from fmcore.interfaces.codec import Codec
from fmcore.interfaces.dataset import Dataset, ImageDataset
from fmcore.interfaces.metric import Evaluation, MetricBatch, Result
from fmcore.interfaces.problem import Status
from fmcore.recipe.sections import Bound, Evaluate
from fmcore.registry import registry
from fmcore.runs.cache import cache_folder
from fmcore.runs.distributed import Distributed
from fmcore.runs.files import sha256_of_tensors
from fmcore.runs.folder import RunFolder
from fmcore.runs.partial_metrics import PartialMetrics
from fmcore.runs.results import save_results
from fmcore.runs.samples import Shards
from fmcore.stages.components import Components
from fmcore.stages.metric_stream import MetricRunner, Stream
from fmcore.stages.origin import measured_on, origin_of, recorded
from fmcore.stages.sample import sampler_of
from fmcore.stages.shard_entries import conditions_in, decoded_from
from fmcore.stages.weights import shared_field, weights_of

__all__ = ["as_measured", "check_expectations", "evaluate", "held_out", "missed_bounds", "on_cpu"]


def evaluate(
    components: Components,
    folder: RunFolder,
    device: torch.device,
    processes: Distributed,
    quiet: bool = False,
) -> dict[str, Result]:
    """Compute the recipe's metrics, and write them to results.json with their provenance.

    Returns the results in the main process, {} in the others.  States measured before a stop are
    kept in the folder, and used if metrics, weights and samples are still the same.  Raises
    KeyboardInterrupt on a signal.
    """
    settings = components.evaluate
    if settings is None:
        raise components.missing("evaluate")
    evaluation = _evaluation(components, folder, settings, device)
    runner = MetricRunner(evaluation, processes, folder.log, quiet)
    found: dict[int, dict[str, Result]] = {}
    written = components.recipe.values["evaluate"]["metrics"]
    options = dict(zip(map(id, settings.metrics), written, strict=True))
    for consumes, stream_of in (("samples", _samples), ("data", _held_out)):
        metrics = [m for m in settings.metrics if m.consumes == consumes]
        if not metrics:  # no samples are drawn, and no data read, for no metric
            continue
        stream, provenance = stream_of(components, folder, evaluation, device)
        digest = _digest(components, evaluation, provenance)
        partial = PartialMetrics(folder.partial_metrics / consumes, digest)
        results = runner.results(metrics, stream, partial)
        if not processes.is_main:
            continue
        of_samples = consumes == "samples"
        if of_samples:
            results = _with_unfinished(results, stream, partial, folder)
        how = measured_on(evaluation, provenance if of_samples else None)
        made = provenance if of_samples else None
        origin = origin_of(components, folder, evaluation.provenance["step"], device, made)
        for metric, own in zip(metrics, results, strict=False):
            found[id(metric)] = recorded(own, options[id(metric)], how, origin)
    if not processes.is_main:
        return {}
    # in the recipe's order, which the two streams do not keep
    ordered = {k: v for metric in settings.metrics for k, v in found[id(metric)].items()}
    save_results(ordered, folder)
    # after the results: a crash between the two measures nothing twice
    shutil.rmtree(folder.partial_metrics, ignore_errors=True)
    return ordered


def _evaluation(
    components: Components, folder: RunFolder, settings: Evaluate, device: torch.device
) -> Evaluation:
    # the weights that drew the samples: one network gives all numbers of a run
    weights = components.sample.weights if components.sample else "ema"
    field, checkpoint = shared_field(components, folder, weights, device)
    provenance = {
        "step": checkpoint.step,
        "weights": weights_of(checkpoint, weights),
        "device": device.type,
    }
    return Evaluation(
        data=components.evaluated_data,
        train_data=components.data.with_split("train"),  # a metric may compare with it
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
    """Return the stream of the samples drawn last, shard by shard, and their provenance."""
    shards = Shards.on_disk(folder.samples)
    pieces, kept = shards.ranges(), shards.kept()
    shape = tuple(components.data.shape)
    read: Callable[[range], Mapping[str, Tensor]] = shards.load
    # examples of the other split are other images
    paired = shards.provenance().get("condition") == evaluation.data.split
    if len(kept) < len(pieces):
        sampler, on_disk = sampler_of(components, folder, device), set(kept)
        folder.log(
            f"of {shards.count} samples {shards.count - kept[-1].stop} were not kept: "
            "they are drawn as they are measured"
        )

        def read(piece: range) -> Mapping[str, Tensor]:
            return shards.load(piece) if piece in on_disk else on_cpu(sampler.draw(piece))

    def measured(piece: range) -> MetricBatch:
        tensors = read(piece)
        if (found := tuple(tensors["x"].shape[1:])) != shape:
            raise RunError(
                f"{folder.samples}: samples of shape {found}, but the data have {shape}; "
                "draw the samples again with fmcore sample"
            )
        return as_measured(components.data, piece, tensors, components.codec, paired)

    return Stream("measure samples", pieces, measured), shards.provenance()


def as_measured(
    data: Dataset,
    indices: range,
    drawn: Mapping[str, Tensor],
    codec: Codec | None = None,
    paired: bool = False,
) -> MetricBatch:
    """Return the samples `indices`, given as a shard stores them, as a batch for metrics.

    `paired` samples have the conditions of examples of the evaluated split.
    """
    images = isinstance(data, ImageDataset)
    return MetricBatch(
        indices=torch.tensor(list(indices)),
        x=None if images else drawn["x"],
        levels=drawn["x"] if images else None,
        condition=conditions_in(drawn),
        nfe=drawn["nfe"],
        status=drawn["status"],
        decoded=decoded_from(codec, drawn),
        examples=drawn.get("example") if paired else None,
    )


def held_out(data: Dataset, count: int | None, batch_size: int) -> Stream:
    """Return the stream of the first `count` examples of `data` (None: all)."""
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
    """Return the stream of the evaluated split, and which examples it holds."""
    count = components.evaluate.count if components.evaluate else None
    stream = held_out(evaluation.data, count, evaluation.batch_size)
    return stream, {"split": evaluation.data.split, "count": stream.count}


def on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors on the CPU, detached."""
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}


def _digest(components: Components, evaluation: Evaluation, provenance: Mapping[str, Any]) -> str:
    """Return a hash of everything that a metric's state of a row may depend on."""
    metrics = components.recipe.values["evaluate"]["metrics"]
    entries = [registry().entry("metric", metric["name"]) for metric in metrics]
    weights = {} if evaluation.field is None else evaluation.field.model.state_dict()
    # also what cannot change the numbers of most metrics, such as batch_size: a state that is
    # measured again costs time, one that is wrongly used costs the truth of a number
    facts = {
        "metrics": metrics,
        "plugins": [[entry.plugin, str(entry.version)] for entry in entries],
        "batch_size": evaluation.batch_size,
        "seed": evaluation.seed,
        "data": evaluation.data.fingerprint,
        "path": components.recipe.values["path"],
        "objective": components.recipe.values["objective"],
        "weights": sha256_of_tensors(weights),
        "torch": torch.__version__,
        "evaluation": dict(evaluation.provenance),
        "stream": dict(provenance),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _with_unfinished(
    results: Sequence[Mapping[str, Result]],
    stream: Stream,
    partial: PartialMetrics,
    folder: RunFolder,
) -> list[dict[str, Result]]:
    """Add to each result the share of its samples that the solver did not finish, if any."""
    shards = Shards.on_disk(folder.samples)
    kept = set(shards.kept())
    drawn: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for piece in stream.pieces:
        # a metric without states leaves none on disk; the shards of kept samples still hold them
        own = Counter(partial.statuses(piece))
        if not own and piece in kept:
            codes = shards.load(piece)["status"].tolist()
            own = Counter(Status(code).name for code in codes)
        ends += own
        drawn += own if piece not in kept else Counter()
    failed = {name: n for name, n in sorted(drawn.items()) if name != Status.SUCCESS.name}
    if failed:  # of the kept ones the sampling warned
        folder.log(f"warning: the solver did not finish every sample drawn for measuring: {failed}")
    share = 1 - ends[Status.SUCCESS.name] / max(1, ends.total()) if ends else 0.0
    return [{name: _noted(result, share) for name, result in own.items()} for own in results]


def _noted(result: Result, share: float) -> Result:
    """Return the result with the detail `unfinished`: a share of its own samples, if it knows."""
    own = result.details.get("unfinished_samples")
    if own is not None:
        share = own / max(1, int(result.provenance.get("count", own)))
    return replace(result, details={**result.details, "unfinished": share}) if share else result


def check_expectations(components: Components, results: Mapping[str, Any]) -> None:
    """Raise ExpectationError naming every result outside the recipe's `expect:` bounds."""
    if missed := missed_bounds(components, results):
        raise ExpectationError("results outside the bounds of expect:\n  " + "\n  ".join(missed))


def missed_bounds(components: Components, results: Mapping[str, Any]) -> list[str]:
    """Return a line for every result outside the recipe's `expect:` bounds."""
    return [
        line
        for name, bound in components.expect.items()
        for line in _missed(name, bound, results.get(name))
    ]


def _missed(name: str, bound: Bound, result: Mapping[str, Any] | None) -> Iterator[str]:
    if result is None:  # else a bound of a metric that is not measured would always hold
        yield f"{name}: expected a value, but it was not measured"
        return
    value = float(result["value"])
    # `not >=` rather than `<`: a value that is not a number is within no bound
    if bound.min is not None and not value >= bound.min:
        yield f"{name} = {value:.6g}, expected at least {bound.min}"
    if bound.max is not None and not value <= bound.max:
        yield f"{name} = {value:.6g}, expected at most {bound.max}"
    unfinished = _unfinished_share(result)
    if unfinished > bound.max_unfinished:
        yield (
            f"{name}: {unfinished:.3g} of its solves did not finish, allowed are "
            f"{bound.max_unfinished:g} (expect.{name}.max_unfinished)"
        )


def _unfinished_share(result: Mapping[str, Any]) -> float:
    found = result.get("details", {}).get("unfinished", 0)
    # metrics that solve on held-out data give a number of examples
    is_count = isinstance(found, int)
    return found / max(1, result["provenance"].get("count", found)) if is_count else float(found)

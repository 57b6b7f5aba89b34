"""Measure a run: every metric over one stream of samples, or of held-out data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from fmcore.errors import ExpectationError, RunError
from fmcore.interfaces.dataset import Dataset, ImageDataset
from fmcore.interfaces.metric import Evaluation, Measured, Metric, Result
from fmcore.recipe.sections import Bound, Evaluate
from fmcore.runs.atomic import atomic, write_json
from fmcore.runs.cache import cache_folder
from fmcore.runs.folder import RunFolder
from fmcore.runs.progress import progress
from fmcore.stages.components import Components
from fmcore.stages.network import trained_field
from fmcore.stages.shards import Shards

NOT_CONDITIONS = ("x", "nfe", "forwards", "status")
"""What a shard holds beside the conditions of its samples."""

__all__ = ["check_expectations", "evaluate"]


def evaluate(
    components: Components, folder: RunFolder, device: torch.device, quiet: bool = False
) -> dict[str, Result]:
    """Compute the recipe's metrics, and write them to results.json with how each was made."""
    settings = components.evaluate
    if settings is None:
        raise components.missing("evaluate")
    evaluation = _evaluation(components, folder, settings, device)
    for metric in settings.metrics:
        metric.begin(evaluation)
    by_stream = {
        "samples": [m for m in settings.metrics if m.consumes == "samples"],
        "data": [m for m in settings.metrics if m.consumes == "data"],
    }
    if by_stream["samples"]:
        count = Shards.there(folder.samples).count
        _stream(by_stream["samples"], _drawn(components, folder), "measure samples", count, quiet)
    if by_stream["data"]:
        count = min(settings.count or evaluation.data.length, evaluation.data.length)
        held_out = _held_out(evaluation.data, count, settings.batch_size)
        _stream(by_stream["data"], held_out, "measure held-out data", count, quiet)
    results: dict[str, Result] = {}
    for metric in settings.metrics:
        beside = dict(evaluation.provenance)
        if metric.consumes == "samples":
            beside["sampler"] = Shards.there(folder.samples).made()
        for name, result in metric.compute().items():
            results[name] = replace(result, provenance={**beside, **result.provenance})
    _save(results, folder)
    return results


def check_expectations(components: Components, results: Mapping[str, Any]) -> None:
    """Raise ExpectationError naming every result outside the recipe's `expect:` bounds."""
    missed = [
        line
        for name, bound in components.expect.items()
        for line in _missed(name, bound, results.get(name))
    ]
    if missed:
        raise ExpectationError("expected otherwise:\n  " + "\n  ".join(missed))


def _evaluation(
    components: Components, folder: RunFolder, settings: Evaluate, device: torch.device
) -> Evaluation:
    weights = components.sample.weights if components.sample else "ema"
    field, checkpoint = trained_field(components, folder, weights, device)
    provenance = {"step": checkpoint.step, "weights": weights, "device": device.type}
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


def _stream(
    metrics: list[Metric], batches: Iterator[Measured], what: str, count: int, quiet: bool
) -> None:
    with progress(what, count, "examples", quiet=quiet) as show:
        done = 0
        for batch in batches:
            for metric in metrics:
                metric.update(batch)
            done += len(batch.indices)
            show(done)


def _drawn(components: Components, folder: RunFolder) -> Iterator[Measured]:
    images = isinstance(components.data, ImageDataset)
    shape = tuple(components.data.shape)
    for indices, tensors in Shards.there(folder.samples).all():
        if (found := tuple(tensors["x"].shape[1:])) != shape:
            raise RunError(
                f"{folder.samples}: samples of shape {found}, but the data have {shape}; "
                "draw the samples again with fmcore sample"
            )
        yield Measured(
            indices=torch.tensor(list(indices)),
            x=None if images else tensors["x"],
            levels=tensors["x"] if images else None,
            condition={k: v for k, v in tensors.items() if k not in NOT_CONDITIONS},
            nfe=tensors["nfe"],
            status=tensors["status"],
        )


def _held_out(data: Dataset, count: int, batch_size: int) -> Iterator[Measured]:
    for first in range(0, count, batch_size):
        indices = list(range(first, min(first + batch_size, count)))
        batch = data.batch(indices)
        x1 = batch.pop("x1")
        yield Measured(
            indices=torch.tensor(indices),
            x=x1 if data.levels is None else None,
            levels=None if data.levels is None else x1,
            condition=batch,
        )


def _save(results: Mapping[str, Result], folder: RunFolder) -> None:
    for name, result in results.items():
        if result.per_sample is not None:
            kept: dict[str, Tensor] = {"values": result.per_sample.contiguous().cpu()}
            atomic(
                folder.root / "per_sample" / f"{name}.safetensors",
                lambda part, kept=kept: save_file(kept, part),  # type: ignore[misc]
            )
    plain = {
        name: {
            "value": _finite(result.value),
            "error": None if result.error is None else _finite(result.error),
            "provenance": dict(result.provenance),
            "details": dict(result.details),
        }
        for name, result in results.items()
    }
    write_json(folder.results_file, {**folder.results(), **plain})


def _finite(value: float) -> float | str:
    """JSON has no infinities: they are written as words."""
    number = float(value)
    return number if abs(number) < float("inf") else str(number)


def _missed(name: str, bound: Bound, result: Mapping[str, Any] | None) -> Iterator[str]:
    if result is None:
        yield f"{name}: expected a value, but it was not measured"
        return
    value = float(result["value"])
    if bound.min is not None and not value >= bound.min:
        yield f"{name} = {value:.6g}, expected at least {bound.min}"
    if bound.max is not None and not value <= bound.max:
        yield f"{name} = {value:.6g}, expected at most {bound.max}"

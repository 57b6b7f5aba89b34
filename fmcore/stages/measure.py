"""Measure samples without a run: a data set, or what a run left, against another data set."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import torch

from fmcore.errors import ComponentError, DataError
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.metric import Evaluation, MetricBatch, Result
from fmcore.recipe.create import create
from fmcore.recipe.sections import Measure
from fmcore.runs.cache import cache_folder
from fmcore.runs.distributed import Team
from fmcore.runs.folder import RunFolder
from fmcore.runs.partial_metrics import Tallies
from fmcore.runs.samples import Shards
from fmcore.stages.metric_stream import Measuring, Stream

__all__ = ["Given", "measure"]


@final
@dataclass(frozen=True)
class Given:
    """Samples that are there: `read` gives those of some indices, `made` says what they are."""

    shape: tuple[int, ...]
    levels: int | None
    count: int
    read: Callable[[range], MetricBatch]
    made: Mapping[str, Any]

    @classmethod
    def of_data(cls, data: Dataset) -> Given:
        """The examples of a data set, in order."""

        def read(piece: range) -> MetricBatch:
            batch = data.batch(piece)
            x1 = batch.pop("x1")
            flat = data.levels is None
            indices = torch.tensor(list(piece))
            return MetricBatch(indices, x1 if flat else None, None if flat else x1, batch)

        made = {"samples": data.fingerprint, "samples_split": data.split}
        return cls(data.shape, data.levels, data.length, read, made)

    @classmethod
    def of_run(cls, folder: RunFolder) -> Given:
        """The samples that a run keeps on disk."""
        shards = Shards.there(folder.samples)
        data: Dataset = folder.recipe().build("data")
        kept = shards.first(shards.kept()[-1].stop)
        flat = data.levels is None

        def read(piece: range) -> MetricBatch:
            own = slice(piece.start, piece.stop)
            x = kept["x"][own]
            return MetricBatch(
                indices=torch.tensor(list(piece)),
                x=x if flat else None,
                levels=None if flat else x,
                nfe=kept["nfe"][own],
                status=kept["status"][own],
            )

        made = {"sampler": shards.made()}
        return cls(data.shape, data.levels, len(kept["x"]), read, made)


def measure(
    samples: Given,
    reference: Dataset,
    settings: Measure,
    *,
    device: str | torch.device = "cpu",
    quiet: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, Result]:
    """Compute the metrics of `samples` against `reference`, with how each was made.

    The same call goes on where it was stopped, from the tallies in fmcore's cache.  Raises
    ComponentError or DataError, with the reason, for what cannot be compared.
    """
    evaluation = _evaluation(reference, settings, torch.device(device))
    _check(samples, evaluation, settings)
    count = samples.count if settings.count is None else min(settings.count, samples.count)
    size = settings.batch_size
    pieces = [range(first, min(first + size, count)) for first in range(0, count, size)]
    digest = _digest(samples, evaluation, settings)
    tallies = Tallies(cache_folder() / "tally" / digest[:16], digest)
    measuring = Measuring(evaluation, Team(), say, quiet)
    stream = Stream("measure samples", pieces, samples.read)
    found = measuring.results(settings.metrics, stream, tallies)
    shutil.rmtree(tallies.root, ignore_errors=True)
    return {
        name: replace(result, provenance={**samples.made, **result.provenance})
        for results in found
        for name, result in results.items()
    }


def _evaluation(reference: Dataset, settings: Measure, device: torch.device) -> Evaluation:
    return Evaluation(
        data=reference,
        train_data=reference,
        path=create("path", "ot"),  # which nobody asks about samples that are there
        field=None,
        seed=settings.seed,
        batch_size=settings.batch_size,
        cache=cache_folder() / "references",
        home=device,
    )


def _check(samples: Given, evaluation: Evaluation, settings: Measure) -> None:
    data = evaluation.data
    for metric in settings.metrics:
        if metric.consumes != "samples":
            raise ComponentError(
                f"{type(metric).__name__} measures a network on held-out data, and these are "
                "samples alone: use fmcore evaluate RUN"
            )
        metric.check(data, evaluation.path)
    if samples.count == 0:
        raise DataError("there is no sample to measure")
    if tuple(samples.shape) != tuple(data.shape):
        raise DataError(
            f"samples of shape {tuple(samples.shape)} cannot be compared with a reference of shape "
            f"{tuple(data.shape)}: say how both are read, as in samples.channels=1 or "
            "reference.image_size=32"
        )
    if samples.levels != data.levels:
        raise DataError(
            f"samples of {samples.levels} levels a value cannot be compared with a reference of "
            f"{data.levels}"
        )


def _digest(samples: Given, evaluation: Evaluation, settings: Measure) -> str:
    facts = {
        "metrics": list(map(repr, settings.metrics)),
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        "reference": evaluation.data.fingerprint,
        "device": evaluation.home.type,
        "torch": torch.__version__,
        **samples.made,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

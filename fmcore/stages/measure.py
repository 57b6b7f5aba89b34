"""Measure samples without a network: a dataset, or the samples of a run, against a dataset."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import torch

from fmcore.errors import ComponentError, DataError, RunError
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.metric import Evaluation, MetricBatch, Result
from fmcore.recipe.create import create
from fmcore.recipe.sections import Measure
from fmcore.runs.cache import cache_folder
from fmcore.runs.distributed import Distributed
from fmcore.runs.files import locked
from fmcore.runs.folder import RunFolder
from fmcore.runs.partial_metrics import PartialMetrics
from fmcore.runs.samples import Shards
from fmcore.stages.metric_stream import MetricRunner, Stream
from fmcore.stages.origin import metric_options, recorded, run_origin, sampler_settings

__all__ = ["SampleSource", "measure"]


@final
@dataclass(frozen=True)
class SampleSource:
    """Samples on disk: `read` returns those of some indices, `provenance` identifies them."""

    shape: tuple[int, ...]
    levels: int | None
    count: int
    read: Callable[[range], MetricBatch]
    provenance: Mapping[str, Any]
    origin: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_data(cls, data: Dataset) -> SampleSource:
        """Return the examples of a dataset, in order."""

        def read(piece: range) -> MetricBatch:
            batch = data.batch(piece)
            x1 = batch.pop("x1")
            flat = data.levels is None
            indices = torch.tensor(list(piece))
            return MetricBatch(indices, x1 if flat else None, None if flat else x1, batch)

        provenance = {"samples": data.fingerprint, "samples_split": data.split}
        return cls(data.shape, data.levels, data.length, read, provenance)

    @classmethod
    def of_run(cls, folder: RunFolder) -> SampleSource:
        """Return the samples that a run keeps on disk."""
        shards = Shards.on_disk(folder.samples)
        data: Dataset = folder.recipe().build("data")
        # only those on disk: drawing the others would need the network
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

        made = shards.provenance()
        provenance = {"sampler": sampler_settings(made)}
        origin = run_origin(folder, made)
        return cls(data.shape, data.levels, len(kept["x"]), read, provenance, origin)


def measure(
    samples: SampleSource,
    reference: Dataset,
    settings: Measure,
    *,
    device: str | torch.device = "cpu",
    quiet: bool = False,
    emit: Callable[[str], None] = print,
) -> dict[str, Result]:
    """Compute the metrics of `samples` against `reference`, with their provenance.

    The same call resumes where it was interrupted, from states in fmcore's cache; of several equal
    calls at once one measures at a time.  Raises ComponentError or DataError, with the reason, for
    samples and metrics that cannot be compared.
    """
    evaluation = _evaluation(reference, settings, torch.device(device))
    _check(samples, evaluation, settings)
    count = samples.count if settings.count is None else min(settings.count, samples.count)
    size = settings.batch_size
    pieces = [range(first, min(first + size, count)) for first in range(0, count, size)]
    digest = _digest(samples, evaluation, settings)
    partial = PartialMetrics(cache_folder() / "partial_metrics" / digest[:16], digest)
    processes = Distributed()
    runner = MetricRunner(evaluation, processes, emit, quiet)
    stream = Stream("measure samples", pieces, samples.read)
    with ExitStack() as held:
        # the lock is not among the states, whose folder is removed at the end
        lock = cache_folder() / "locks" / f"{digest[:16]}.lock"
        processes.on_main(lambda: held.enter_context(_waiting(lock, emit)))
        found = runner.results(settings.metrics, stream, partial)
        if processes.is_main:
            shutil.rmtree(partial.root, ignore_errors=True)
    pairs = zip(settings.metrics, found, strict=False)  # other processes have no results
    return {
        name: result
        for metric, own in pairs
        for name, result in recorded(
            own, metric_options(metric), samples.provenance, samples.origin
        ).items()
    }


@contextmanager
def _waiting(lock: Path, emit: Callable[[str], None]) -> Iterator[None]:
    """Hold `lock`, waiting for an equal measurement of another process."""
    busy = "another process measures the same samples: waiting for it"
    with ExitStack() as held:
        try:
            held.enter_context(locked(lock, busy, remove=True))
        except RunError:
            emit(busy)
            held.enter_context(locked(lock, busy, wait=True, remove=True))
        yield


def _evaluation(reference: Dataset, settings: Measure, device: torch.device) -> Evaluation:
    return Evaluation(
        data=reference,
        train_data=reference,
        path=create("path", "ot"),  # no metric of samples depends on it
        field=None,
        seed=settings.seed,
        batch_size=settings.batch_size,
        cache=cache_folder() / "references",
        home=device,
    )


def _check(samples: SampleSource, evaluation: Evaluation, settings: Measure) -> None:
    data = evaluation.data
    for metric in settings.metrics:
        if metric.consumes != "samples":
            raise ComponentError(
                f"{type(metric).__name__} measures a network on held-out data, and here are "
                "only samples: use fmcore evaluate RUN"
            )
        metric.check(data, evaluation.path)
    if samples.count == 0:
        raise DataError("there are no samples to measure")
    if tuple(samples.shape) != tuple(data.shape):
        raise DataError(
            f"samples of shape {tuple(samples.shape)} cannot be compared with a reference of shape "
            f"{tuple(data.shape)}: give options that make both equal, such as samples.channels=1 "
            "or reference.image_size=32"
        )
    if samples.levels != data.levels:
        raise DataError(
            f"samples of {samples.levels} levels a value cannot be compared with a reference of "
            f"{data.levels}"
        )


def _digest(samples: SampleSource, evaluation: Evaluation, settings: Measure) -> str:
    facts = {
        "metrics": list(map(repr, settings.metrics)),
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        "reference": evaluation.data.fingerprint,
        "device": evaluation.home.type,
        "torch": torch.__version__,  # its kernels may round features differently
        **samples.provenance,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

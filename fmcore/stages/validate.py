"""Validation: measure a network during its training, and keep the checkpoint that measures best.

Samples are drawn as the run would draw them; processes share the drawing.  Validation changes
nothing that training depends on, so the weights are the same with and without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError, did_you_mean
from fmcore.flow.field import Field
from fmcore.interfaces.metric import Evaluation, Metric, MetricBatch, Result
from fmcore.recipe.sections import Best, Evaluate, Sample
from fmcore.runs.cache import cache_folder
from fmcore.runs.distributed import Distributed
from fmcore.runs.files import write_json
from fmcore.runs.folder import RunFolder
from fmcore.runs.metrics_log import MEASURED
from fmcore.runs.results import as_json
from fmcore.runs.signals import StopRequest
from fmcore.stages.components import Components
from fmcore.stages.evaluate import as_measured, held_out, on_cpu
from fmcore.stages.origin import measured_on, origin_of, recorded
from fmcore.stages.sample import codec_facts
from fmcore.stages.sampler import Sampler
from fmcore.stages.sampling_field import wrap_path_and_guidance

__all__ = ["BestSoFar", "Validator"]

WEIGHTS = "ema"
Line = Mapping[str, Any]


@final
@dataclass(frozen=True)
class Validator:
    """Measures the field at a step of its training; the main process computes the metrics."""

    components: Components
    settings: Evaluate
    folder: RunFolder
    processes: Distributed
    stop: StopRequest
    _origin: dict[str, Any] = field(default_factory=dict, init=False)

    def measure(self, field: Field, step: int) -> dict[str, float | str] | None:
        """Return each result by its name in the main process, and write evaluations/step-N.json.

        Returns None, in every process, if a signal asked to stop.
        """
        metrics = self.settings.metrics
        evaluation = self._evaluation(field, step)
        # in memory, not in states on disk: a validation is short, and repeated if it was stopped
        for metric in metrics:
            metric.begin(evaluation)
        complete = self._update(metrics, "samples", self._drawn(field))
        complete = complete and self._update(metrics, "data", self._held_out(evaluation))
        return self.processes.on_main(lambda: self._results(evaluation)) if complete else None

    def _update(
        self, metrics: Sequence[Metric], kind: str, turns: Iterator[list[MetricBatch]]
    ) -> bool:
        """Give every batch to the metrics of its kind; return False if a signal asked to stop."""
        chosen = [metric for metric in metrics if metric.consumes == kind]
        if not chosen:
            return True
        for batches in turns:
            for batch in batches:
                for metric in chosen:
                    metric.update(batch)
            if self.processes.any(bool(self.stop)):
                return False
        return True

    def _drawn(self, field: Field) -> Iterator[list[MetricBatch]]:
        """Yield the samples in the main process, a batch of every process at a time."""
        device, settings = _device(field), self._sample
        guided = wrap_path_and_guidance(field, settings, self.components)
        sampler = Sampler(self.components, settings, guided, device)
        ranges = _ranges(self.settings.count or 0, settings.batch_size)
        paired = settings.condition == self.settings.split
        for first in range(0, len(ranges), self.processes.size):
            turn = ranges[first : first + self.processes.size]
            own = turn[self.processes.rank : self.processes.rank + 1]
            drawn = self._draw(sampler, own)
            yield [
                as_measured(self.components.data, indices, tensors, self.components.codec, paired)
                for part in self.processes.gather(drawn)
                for indices, tensors in part
            ]

    def _draw(
        self, sampler: Sampler, ranges: Sequence[range]
    ) -> list[tuple[range, dict[str, Tensor]]]:
        """Draw samples; none once a signal has come, so that a long draw does not delay the stop.

        The exchange with the other processes must follow in either case.
        """
        try:
            with self.stop.at_once():
                return [(indices, on_cpu(sampler.draw(indices))) for indices in ranges]
        except KeyboardInterrupt:
            return []

    def _held_out(self, evaluation: Evaluation) -> Iterator[list[MetricBatch]]:
        """Yield examples of the data in the main process, nothing in the others."""
        stream = held_out(evaluation.data, self.settings.count, self.settings.batch_size)
        # the others must iterate too: they exchange the stop request after each batch
        for piece in stream.pieces:
            yield [stream.read(piece)] if self.processes.is_main else []

    def _results(self, evaluation: Evaluation) -> dict[str, float | str]:
        results: dict[str, Result] = {}
        step = evaluation.provenance["step"]
        if not self._origin:  # once: it reads the code of every plugin that the recipe uses
            self._origin.update(origin_of(self.components, self.folder, step, evaluation.device))
        origin = {**self._origin, "step": step}
        for metric, options in zip(self.settings.metrics, self._written, strict=True):
            made = self._made() if metric.consumes == "samples" else None
            how = measured_on(evaluation, made)
            results |= recorded(metric.compute(), options, how, origin)
        plain = as_json(results)
        write_json(self.folder.root / "evaluations" / f"step-{step:09d}.json", plain)
        return {name: result["value"] for name, result in plain.items()}

    def _evaluation(self, field: Field, step: int) -> Evaluation:
        data = self.components.data
        return Evaluation(
            data=data.with_split(self.settings.split),
            train_data=data.with_split("train"),
            path=self.components.path,
            field=field,
            seed=self.components.seed,
            batch_size=self.settings.batch_size,
            cache=cache_folder() / "references",
            provenance={"step": step, "weights": WEIGHTS, "device": _device(field).type},
        )

    @property
    def _sample(self) -> Sample:
        if self.components.sample is None:
            raise self.components.missing("sample")
        return self.components.sample

    @property
    def _written(self) -> list[dict[str, Any]]:
        """The metrics with their options, as the recipe has them."""
        values = self.components.recipe.values
        section = (values["train"] or {}).get("evaluate") or values["evaluate"]
        return list(section["metrics"])

    def _made(self) -> dict[str, Any]:
        """Return how the samples were drawn, as results record it."""
        values = self.components.recipe.values
        seed, along = self._sample.seed, values["sample"]["path"]
        return {
            **values["sample"],
            **({} if along is None else {"along": along}),
            "seed": self.components.seed if seed is None else seed,
            "weights": WEIGHTS,
            "count": self.settings.count,
            **codec_facts(self.components),
        }


@final
class BestSoFar:
    """The first step with the best value of `best.metric`, of the lines added; None before one.

    Values that are not finite never count.  It holds two numbers, so that an evaluation costs the
    same however long the curve is.
    """

    def __init__(self, best: Best, lines: Iterable[Line] = ()) -> None:
        self.best = best
        self.step: int | None = None
        self.value = math.nan
        for line in lines:
            self.add(line)

    def add(self, line: Line) -> bool:
        """Add a line of the curve; return whether its step is now the best.

        Raises ComponentError if it has results, and none of the metric's name.
        """
        name = self.best.metric
        names = [key.removeprefix(MEASURED) for key in line if key.startswith(MEASURED)]
        if not names:
            return False
        if name not in names:
            hint = did_you_mean(name, names) or ";"
            raise ComponentError(
                f"train.best.metric: no result is called '{name}'{hint} "
                f"there are {', '.join(names)}"
            )
        value = float(line[f"{MEASURED}{name}"])
        if not math.isfinite(value) or (self.step is not None and not self._improves(value)):
            return False
        self.step, self.value = line["step"], value
        return True

    def _improves(self, value: float) -> bool:
        # of equal values the first one stays
        return value < self.value if self.best.mode == "min" else value > self.value


def _ranges(count: int, size: int) -> list[range]:
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def _device(field: Field) -> torch.device:
    return next(field.model.parameters()).device

"""Measure a network while it trains, and keep the checkpoint that measures best.

Samples are those that the run would draw, their number apart; processes take turns at them.
Nothing that training depends on is touched, so its weights are the same with and without.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch

from fmcore.errors import ComponentError, did_you_mean
from fmcore.flow.field import Field
from fmcore.interfaces.metric import Evaluation, Metric, MetricBatch, Result
from fmcore.recipe.sections import Best, Evaluate, Sample
from fmcore.runs.cache import cache_folder
from fmcore.runs.distributed import Team
from fmcore.runs.files import write_json
from fmcore.runs.folder import RunFolder
from fmcore.runs.metrics_log import MEASURED
from fmcore.runs.results import as_json
from fmcore.runs.signals import StopRequest
from fmcore.stages.components import Components
from fmcore.stages.evaluate import as_measured, held_out, on_cpu
from fmcore.stages.sample import Sampler, led

__all__ = ["Watch", "best_step"]

WEIGHTS = "ema"
Line = Mapping[str, Any]


@final
@dataclass(frozen=True)
class Watch:
    """What is measured of the field at a step of its training; the leading process measures."""

    components: Components
    settings: Evaluate
    folder: RunFolder
    team: Team
    stop: StopRequest

    def measure(self, field: Field, step: int) -> dict[str, float | str] | None:
        """Each result by its name, in the leading process; all of it into evaluations/step-N.json.

        None, in all processes, if a signal asked to stop meanwhile.
        """
        metrics = self.settings.metrics
        evaluation = self._evaluation(field, step)
        for metric in metrics:
            metric.begin(evaluation)
        whole = self._take_in(metrics, "samples", self._drawn(field))
        whole = whole and self._take_in(metrics, "data", self._held_out(evaluation))
        return self.team.first(lambda: self._results(evaluation)) if whole else None

    def _take_in(
        self, metrics: Sequence[Metric], kind: str, turns: Iterator[list[MetricBatch]]
    ) -> bool:
        """Give every batch to the metrics that want it; False if a signal asked to stop."""
        chosen = [metric for metric in metrics if metric.consumes == kind]
        if not chosen:
            return True
        for batches in turns:
            for batch in batches:
                for metric in chosen:
                    metric.update(batch)
            if self.team.any(bool(self.stop)):
                return False
        return True

    def _drawn(self, field: Field) -> Iterator[list[MetricBatch]]:
        """The samples, a batch for each process at a time, in the leading process."""
        device, settings = _device(field), self._sample
        sampler = Sampler(self.components, settings, led(field, settings, device), device)
        ranges = _ranges(self.settings.count or 0, settings.batch_size)
        for first in range(0, len(ranges), self.team.size):
            turn = ranges[first : first + self.team.size]
            own = turn[self.team.rank : self.team.rank + 1]
            given = [(indices, on_cpu(sampler.draw(indices))) for indices in own]
            yield [
                as_measured(self.components.data, indices, drawn)
                for part in self.team.gather(given)
                for indices, drawn in part
            ]

    def _held_out(self, evaluation: Evaluation) -> Iterator[list[MetricBatch]]:
        """Examples of the data, in the leading process; the others come along."""
        stream = held_out(evaluation.data, self.settings.count, self.settings.batch_size)
        for piece in stream.pieces:
            yield [stream.read(piece)] if self.team.leads else []

    def _results(self, evaluation: Evaluation) -> dict[str, float | str]:
        results: dict[str, Result] = {}
        for metric in self.settings.metrics:
            made = dict(evaluation.provenance)
            if metric.consumes == "samples":
                made["sampler"] = self._made()
            for name, result in metric.compute().items():
                results[name] = replace(result, provenance={**made, **result.provenance})
        step = evaluation.provenance["step"]
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

    def _made(self) -> dict[str, Any]:
        values = self.components.recipe.values
        seed = self._sample.seed
        return {
            **values["sample"],
            "seed": self.components.seed if seed is None else seed,
            "weights": WEIGHTS,
            "count": self.settings.count,
            "path": values["path"],
        }


def best_step(lines: Sequence[Line], best: Best) -> int | None:
    """The first step whose value is the best of all; None where there is no finite one.

    Raises ComponentError if measurements have no such name.
    """
    key, found = f"{MEASURED}{best.metric}", list[tuple[float, int]]()
    for line in lines:
        names = [name.removeprefix(MEASURED) for name in line if name.startswith(MEASURED)]
        if names and best.metric not in names:
            hint = did_you_mean(best.metric, names) or ";"
            raise ComponentError(
                f"train.best.metric: nothing measured is called '{best.metric}'{hint} "
                f"measured are {', '.join(names)}"
            )
        if names and math.isfinite(float(line[key])):
            sign = 1 if best.mode == "min" else -1
            found.append((sign * float(line[key]), line["step"]))
    return min(found)[1] if found else None


def _ranges(count: int, size: int) -> list[range]:
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def _device(field: Field) -> torch.device:
    return next(field.model.parameters()).device

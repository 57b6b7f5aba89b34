"""The network of a run as the problem; the reference is a solve of it at a tight tolerance."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, final

import torch
from torch import Tensor

from fmcore.benchmark.axes import ComponentSpec
from fmcore.benchmark.cells import Setting, digest
from fmcore.benchmark.reference import load_or_compute
from fmcore.benchmark.task import Task
from fmcore.errors import ComponentError, SolverError
from fmcore.flow.field import Field, prepared
from fmcore.flow.reschedule import change_schedule
from fmcore.interfaces.dataset import ImageDataset
from fmcore.interfaces.field import Predictor
from fmcore.interfaces.metric import Evaluation, Metric, MetricBatch
from fmcore.interfaces.path import Path
from fmcore.interfaces.problem import Problem, Solution
from fmcore.interfaces.solver import Solver
from fmcore.recipe.create import create
from fmcore.recipe.schema import list_options
from fmcore.recipe.sections import Sample
from fmcore.report.numbers import notes_in
from fmcore.runs.cache import cache_folder
from fmcore.runs.folder import RunFolder
from fmcore.runs.progress import progress
from fmcore.stages.components import Components
from fmcore.stages.evaluate import held_out
from fmcore.stages.sampler import Sampler
from fmcore.stages.weights import trained_field, weights_of

__all__ = ["TrainedProblem", "check_metrics"]

REFERENCE = "dopri8"
"""The adaptive method of the highest order; each sample has its own step sizes."""


@final
@dataclass(frozen=True)
class TrainedProblem:
    """Creates the tasks of the run in `folder`, with `weights` of its newest checkpoint, or of the
    one of `step`.

    References are solved in double precision at tolerance `tol`, `batch` samples at once; of the
    first `compared` samples, or of all.  `title` distinguishes the run from others of the recipe.
    """

    folder: RunFolder
    references: FilePath
    device: torch.device
    weights: str = "ema"
    tol: float = 1e-8
    batch: int = 256
    quiet: bool = False
    step: int | None = None
    compared: int | None = None
    title: str = ""

    @cached_property
    def components(self) -> Components:
        """The components of the run's recipe."""
        return Components.of(self.folder.recipe())

    @cached_property
    def field(self) -> Field:
        """The trained field."""
        field: Field = self._loaded[0]
        return field

    @property
    def own_path(self) -> ComponentSpec:
        """The path of the training, with the options that are not defaults."""
        options = dict(self.components.recipe.values["path"])
        name = options.pop("name")
        optional = {o.name for o in list_options(type(self.components.path)) if not o.required}
        for option in [name for name in options if name in optional]:
            fewer = {key: value for key, value in options.items() if key != option}
            if ComponentSpec("path", name, fewer).make() == self.components.path:
                options = fewer
        return ComponentSpec("path", name, options)

    @property
    def name(self) -> str:
        """The problem's name: recipe, step of the checkpoint, and title."""
        name = f"{self.components.recipe.name}@{self._loaded[1].step}"
        return f"{name} ({self.title})" if self.title else name

    @cached_property
    def _loaded(self) -> Any:
        return trained_field(self.components, self.folder, self.weights, self.device, self.step)

    @cached_property
    def _weights_hash(self) -> str:
        state = self.field.model.state_dict()
        return digest({k: _bits(v) for k, v in state.items()})

    def facts(self) -> dict[str, Any]:
        """Return what the errors depend on, except for the cell."""
        return {
            "source": "run",
            "recipe": self.components.recipe.digest,
            "step": self._loaded[1].step,
            "weights": weights_of(self._loaded[1], self.weights),
            "weights_hash": self._weights_hash,
            "reference": f"{REFERENCE}, rtol = atol = {self.tol}, float64",
        }

    def task(self, setting: Setting) -> Task:
        """Return the task of `setting`.  Raises ComponentError for a path that the network cannot
        follow.
        """
        field = self._field_along(setting.path, getattr(torch, setting.dtype))
        sampler = self._sampler(field, setting.seed)
        ids = range(setting.samples)
        raw = sampler.condition(ids)
        if raw is not None:
            raw = {k: v.to(self.device) for k, v in raw.items()}
        x0 = sampler.noise(ids).to(self.device, getattr(torch, setting.dtype))
        reference = self._reference(setting, field, x0[: self.compared].double(), raw)
        with torch.no_grad():
            condition = prepared(field, raw)
        return Task(field, x0, reference, field.path, setting.batch, setting.seed, condition)

    def measure(
        self, metrics: Sequence[Metric], task: Task, solutions: Sequence[Solution]
    ) -> dict[str, Any]:
        """Return the values of `metrics` over the samples of a cell, as JSON."""
        return self._compute(metrics, task.path, task.seed, [self._metric_batch(task, solutions)])

    def evaluate(self, metrics: Sequence[Metric], count: int, seed: int) -> dict[str, Any]:
        """Return the values of `metrics` of data over the first `count` test examples, as JSON."""
        data = self.components.data.with_split("test")
        rows = held_out(data, count, self.batch)
        batches = map(rows.read, rows.pieces)
        return self._compute(metrics, self.components.path, seed, batches)

    def _compute(
        self, metrics: Sequence[Metric], path: Path, seed: int, batches: Iterable[MetricBatch]
    ) -> dict[str, Any]:
        data = self.components.data
        evaluation = Evaluation(
            data=data.with_split("test"),
            train_data=data.with_split("train"),
            path=path,
            field=self.field,
            seed=seed,
            batch_size=self.batch,
            cache=cache_folder() / "references",
        )
        for metric in metrics:
            metric.begin(evaluation)
        for batch in batches:
            for metric in metrics:
                metric.update(batch)
        return {
            name: {
                "value": float(result.value),
                "error": result.error,
                "notes": notes_in(result.details, result.provenance),
            }
            for metric in metrics
            for name, result in metric.compute().items()
        }

    def _reference(self, setting: Setting, field: Predictor, x0: Tensor, condition: Any) -> Tensor:
        """Return the end points of `x0`, solved once and then cached."""
        if not len(x0):
            return x0.cpu()
        facts = {**self.facts(), "path": repr(field.path), "x0": _bits(x0)}
        return load_or_compute(
            self.references / f"{digest(facts)}.safetensors",
            lambda: self._solve_tight(setting, x0, condition),
        )

    def _metric_batch(self, task: Task, solutions: Sequence[Solution]) -> MetricBatch:
        x = torch.cat([solution.x for solution in solutions]).cpu().float()
        sampler, indices = self._sampler(self.field, task.seed), range(len(x))
        drawn = sampler.stored(x, indices)
        levels = drawn if isinstance(self.components.data, ImageDataset) else None
        # the raw condition: the task has the one that the network prepared
        condition = sampler.condition(indices) or {}
        return MetricBatch(
            indices=torch.arange(len(x)),
            x=drawn if levels is None else None,
            levels=levels,
            condition={name: value.cpu() for name, value in condition.items()},
            nfe=torch.cat([solution.stats.nfe for solution in solutions]).cpu(),
            status=torch.cat([solution.status for solution in solutions]).cpu(),
        )

    def _field_along(self, path: ComponentSpec | None, dtype: torch.dtype) -> Predictor:
        field = self.field
        if dtype != torch.float32:
            model = copy.deepcopy(field.model).to(dtype)
            field = Field(model, field.path, field.objective, coupling=field.coupling)
        if path is None:
            return field
        made: Path = path.make().on(field.path.space)
        return field if made == field.path else change_schedule(field, made)

    def _sampler(self, field: Predictor, seed: int) -> Sampler:
        own = self.components.sample
        settings = Sample(
            solver=create("solver", "euler", steps=1),
            seed=seed,
            condition=None if own is None else own.condition,
        )
        return Sampler(self.components, settings, field, self.device)

    def _solve_tight(self, setting: Setting, x0: Tensor, condition: Any) -> Tensor:
        field = self._field_along(setting.path, torch.float64)
        solver: Solver = create("solver", REFERENCE, rtol=self.tol, atol=self.tol)
        ends = []
        with progress("reference", len(x0), "samples", quiet=self.quiet) as show, torch.no_grad():
            for first in range(0, len(x0), self.batch):
                rows = slice(first, first + self.batch)
                raw = None if condition is None else {k: v[rows] for k, v in condition.items()}
                own = prepared(field, raw)
                solution = solver.solve(Problem(field, x0[rows], path=field.path, condition=own))
                if bool(solution.status.any()):
                    raise SolverError(
                        f"the reference solve of {self.name} failed at tolerance {self.tol}: raise "
                        "--reference-tol"
                    )
                ends.append(solution.x.cpu())
                show(first + len(solution.x))
        return torch.cat(ends)


def check_metrics(metrics: Sequence[ComponentSpec], components: Components) -> None:
    """Raise ComponentError for a metric that does not fit the data of `components`, or that is not
    computed from samples.
    """
    for spec in metrics:
        metric: Metric = spec.make()
        if metric.consumes != "samples":
            raise ComponentError(
                f"metric '{spec}' is computed from held-out data, not from the samples of a "
                "solver: use `fmcore evaluate`"
            )
        metric.check(components.data, components.path)


def _bits(x: Tensor) -> str:
    """Return a hash of a tensor's bytes."""
    plain = x.detach().cpu().contiguous().reshape(-1)
    return hashlib.sha256(plain.view(torch.uint8).numpy().tobytes()).hexdigest()

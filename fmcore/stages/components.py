"""The components of a recipe, built once for all stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, final

import torch

from fmcore.errors import ComponentError, DataError, FmcoreError, RunError
from fmcore.flow.compatibility import (
    check_codec,
    check_network,
    check_points,
    check_pretrained,
    check_together,
    on_space,
)
from fmcore.interfaces.codec import Codec
from fmcore.interfaces.condition import ConditionSpec
from fmcore.interfaces.coupling import Coupling
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.metric import Metric
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.objective import Objective
from fmcore.interfaces.path import Path
from fmcore.interfaces.randomness import stream_seed
from fmcore.recipe.parts import run_options
from fmcore.recipe.recipe import Recipe
from fmcore.recipe.sections import Bound, Evaluate, Sample, Train
from fmcore.registry.kinds import AUTO
from fmcore.runs.folder import RunFolder
from fmcore.runs.trackers import require_trackers
from fmcore.stages.conditions import check_conditions
from fmcore.training.batches import Batches
from fmcore.training.ema import width_of

__all__ = ["FIELD_SECTIONS", "MAX_VALIDATION_SAMPLES", "Components"]

FIELD_SECTIONS = ("objective", "sample")
"""Sections whose options of type RunOption are fields, used at this run's states."""

MAX_VALIDATION_SAMPLES = 1000
"""Samples measured during training, unless `train.evaluate.count` is given."""


@final
@dataclass(frozen=True)
class Components:
    """The components and settings of a recipe; the network is built by the stages.

    `networks` caches the trained network of a command (see `fmcore.stages.weights`).
    """

    recipe: Recipe
    seed: int
    data: Dataset
    codec: Codec | None
    path: Path
    coupling: Coupling
    objective: Objective
    train: Train | None
    sample: Sample | None
    evaluate: Evaluate | None
    expect: Mapping[str, Bound]
    networks: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, recipe: Recipe) -> Components:
        """Build the components of `recipe`.

        Raises RecipeError or ComponentError with every reason.
        """
        values = recipe.values
        data: Dataset = recipe.build("data")
        codec: Codec | None = recipe.build("codec")
        path, coupling = on_space(data, codec, recipe.build("path"), recipe.build("coupling"))
        return cls(
            recipe=recipe,
            seed=values["seed"],
            data=data,
            codec=codec,
            path=path,
            coupling=coupling,
            objective=recipe.build("objective"),
            # the network is not among them: its shape is the data's, and stages need several of it
            train=recipe.settings("train"),
            sample=recipe.settings("sample"),
            evaluate=recipe.settings("evaluate"),
            expect={name: Bound(**bound) for name, bound in values["expect"].items()},
        )

    @cached_property
    def evaluated_data(self) -> Dataset:
        """The split that `evaluate` measures; the training split without that section."""
        # once a command: a dataset keeps what it read, and a new one would read it again
        split = self.evaluate.split if self.evaluate else self.data.split
        return self.data if split == self.data.split else self.data.with_split(split)

    @cached_property
    def state_shape(self) -> tuple[int, ...]:
        """The shape of a state of the flow: that of the latents, or of the data without a codec."""
        shape = tuple(self.data.shape)
        return shape if self.codec is None else tuple(self.codec.shape(shape))

    @cached_property
    def entries(self) -> Mapping[str, ConditionSpec]:
        """The conditions of the data, without those that the training ignores.

        Empty where only missing files could tell: a dry run needs no data.
        """
        ignored = () if self.train is None else self.train.ignore_conditions
        try:
            return {k: v for k, v in self.data.entries.items() if k not in ignored}
        except DataError:
            return {}

    @property
    def model_arguments(self) -> dict[str, Any]:
        """The arguments of the network that the data and the objective decide."""
        given: dict[str, Any] = {"shape": self.state_shape, "span": self.objective.spans}
        given["entries"] = {k: v for k, v in self.entries.items() if k != "label"}
        given["space"] = self.path.space
        given["output_shape"] = self.objective.output_shape(self.path, self.state_shape)
        # the data are opened only where the recipe asks for it
        if self.recipe.values["model"].get("classes") == AUTO:
            given["classes"] = self.data.classes
        return given

    @cached_property
    def planned_model(self) -> VectorField | None:
        """The network on the meta device, to read its declarations; None if it cannot be built
        there.
        """
        arguments = self.model_arguments  # data that are read here need real tensors
        try:
            with torch.device("meta"):
                model: VectorField = self.recipe.build("model", **arguments)
        except FmcoreError:
            raise
        except Exception:  # a third party's network may train all the same
            return None
        return model

    def model(self, device: torch.device | str = "cpu") -> VectorField:
        """Build the network: its initial weights are a function of the seed alone.

        A pretrained network has its own weights.  Raises ComponentError if they were trained for
        another path or objective.
        """
        # constructors draw from torch's global generator: leave the caller's state as it was
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(self.seed, "init"))
            model: VectorField = self.recipe.build("model", **self.model_arguments)
        check_pretrained(model, self.path, self.objective)
        check_network(model, self.path, self.objective, self.state_shape)
        return model.to(device)

    def batches(self, train: Train) -> Batches:
        """Return the training batches."""
        return Batches(
            self.data,
            self.path,
            self.coupling,
            self.objective,
            train.batch_size,
            self.seed,
            train.dropout,
            train.ignore_conditions,
            codec=self.codec,
        )

    @property
    def validation(self) -> Evaluate | None:
        """The measurements during training, or None.

        Raises ComponentError if the `train` section asks for what cannot be measured.
        """
        train = self.train
        if train is None or train.evaluate_every is None:
            if train is not None and (train.best or train.evaluate):
                option = "best" if train.best else "evaluate"
                raise ComponentError(
                    f"train.{option} needs train.evaluate_every: the number of steps between two "
                    "measurements"
                )
            return None
        settings = train.evaluate or self.evaluate
        if settings is None:
            raise ComponentError(
                "train.evaluate_every: there are no metrics to measure; give "
                "train.evaluate.metrics, or a section evaluate"
            )
        drawn = [m for m in settings.metrics if m.consumes == "samples"]
        if drawn and self.sample is None:
            raise ComponentError(
                f"train.evaluate_every: {type(drawn[0]).__name__} measures samples, and the recipe "
                "has no section sample to draw them"
            )
        # a count under train.evaluate is meant for training; one under evaluate is not
        own = train.evaluate is not None and settings.count is not None
        limit = settings.count if own and settings.count else MAX_VALIDATION_SAMPLES
        return replace(settings, count=min(settings.count or limit, limit))

    def metrics(self) -> list[Metric]:
        """Return every metric of the recipe, of training too."""
        # those of training too: a missing file should be found now, not at step 10,000
        sections = (self.evaluate, self.validation)
        return [m for section in sections if section is not None for m in section.metrics]

    def _check_pairs(self) -> None:
        """Refuse metrics that compare samples with examples that did not give their conditions."""
        for section in (self.evaluate, self.validation):
            paired = [m for m in (section.metrics if section else ()) if m.paired]
            given = self.sample.condition if self.sample else None
            if section is not None and paired and self.sample and given != section.split:
                raise ComponentError(
                    f"{type(paired[0]).__name__} compares sample i with example i of the split "
                    f"'{section.split}': set sample.condition: {section.split}"
                )

    def missing(self, section: str) -> RunError:
        """Return the error of a stage whose section the recipe lacks."""
        return RunError(
            f"recipe '{self.recipe.name}' has no section '{section}': add one, "
            "or give its options on the command line"
        )

    def _read_by_other_runs(self) -> frozenset[str]:
        """The conditions that the networks of teachers and guiding runs read."""
        found: frozenset[str] = frozenset()
        for key, option in run_options(self.recipe).items():
            if key.partition(".")[0] in FIELD_SECTIONS:
                try:
                    other = Components.of(RunFolder.open(option.run, lambda _: None).recipe())
                except FmcoreError:  # `check_runs` reports a run that cannot be opened
                    continue
                if other.planned_model is not None:
                    found |= other.planned_model.reads
        return found

    def check(self, measures: bool = True) -> None:
        """Refuse what cannot work, before anything is computed or written.

        `measures` is whether the samples of the section `sample` are measured.

        Raises ComponentError for components that cannot be combined, DataError for missing data,
        RunError for a missing section.
        """
        check_together(
            self.path,
            self.coupling,
            self.objective,
            data=self.data,
            solver=self.sample.solver if self.sample else None,
            metrics=self.metrics(),
        )
        if self.codec is not None:
            check_codec(self.codec, self.data, self.metrics())
        if measures:
            self._check_pairs()
        train = self.train
        if train is not None:
            require_trackers(train.trackers)
            if train.sample_every is not None and self.sample is None:
                raise self.missing("sample")
            if self.sample is not None:
                width_of(self.sample.weights, train)
        # last, since it is the first access that reads files
        if self.data.length == 0:
            raise DataError("the dataset holds no examples")
        check_points(self.data)
        check_conditions(
            self.planned_model,
            self.path,
            self.data,
            train,
            self.sample,
            self.evaluate,
            (self.objective, *self.metrics()),
            self._read_by_other_runs(),
        )

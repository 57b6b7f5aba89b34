"""The components of a recipe, built once and handed from stage to stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

import torch

from fmcore.errors import ComponentError, DataError, RunError
from fmcore.flow.compatibility import check_network, check_pretrained, check_together
from fmcore.interfaces.coupling import Coupling
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.objective import Objective
from fmcore.interfaces.path import Path
from fmcore.interfaces.randomness import stream_seed
from fmcore.recipe.recipe import Recipe
from fmcore.recipe.sections import Bound, Evaluate, Sample, Train
from fmcore.runs.trackers import require_trackers
from fmcore.training.ema import width_of

__all__ = ["Components"]

WATCHED = 1000
"""Samples that are measured while training, unless `train.evaluate` says another number."""


@final
@dataclass(frozen=True)
class Components:
    """What a recipe describes, all but the network, which each stage builds where it needs it."""

    recipe: Recipe
    seed: int
    data: Dataset
    path: Path
    coupling: Coupling
    objective: Objective
    train: Train | None
    sample: Sample | None
    evaluate: Evaluate | None
    expect: Mapping[str, Bound]

    @classmethod
    def of(cls, recipe: Recipe) -> Components:
        """Build them.  Raises RecipeError or ComponentError with every reason."""
        return cls(
            recipe=recipe,
            seed=recipe.values["seed"],
            data=recipe.build("data"),
            path=recipe.build("path"),
            coupling=recipe.build("coupling"),
            objective=recipe.build("objective"),
            train=recipe.settings("train"),
            sample=recipe.settings("sample"),
            evaluate=recipe.settings("evaluate"),
            expect={k: Bound(**v) for k, v in recipe.values["expect"].items()},
        )

    def model(self, device: torch.device | str = "cpu") -> VectorField:
        """The network as it begins: its initial weights are a function of the seed alone, or those
        that it brings.

        Raises ComponentError if it brings weights that do not go with path and objective.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(self.seed, "init"))
            model: VectorField = self.recipe.build(
                "model", shape=self.data.shape, span=self.objective.spans
            )
        check_pretrained(model, self.path, self.objective)
        check_network(model, self.path, self.objective, self.data.shape)
        return model.to(device)

    @property
    def watched(self) -> Evaluate | None:
        """What is measured while training; None where nothing is.

        Raises ComponentError for a `train` section that cannot be measured so.
        """
        train = self.train
        if train is None or train.evaluate_every is None:
            if train is not None and (train.best or train.evaluate):
                raise ComponentError(
                    f"train.{'best' if train.best else 'evaluate'} needs train.evaluate_every: how "
                    "many steps lie between two measurements"
                )
            return None
        settings = train.evaluate or self.evaluate
        if settings is None:
            raise ComponentError(
                "train.evaluate_every: nothing says what to measure; give train.evaluate.metrics, "
                "or a section evaluate"
            )
        drawn = [m for m in settings.metrics if m.consumes == "samples"]
        if drawn and self.sample is None:
            raise ComponentError(
                f"train.evaluate_every: {type(drawn[0]).__name__} measures samples, and the recipe "
                "has no section sample that says how to draw them"
            )
        most = WATCHED if settings.count is None or train.evaluate is None else settings.count
        return replace(settings, count=min(settings.count or most, most))

    def missing(self, section: str) -> RunError:
        """The error of a stage whose section the recipe lacks."""
        return RunError(
            f"recipe '{self.recipe.name}' has no section '{section}': add one, "
            f"or give its options on the command line"
        )

    def check(self) -> None:
        """Refuse, before anything is spent, what cannot work: with the reason.

        Raises ComponentError for components that do not go together and DataError for missing data.
        """
        watched = self.watched
        check_together(
            self.path,
            self.coupling,
            self.objective,
            data=self.data,
            solver=self.sample.solver if self.sample else None,
            metrics=[
                *(self.evaluate.metrics if self.evaluate else ()),
                *(watched.metrics if watched else ()),
            ],
        )
        if self.train is not None:
            require_trackers(self.train.trackers)
        if self.train is not None and self.sample is not None:
            width_of(self.sample.weights, self.train)
        if self.data.length == 0:
            raise DataError("the data set holds no example")

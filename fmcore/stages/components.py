"""The components of a recipe, built once and handed from stage to stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch

from fmcore.compatibility import check_pretrained, check_together
from fmcore.errors import DataError, RunError
from fmcore.interfaces.coupling import Coupling
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.objective import Objective
from fmcore.interfaces.path import Path
from fmcore.randomness import stream_seed
from fmcore.recipe import Recipe
from fmcore.recipe.sections import Bound, Evaluate, Sample, Train
from fmcore.training.profiles import width_of

__all__ = ["Components"]


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
            model: VectorField = self.recipe.build("model", shape=self.data.shape)
        check_pretrained(model, self.path, self.objective)
        return model.to(device)

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
        check_together(
            self.path,
            self.coupling,
            self.objective,
            data=self.data,
            solver=self.sample.solver if self.sample else None,
            metrics=self.evaluate.metrics if self.evaluate else (),
        )
        if self.train is not None and self.sample is not None:
            width_of(self.sample.weights, self.train)
        if self.data.length == 0:
            raise DataError("the data set holds no example")

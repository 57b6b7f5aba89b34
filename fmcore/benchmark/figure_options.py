"""Options of Table 1's figures, resolved for a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from fmcore.benchmark.axes import ComponentSpec
from fmcore.benchmark.trained_problem import check_metrics
from fmcore.errors import ComponentError, UserError
from fmcore.interfaces.metric import Metric
from fmcore.interfaces.solver import Solver
from fmcore.recipe.create import create
from fmcore.recipe.recipe import Recipe
from fmcore.stages.components import Components

__all__ = ["BUDGETS", "FigureOptions", "checkpoint_overrides", "recipe_metrics", "recipe_solver"]

BUDGETS: Final = (4, 8, 12, 20, 40, 100)
"""Velocity evaluations per sample: the range of the paper's figure 7."""

CHECKPOINTS = 5
"""Checkpoints of a training that are measured, evenly spaced, unless train.keep_every is set."""

MAX_SAMPLES = 2000
DISTANCES = ("sliced_wasserstein", "fd_lite0")
"""Metrics of samples for a recipe that has none: the first that fits the data."""


@final
@dataclass(frozen=True)
class FigureOptions:
    """How the figures are measured.

    `metric` is a distance between samples and data, by default the recipe's first metric of
    samples.  `samples` are drawn for every point, by default as many as in the recipe, at most
    2000.  The error of the fixed `solver` is that of the first `compared` samples, against a solve
    at tolerance `tol` in double precision.  Metrics of data use the first `held_out` examples of
    the test split.
    """

    budgets: Sequence[int] = BUDGETS
    metric: ComponentSpec | None = None
    samples: int | None = None
    solver: ComponentSpec = ComponentSpec("solver", "midpoint", {"grid": "uniform"})  # noqa: RUF009  # frozen
    compared: int = 64
    held_out: int = 64
    tol: float = 1e-6

    def __post_init__(self) -> None:
        if not self.budgets or min(self.budgets) < 1:
            raise ComponentError(f"budgets are whole numbers from 1 on, got {list(self.budgets)}")

    def resolve(self, recipe: Recipe) -> dict[str, Any]:
        """Return all options with their values for `recipe`, as JSON."""
        components = Components.of(recipe)
        distance = self.distance(components)
        return {
            "budgets": sorted(set(self.budgets)),
            "solver": str(self.solver),
            "recipe_solver": recipe_solver(components)[0],
            "samples": self.count(recipe),
            "compared": min(self.compared, self.count(recipe)),
            "held_out": min(self.held_out, components.data.with_split("test").length),
            "reference": f"dopri8, rtol = atol = {self.tol}, float64",
            "metric": None if distance is None else distance[0],
        }

    def count(self, recipe: Recipe) -> int:
        """Return the number of samples for each point."""
        own = (recipe.values["sample"] or {}).get("count", MAX_SAMPLES)
        return self.samples or min(own, MAX_SAMPLES)

    def distance(self, components: Components) -> tuple[str, Metric] | None:
        """Return the metric of samples, with its name; None if none fits the data.

        Raises ComponentError for a chosen metric that does not fit the data or is none of samples.
        """
        if self.metric is not None:
            check_metrics([self.metric], components)
            return str(self.metric), self.metric.make()
        for name, metric in recipe_metrics(components):
            if metric.consumes == "samples" and name != "nfe":
                return name, metric
        return _first_that_fits(components)


def checkpoint_overrides(recipe: Recipe) -> list[str]:
    """Return the override by which a run keeps the checkpoints that the figures measure."""
    train = recipe.values["train"]
    if train is None or train["keep_every"] is not None:
        return []
    return [f"train.keep_every={-(-train['steps'] // CHECKPOINTS)}"]


def recipe_solver(components: Components) -> tuple[str, Solver]:
    """Return the recipe's solver with a name that contains its main options; without a sample
    section, the paper's dopri5.
    """
    if components.sample is None:
        return "dopri5(rtol=1e-05, atol=1e-05)", create("solver", "dopri5", rtol=1e-5, atol=1e-5)
    given = dict(components.recipe.values["sample"]["solver"])
    main = ("nfe", "steps", "rtol", "atol")
    options = [f"{key}={given[key]}" for key in main if given.get(key) is not None]
    return f"{given['name']}({', '.join(options)})", components.sample.solver


def recipe_metrics(components: Components) -> list[tuple[str, Metric]]:
    """Return the recipe's metrics with their names."""
    settings = components.evaluate
    if settings is None:
        return []
    named = [metric["name"] for metric in components.recipe.values["evaluate"]["metrics"]]
    return list(zip(named, settings.metrics, strict=True))


def _first_that_fits(components: Components) -> tuple[str, Metric] | None:
    for name in DISTANCES:
        try:
            metric: Metric = create("metric", name)
            metric.check(components.data, components.path)
        except UserError:
            continue
        return name, metric
    return None

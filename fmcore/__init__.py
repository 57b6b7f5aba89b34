"""fmcore: a plugin-based framework for flow matching.

Everything a user or a plugin author imports is a name of this module.  Names that need torch are
loaded on first use, so that the command line answers at once.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fmcore.errors import (
    CheckpointError,
    ComponentError,
    DataError,
    FmcoreError,
    FmcoreWarning,
    MissingSplitError,
    PluginError,
    RecipeError,
    RunError,
    UserError,
)
from fmcore.hookspecs import Register, hookimpl
from fmcore.plugins import create

if TYPE_CHECKING:
    from fmcore.broadcast import from_the_left
    from fmcore.compatibility import check_together
    from fmcore.field import Field, Predictor
    from fmcore.fingerprints import image_fingerprint
    from fmcore.guidance import Guided
    from fmcore.interfaces.coupling import Coupling, Pairing
    from fmcore.interfaces.dataset import Dataset, ImageDataset, Split
    from fmcore.interfaces.metric import Evaluation, Measured, Metric, Result
    from fmcore.interfaces.model import Pretrained, VectorField
    from fmcore.interfaces.objective import Objective
    from fmcore.interfaces.path import AffinePath, Coefficients, Path, PathSample, Quantity
    from fmcore.interfaces.row_metric import RowMetric, Rows
    from fmcore.interfaces.schedule import SchedulePath
    from fmcore.interfaces.solver import Solver
    from fmcore.interfaces.source import Condition, Source
    from fmcore.likelihood import LogProb, log_prob
    from fmcore.packing import Packed, pack, unpacked
    from fmcore.randomness import generator_for, noise_of
    from fmcore.recipe import Recipe, load_recipe
    from fmcore.reflow import write_pairs
    from fmcore.rescheduled import Rescheduled
    from fmcore.runs.checkpoint import load_into
    from fmcore.solving.problem import Problem, Solution, Stats, Status
    from fmcore.sources import Gaussian
    from fmcore.stages.run import run
    from fmcore.times import logit_normal_times, stratified_times, uniform_times

_LAZY: dict[str, str] = {
    name: module
    for module, names in {
        "fmcore.broadcast": ("from_the_left",),
        "fmcore.field": ("Field", "Predictor"),
        "fmcore.compatibility": ("check_together",),
        "fmcore.guidance": ("Guided",),
        "fmcore.rescheduled": ("Rescheduled",),
        "fmcore.reflow": ("write_pairs",),
        "fmcore.fingerprints": ("image_fingerprint",),
        "fmcore.interfaces.coupling": ("Coupling", "Pairing"),
        "fmcore.interfaces.dataset": ("Dataset", "ImageDataset", "Split"),
        "fmcore.interfaces.metric": ("Evaluation", "Measured", "Metric", "Result"),
        "fmcore.interfaces.model": ("Pretrained", "VectorField"),
        "fmcore.interfaces.objective": ("Objective",),
        "fmcore.interfaces.path": ("AffinePath", "Coefficients", "Path", "PathSample", "Quantity"),
        "fmcore.interfaces.row_metric": ("RowMetric", "Rows"),
        "fmcore.interfaces.schedule": ("SchedulePath",),
        "fmcore.interfaces.solver": ("Solver",),
        "fmcore.interfaces.source": ("Condition", "Source"),
        "fmcore.likelihood": ("LogProb", "log_prob"),
        "fmcore.packing": ("Packed", "pack", "unpacked"),
        "fmcore.randomness": ("generator_for", "noise_of"),
        "fmcore.recipe": ("Recipe", "load_recipe"),
        "fmcore.runs.checkpoint": ("load_into",),
        "fmcore.solving.problem": ("Problem", "Solution", "Stats", "Status"),
        "fmcore.sources": ("Gaussian",),
        "fmcore.times": ("logit_normal_times", "stratified_times", "uniform_times"),
        "fmcore.stages.run": ("run",),
    }.items()
    for name in names
}

__all__ = [
    "AffinePath",
    "CheckpointError",
    "Coefficients",
    "ComponentError",
    "Condition",
    "Coupling",
    "DataError",
    "Dataset",
    "Evaluation",
    "Field",
    "FmcoreError",
    "FmcoreWarning",
    "Gaussian",
    "Guided",
    "ImageDataset",
    "LogProb",
    "Measured",
    "Metric",
    "MissingSplitError",
    "Objective",
    "Packed",
    "Pairing",
    "Path",
    "PathSample",
    "PluginError",
    "Predictor",
    "Pretrained",
    "Problem",
    "Quantity",
    "Recipe",
    "RecipeError",
    "Register",
    "Rescheduled",
    "Result",
    "RowMetric",
    "Rows",
    "RunError",
    "SchedulePath",
    "Solution",
    "Solver",
    "Source",
    "Split",
    "Stats",
    "Status",
    "UserError",
    "VectorField",
    "check_together",
    "create",
    "from_the_left",
    "generator_for",
    "hookimpl",
    "image_fingerprint",
    "load_into",
    "load_recipe",
    "log_prob",
    "logit_normal_times",
    "noise_of",
    "pack",
    "run",
    "stratified_times",
    "uniform_times",
    "unpacked",
    "write_pairs",
]


if not TYPE_CHECKING:  # a checker that saw this would believe in every name

    def __getattr__(name: str) -> Any:
        if name == "__version__":  # of the installed distribution: pyproject.toml is its only place
            return version("fmcore-flow")
        if name not in _LAZY:
            raise AttributeError(f"module 'fmcore' has no attribute '{name}'")
        value = getattr(importlib.import_module(_LAZY[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__

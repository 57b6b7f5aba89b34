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

if TYPE_CHECKING:
    from fmcore.flow.compatibility import check_together
    from fmcore.flow.field import Field
    from fmcore.flow.likelihood import LogProb, log_prob
    from fmcore.flow.reflow import write_pairs
    from fmcore.flow.reschedule import ChangedSchedule
    from fmcore.interfaces.callback import Callback, TrainingView
    from fmcore.interfaces.codec import Codec, Decoded
    from fmcore.interfaces.condition import ConditionReader, ConditionSpec, with_flags, without
    from fmcore.interfaces.coupling import Coupling, Pairing
    from fmcore.interfaces.dataset import Dataset, ImageDataset, Split
    from fmcore.interfaces.extractor import Extractor
    from fmcore.interfaces.field import Predictor
    from fmcore.interfaces.fingerprint import image_fingerprint
    from fmcore.interfaces.gaussian import Gaussian
    from fmcore.interfaces.guidance import Guidance, Guided, GuidedCall, branches
    from fmcore.interfaces.kappa_path import KappaPath
    from fmcore.interfaces.levels import from_levels, to_levels
    from fmcore.interfaces.lr_schedule import LearningRate
    from fmcore.interfaces.metric import Evaluation, Metric, MetricBatch, Result
    from fmcore.interfaces.model import Prepared, Pretrained, VectorField
    from fmcore.interfaces.net import Batch, Net
    from fmcore.interfaces.objective import Objective, Regression
    from fmcore.interfaces.operator import Operator
    from fmcore.interfaces.optimizer import OptimizerFactory
    from fmcore.interfaces.path import AffinePath, Coefficients, Path, PathSample, Quantity
    from fmcore.interfaces.portrait import Portrait
    from fmcore.interfaces.problem import Problem, Solution, Stats, Status
    from fmcore.interfaces.randomness import generator_for, noise_of
    from fmcore.interfaces.row_metric import RowMetric, RowValues
    from fmcore.interfaces.rows import Rows
    from fmcore.interfaces.run_option import RunOption
    from fmcore.interfaces.schedule import SchedulePath
    from fmcore.interfaces.solver import Solver
    from fmcore.interfaces.source import Condition, Source
    from fmcore.interfaces.space import Euclidean, Manifold, Product, Space, Tokens
    from fmcore.interfaces.tensors import append_dims
    from fmcore.interfaces.time import StratifiedTime, Time, UniformTime
    from fmcore.interfaces.time_sampling import stratified_times, uniform_times
    from fmcore.recipe.create import create
    from fmcore.recipe.load import load_recipe
    from fmcore.recipe.recipe import Recipe
    from fmcore.runs.checkpoint import load_into
    from fmcore.stages.opened_run import Run, open_run
    from fmcore.stages.run import evaluate, run, sample

_LAZY: dict[str, str] = {
    name: module
    for module, names in {
        "fmcore.interfaces.tensors": ("append_dims",),
        "fmcore.flow.field": ("Field",),
        "fmcore.interfaces.extractor": ("Extractor",),
        "fmcore.interfaces.field": ("Predictor",),
        "fmcore.flow.compatibility": ("check_together",),
        "fmcore.flow.reschedule": ("ChangedSchedule",),
        "fmcore.flow.reflow": ("write_pairs",),
        "fmcore.interfaces.fingerprint": ("image_fingerprint",),
        "fmcore.interfaces.codec": ("Codec", "Decoded"),
        "fmcore.interfaces.portrait": ("Portrait",),
        "fmcore.interfaces.coupling": ("Coupling", "Pairing"),
        "fmcore.interfaces.dataset": ("Dataset", "ImageDataset", "Split"),
        "fmcore.interfaces.kappa_path": ("KappaPath",),
        "fmcore.interfaces.guidance": ("Guidance", "Guided", "GuidedCall", "branches"),
        "fmcore.interfaces.levels": ("from_levels", "to_levels"),
        "fmcore.interfaces.metric": ("Evaluation", "MetricBatch", "Metric", "Result"),
        "fmcore.interfaces.model": ("Prepared", "Pretrained", "VectorField"),
        "fmcore.interfaces.objective": ("Objective", "Regression"),
        "fmcore.interfaces.net": ("Batch", "Net"),
        "fmcore.interfaces.condition": (
            "ConditionReader",
            "ConditionSpec",
            "with_flags",
            "without",
        ),
        "fmcore.interfaces.operator": ("Operator",),
        "fmcore.interfaces.path": ("AffinePath", "Coefficients", "Path", "PathSample", "Quantity"),
        "fmcore.interfaces.row_metric": ("RowMetric", "RowValues"),
        "fmcore.interfaces.rows": ("Rows",),
        "fmcore.interfaces.run_option": ("RunOption",),
        "fmcore.interfaces.schedule": ("SchedulePath",),
        "fmcore.interfaces.solver": ("Solver",),
        "fmcore.interfaces.source": ("Condition", "Source"),
        "fmcore.interfaces.space": ("Euclidean", "Manifold", "Product", "Space", "Tokens"),
        "fmcore.flow.likelihood": ("LogProb", "log_prob"),
        "fmcore.interfaces.randomness": ("generator_for", "noise_of"),
        "fmcore.recipe.recipe": ("Recipe",),
        "fmcore.recipe.load": ("load_recipe",),
        "fmcore.recipe.create": ("create",),
        "fmcore.runs.checkpoint": ("load_into",),
        "fmcore.interfaces.problem": ("Problem", "Solution", "Stats", "Status"),
        "fmcore.interfaces.gaussian": ("Gaussian",),
        "fmcore.interfaces.callback": ("Callback", "TrainingView"),
        "fmcore.interfaces.lr_schedule": ("LearningRate",),
        "fmcore.interfaces.optimizer": ("OptimizerFactory",),
        "fmcore.interfaces.time": ("StratifiedTime", "Time", "UniformTime"),
        "fmcore.interfaces.time_sampling": ("stratified_times", "uniform_times"),
        "fmcore.stages.opened_run": ("Run", "open_run"),
        "fmcore.stages.run": ("evaluate", "run", "sample"),
    }.items()
    for name in names
}

__all__ = [
    "AffinePath",
    "Batch",
    "Callback",
    "ChangedSchedule",
    "CheckpointError",
    "Codec",
    "Coefficients",
    "ComponentError",
    "Condition",
    "ConditionReader",
    "ConditionSpec",
    "Coupling",
    "DataError",
    "Dataset",
    "Decoded",
    "Euclidean",
    "Evaluation",
    "Extractor",
    "Field",
    "FmcoreError",
    "FmcoreWarning",
    "Gaussian",
    "Guidance",
    "Guided",
    "GuidedCall",
    "ImageDataset",
    "KappaPath",
    "LearningRate",
    "LogProb",
    "Manifold",
    "Metric",
    "MetricBatch",
    "MissingSplitError",
    "Net",
    "Objective",
    "Operator",
    "OptimizerFactory",
    "Pairing",
    "Path",
    "PathSample",
    "PluginError",
    "Portrait",
    "Predictor",
    "Prepared",
    "Pretrained",
    "Problem",
    "Product",
    "Quantity",
    "Recipe",
    "RecipeError",
    "Register",
    "Regression",
    "Result",
    "RowMetric",
    "RowValues",
    "Rows",
    "Run",
    "RunError",
    "RunOption",
    "SchedulePath",
    "Solution",
    "Solver",
    "Source",
    "Space",
    "Split",
    "Stats",
    "Status",
    "StratifiedTime",
    "Time",
    "Tokens",
    "TrainingView",
    "UniformTime",
    "UserError",
    "VectorField",
    "append_dims",
    "branches",
    "check_together",
    "create",
    "evaluate",
    "from_levels",
    "generator_for",
    "hookimpl",
    "image_fingerprint",
    "load_into",
    "load_recipe",
    "log_prob",
    "noise_of",
    "open_run",
    "run",
    "sample",
    "stratified_times",
    "to_levels",
    "uniform_times",
    "with_flags",
    "without",
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

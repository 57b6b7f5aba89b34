"""Create a component by kind and name, its options checked against its constructor.

Imports no YAML: a program that uses components without recipes does not load it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

from fmcore.recipe.schema import prepare_arguments
from fmcore.registry import registry
from fmcore.registry.construct import construct
from fmcore.registry.entry import Entry

if TYPE_CHECKING:
    from fmcore.interfaces.callback import Callback
    from fmcore.interfaces.coupling import Coupling
    from fmcore.interfaces.dataset import Dataset
    from fmcore.interfaces.guidance import Guidance
    from fmcore.interfaces.lr_schedule import LearningRate
    from fmcore.interfaces.metric import Metric
    from fmcore.interfaces.model import VectorField
    from fmcore.interfaces.objective import Objective
    from fmcore.interfaces.operator import Operator
    from fmcore.interfaces.optimizer import OptimizerFactory
    from fmcore.interfaces.path import Path
    from fmcore.interfaces.solver import Solver
    from fmcore.interfaces.source import Source
    from fmcore.interfaces.space import Space
    from fmcore.interfaces.time import Time

__all__ = ["create", "create_from"]


@overload
def create(kind: Literal["path"], name: str, /, **options: Any) -> Path: ...
@overload
def create(kind: Literal["source"], name: str, /, **options: Any) -> Source: ...
@overload
def create(kind: Literal["coupling"], name: str, /, **options: Any) -> Coupling: ...
@overload
def create(kind: Literal["objective"], name: str, /, **options: Any) -> Objective: ...
@overload
def create(kind: Literal["model"], name: str, /, **options: Any) -> VectorField: ...
@overload
def create(kind: Literal["solver"], name: str, /, **options: Any) -> Solver: ...
@overload
def create(kind: Literal["guidance"], name: str, /, **options: Any) -> Guidance: ...
@overload
def create(kind: Literal["operator"], name: str, /, **options: Any) -> Operator: ...
@overload
def create(kind: Literal["metric"], name: str, /, **options: Any) -> Metric: ...
@overload
def create(kind: Literal["data"], name: str, /, **options: Any) -> Dataset: ...
@overload
def create(kind: Literal["time"], name: str, /, **options: Any) -> Time: ...
@overload
def create(kind: Literal["optimizer"], name: str, /, **options: Any) -> OptimizerFactory: ...
@overload
def create(kind: Literal["lr_schedule"], name: str, /, **options: Any) -> LearningRate: ...
@overload
def create(kind: Literal["callback"], name: str, /, **options: Any) -> Callback: ...
@overload
def create(kind: Literal["space"], name: str, /, **options: Any) -> Space: ...
@overload
def create(kind: str, name: str, /, **options: Any) -> Any: ...
def create(kind: str, name: str, /, **options: Any) -> Any:
    """Return a component by kind and name: `create("path", "ot", sigma_min=1e-4)`.

    The kinds are those of `fmcore plugins`.  Raises PluginError for a name that is not installed or
    not loadable, ComponentError for options that the component does not have.
    """
    return create_from(registry().entry(kind, name), options)


def create_from(entry: Entry, options: Mapping[str, Any]) -> Any:
    """Create the component that `entry` registers; components among the options may be names.

    Raises PluginError if the class cannot be loaded, ComponentError if options are unknown, missing
    or invalid.
    """
    arguments = prepare_arguments(entry.load(), options, f"{entry.kind} '{entry.name}'")
    return construct(entry, arguments)

"""Find plugins and look components up by name.  Nothing here imports torch.

A plugin is an entry point of group `fmcore`: a light module of `@hookimpl` functions (see
`fmcore.hookspecs`) that register components by name.  Each is loaded on its own: one that fails is
kept in `registry().failures` and hinders nobody.  A component's class is imported when it is first
used.

`FMCORE_PLUGINS` limits which plugins are loaded (see `fmcore.plugins.discovery`).
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

from fmcore.plugins.construct import construct
from fmcore.plugins.discovery import ALLOW_LIST, Plugin, installed
from fmcore.plugins.entry import Entry
from fmcore.plugins.failure import Failure
from fmcore.plugins.lookup import Registry

if TYPE_CHECKING:
    from fmcore.interfaces.coupling import Coupling
    from fmcore.interfaces.dataset import Dataset
    from fmcore.interfaces.metric import Metric
    from fmcore.interfaces.model import VectorField
    from fmcore.interfaces.objective import Objective
    from fmcore.interfaces.path import Path
    from fmcore.interfaces.solver import Solver
    from fmcore.interfaces.source import Source

__all__ = ["Entry", "Failure", "Plugin", "Registry", "create", "entry_of", "registry"]


@cache
def registry() -> Registry:
    """The registry of this process; plugins are found on the first call."""
    points, failures = installed()
    return Registry(points, os.environ.get(ALLOW_LIST, ""), failures)


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
def create(kind: Literal["metric"], name: str, /, **options: Any) -> Metric: ...
@overload
def create(kind: Literal["data"], name: str, /, **options: Any) -> Dataset: ...
@overload
def create(kind: str, name: str, /, **options: Any) -> Any: ...
def create(kind: str, name: str, /, **options: Any) -> Any:
    """A component by kind and name: `create("path", "ot", sigma_min=1e-4)`.

    Kinds: path, source, coupling, objective, model, solver, metric, data.  Raises PluginError for a
    name that is not installed or not loadable, ComponentError for options that the component does
    not take.
    """
    return construct(registry().entry(kind, name), options)


def entry_of(component: object) -> Entry | None:
    """How `component`, an instance or a class, is registered; None if it is not."""
    return registry().entry_of(component)

"""The hooks that a plugin may implement: one for each kind of component, and one for recipes.

A plugin is a module (or object) whose functions carry `@hookimpl` and one of these names.  Each is
called once with `register`; what it registers is loaded when it is first used.

    from fmcore import hookimpl

    @hookimpl
    def register_paths(register):
        register("mine", "my_package.path:MyPath", summary="what it is, in a line")

`register(name, target, *, summary="", needs=())`: `target` is `"module:Class"` or the class itself;
`needs` lists distributions that must be installed for it to work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pluggy

__all__ = ["Register", "hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("fmcore")
hookimpl = pluggy.HookimplMarker("fmcore")
"""The decorator that marks a function of a plugin as the implementation of a hook."""


class Register(Protocol):
    """What a hook calls for every component it offers."""

    def __call__(
        self, name: str, target: str | type, *, summary: str = "", needs: Sequence[str] = ()
    ) -> None:
        """Offer `target` under `name`."""


@hookspec
def register_paths(register: Register) -> None:
    """Offer probability paths (`fmcore.Path`)."""


@hookspec
def register_sources(register: Register) -> None:
    """Offer sources of x0 (`fmcore.Source`), which a path takes as its `source` option."""


@hookspec
def register_couplings(register: Register) -> None:
    """Offer couplings of noise and data (`fmcore.Coupling`)."""


@hookspec
def register_objectives(register: Register) -> None:
    """Offer training objectives (`fmcore.Objective`)."""


@hookspec
def register_models(register: Register) -> None:
    """Offer networks (`fmcore.VectorField`)."""


@hookspec
def register_solvers(register: Register) -> None:
    """Offer ODE and SDE solvers (`fmcore.Solver`)."""


@hookspec
def register_metrics(register: Register) -> None:
    """Offer metrics (`fmcore.Metric`)."""


@hookspec
def register_datasets(register: Register) -> None:
    """Offer data sets (`fmcore.Dataset`)."""


@hookspec
def register_recipes(register: Register) -> None:
    """Offer recipes: `target` is `"package:folder/file.yaml"`, a file that the package ships."""

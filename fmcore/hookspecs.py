"""The hooks that a plugin may implement: one for each kind of component, and one for recipes.

A plugin is a module (or object) with functions of these names under `@hookimpl`.  Each is called
once with `register`; what it registers is imported on first use.

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
    """The function that a hook calls for each component."""

    def __call__(
        self, name: str, target: str | type, *, summary: str = "", needs: Sequence[str] = ()
    ) -> None:
        """Register `target` as `name`."""


@hookspec
def register_paths(register: Register) -> None:
    """Register probability paths (`fmcore.Path`)."""


@hookspec
def register_sources(register: Register) -> None:
    """Register sources of x0 (`fmcore.Source`), the `source` option of a path."""


@hookspec
def register_couplings(register: Register) -> None:
    """Register couplings of noise and data (`fmcore.Coupling`)."""


@hookspec
def register_objectives(register: Register) -> None:
    """Register training objectives (`fmcore.Objective`)."""


@hookspec
def register_models(register: Register) -> None:
    """Register networks (`fmcore.VectorField`)."""


@hookspec
def register_solvers(register: Register) -> None:
    """Register ODE and SDE solvers (`fmcore.Solver`)."""


@hookspec
def register_guidance(register: Register) -> None:
    """Register guidance of samples (`fmcore.Guidance`)."""


@hookspec
def register_operators(register: Register) -> None:
    """Register operators of measurements (`fmcore.Operator`), an option of posterior guidance."""


@hookspec
def register_metrics(register: Register) -> None:
    """Register metrics (`fmcore.Metric`)."""


@hookspec
def register_datasets(register: Register) -> None:
    """Register datasets (`fmcore.Dataset`)."""


@hookspec
def register_spaces(register: Register) -> None:
    """Register spaces of points (`fmcore.Space`), such as manifolds and tokens."""


@hookspec
def register_times(register: Register) -> None:
    """Register distributions of training times (`fmcore.Time`), the `time` option of an
    objective.
    """


@hookspec
def register_optimizers(register: Register) -> None:
    """Register optimizers (`fmcore.OptimizerFactory`)."""


@hookspec
def register_lr_schedules(register: Register) -> None:
    """Register learning-rate schedules (`fmcore.LearningRate`)."""


@hookspec
def register_callbacks(register: Register) -> None:
    """Register training callbacks (`fmcore.Callback`)."""


@hookspec
def register_codecs(register: Register) -> None:
    """Register codecs (`fmcore.Codec`): autoencoders and vocoders."""


@hookspec
def register_extractors(register: Register) -> None:
    """Register feature extractors (`fmcore.Extractor`), the `extractor` option of metrics."""


@hookspec
def register_recipes(register: Register) -> None:
    """Register recipes: `target` is `"package:folder/file.yaml"`, a file that the package ships."""

"""Read constructor signatures, with their annotations evaluated.

Annotations may be strings (`from __future__ import annotations`) and may use names that the module
imports under `TYPE_CHECKING` only: those are imported here, when they are needed.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

from fmcore.errors import PluginError

__all__ = ["REQUIRED", "Parameter", "read_parameters"]


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()
"""The default of a parameter without one; None is a default."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One argument of a constructor; `default` is REQUIRED where there is none."""

    name: str
    annotation: Any
    default: Any


def read_parameters(target: type) -> list[Parameter]:
    """Return the arguments of `target(...)`, in order.

    Raises PluginError, addressed to the author, for arguments that cannot be options: `*args`,
    `**kwargs`, positional-only ones and ones without annotation.
    """
    owner = next(cls for cls in target.__mro__ if "__init__" in vars(cls))
    if owner is object:
        return []
    # of the class that defines it: its annotations are evaluated in its module
    own = inspect.signature(vars(owner)["__init__"]).parameters.values()
    return [_read_parameter(target, owner, parameter) for parameter in list(own)[1:]]


def _read_parameter(target: type, owner: type, parameter: inspect.Parameter) -> Parameter:
    what = f"{target.__module__}:{target.__qualname__}"
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        raise PluginError(
            f"{what} takes {stars}{parameter.name}, which would swallow misspelt options; "
            "its author has to name every option in the constructor"
        )
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise PluginError(
            f"{what} takes '{parameter.name}' by position only; its author has to let it be named"
        )
    if parameter.annotation is parameter.empty:
        raise PluginError(
            f"{what}: option '{parameter.name}' has no type annotation; its author has to add one, "
            f"as in `{parameter.name}: float = 1.0`"
        )
    annotation = _evaluate(target, owner, parameter)
    return Parameter(parameter.name, annotation, _read_default(owner, parameter))


def _read_default(owner: type, parameter: inspect.Parameter) -> Any:
    for field in dataclasses.fields(owner) if _is_generated(owner) else ():
        if field.name == parameter.name and field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
    return REQUIRED if parameter.default is parameter.empty else parameter.default


def _is_generated(owner: type) -> bool:
    """Return whether `dataclass` wrote `owner.__init__`: bases then add annotations too."""
    made = vars(owner).get("__dataclass_params__")
    return made is not None and bool(made.init)


def _evaluate(target: type, owner: type, parameter: inspect.Parameter) -> Any:
    module: Any = sys.modules.get(owner.__module__)
    written = parameter.annotation
    if _is_generated(owner):
        for base in owner.__mro__:
            own = inspect.get_annotations(base)
            if parameter.name in own:
                module, written = sys.modules.get(base.__module__), own[parameter.name]
                break
    names = dict(vars(module)) if module is not None else {}
    holder = types.SimpleNamespace(__annotations__={parameter.name: written})
    while True:  # once more for each name that only checkers import
        try:
            hints = typing.get_type_hints(
                holder, globalns=names, localns=names, include_extras=True
            )
            found = hints[parameter.name]
            # an InitVar is an argument of the constructor, and its type is inside
            return found.type if isinstance(found, dataclasses.InitVar) else found
        except NameError as error:
            missing = str(error.name)
            if missing in names:  # the name is defined: the error is inside its definition
                raise
            names[missing] = _import_name(missing, module, target, parameter.name)
        except Exception as error:
            raise PluginError(
                f"{target.__module__}:{target.__qualname__}: the annotation of option "
                f"'{parameter.name}', {written!r}, cannot be evaluated: {error}"
            ) from error


def _import_name(name: str, module: Any, target: type, option: str) -> Any:
    """Import what `name` is under a module's TYPE_CHECKING, or else in `fmcore`."""
    for source, attribute in _find_checking_imports(module, name):
        found = importlib.import_module(source)
        return getattr(found, attribute) if attribute else found
    # by its name, since the package imports this module and not the reverse
    face = importlib.import_module("fmcore")
    if name in face.__all__:
        return getattr(face, name)
    raise PluginError(
        f"{target.__module__}:{target.__qualname__}: the annotation of option '{option}' uses the "
        f"name '{name}', which its module does not import"
    )


def _find_checking_imports(module: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield (module, attribute) of the imports of `name` under a module's `if TYPE_CHECKING:`."""
    for statement in _read_checking_statements(module):
        if isinstance(statement, ast.ImportFrom):
            source = "." * statement.level + (statement.module or "")
            if statement.level:
                source = importlib.util.resolve_name(source, module.__package__)
            yield from ((source, a.name) for a in statement.names if (a.asname or a.name) == name)
        elif isinstance(statement, ast.Import):
            yield from ((a.name, "") for a in statement.names if (a.asname or a.name) == name)


def _read_checking_statements(module: Any) -> Iterator[ast.stmt]:
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):  # no source: a frozen or an interactive module
        return
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from node.body

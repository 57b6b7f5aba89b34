"""Constructor signatures with their annotations as types, whatever way the author wrote them.

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

__all__ = ["REQUIRED", "Parameter", "parameters"]


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()
"""Stands where a parameter has no default."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One argument of a constructor; `default` is REQUIRED where there is none."""

    name: str
    annotation: Any
    default: Any


def parameters(target: type) -> list[Parameter]:
    """The arguments of `target(...)`, in order.

    Raises PluginError, addressed to the author, for arguments that cannot be options: `*args`,
    `**kwargs`, positional-only ones and ones without annotation.
    """
    owner = next(cls for cls in target.__mro__ if "__init__" in vars(cls))
    if owner is object:
        return []
    made = inspect.signature(vars(owner)["__init__"]).parameters.values()
    return [_parameter(target, owner, parameter) for parameter in list(made)[1:]]


def _parameter(target: type, owner: type, parameter: inspect.Parameter) -> Parameter:
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
    annotation = _evaluated(target, owner, parameter)
    return Parameter(parameter.name, annotation, _default(owner, parameter))


def _default(owner: type, parameter: inspect.Parameter) -> Any:
    for field in dataclasses.fields(owner) if _is_generated(owner) else ():
        if field.name == parameter.name and field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
    return REQUIRED if parameter.default is parameter.empty else parameter.default


def _is_generated(owner: type) -> bool:
    """Whether `owner.__init__` was written by `dataclass`: annotations are then its bases' too."""
    made = vars(owner).get("__dataclass_params__")
    return made is not None and bool(made.init)


def _evaluated(target: type, owner: type, parameter: inspect.Parameter) -> Any:
    home: Any = sys.modules.get(owner.__module__)
    written = parameter.annotation
    if _is_generated(owner):
        for base in owner.__mro__:
            own = inspect.get_annotations(base)
            if parameter.name in own:
                home, written = sys.modules.get(base.__module__), own[parameter.name]
                break
    names = dict(vars(home)) if home is not None else {}
    holder = types.SimpleNamespace(__annotations__={parameter.name: written})
    while True:
        try:
            hints = typing.get_type_hints(
                holder, globalns=names, localns=names, include_extras=True
            )
            found = hints[parameter.name]
            return found.type if isinstance(found, dataclasses.InitVar) else found
        except NameError as error:
            missing = str(error.name)
            if missing in names:
                raise
            names[missing] = _imported(missing, home, target, parameter.name)
        except Exception as error:
            raise PluginError(
                f"{target.__module__}:{target.__qualname__}: the annotation of option "
                f"'{parameter.name}', {written!r}, cannot be evaluated: {error}"
            ) from error


def _imported(name: str, home: Any, target: type, option: str) -> Any:
    """What `name` means in a module that imports it under TYPE_CHECKING, or else in fmcore."""
    for module, attribute in _checking_imports(home, name):
        found = importlib.import_module(module)
        return getattr(found, attribute) if attribute else found
    face = importlib.import_module("fmcore")  # by name: the face imports this room, not the reverse
    if name in face.__all__:
        return getattr(face, name)
    raise PluginError(
        f"{target.__module__}:{target.__qualname__}: the annotation of option '{option}' uses the "
        f"name '{name}', which its module does not import"
    )


def _checking_imports(home: Any, name: str) -> Iterator[tuple[str, str]]:
    """(module, attribute) of the imports of `name` under `if TYPE_CHECKING:` in a module."""
    for statement in _checking_statements(home):
        if isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            full = (
                importlib.util.resolve_name(module, home.__package__) if statement.level else module
            )
            yield from ((full, a.name) for a in statement.names if (a.asname or a.name) == name)
        elif isinstance(statement, ast.Import):
            yield from ((a.name, "") for a in statement.names if (a.asname or a.name) == name)


def _checking_statements(home: Any) -> Iterator[ast.stmt]:
    try:
        tree = ast.parse(inspect.getsource(home))
    except (
        OSError,
        TypeError,
        SyntaxError,
    ):  # no source at hand: a frozen module, an interactive session
        return
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from node.body

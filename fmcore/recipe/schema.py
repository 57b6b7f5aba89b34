"""The schema of a class, read from its constructor: the only place where options are declared."""

from __future__ import annotations

import collections.abc
import dataclasses
import pathlib
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from fmcore.errors import ComponentError, PluginError
from fmcore.recipe.components import Component, Settings
from fmcore.recipe.containers import Bounded, ListOf, MapOf, OneOf, TupleOf, collect_bounds
from fmcore.recipe.nodes import MappingNode, Mark, from_python
from fmcore.recipe.options import Option, build_options, validate_options
from fmcore.recipe.signatures import read_parameters
from fmcore.recipe.types import Bool, Choice, FilePath, Float, Int, Null, Str, Type, Validation
from fmcore.registry.kinds import KINDS

__all__ = ["check_options", "list_options", "prepare_arguments", "to_type"]

_PYTHON = Mark("Python")


def list_options(target: type, given: Sequence[str] = ()) -> tuple[Option, ...]:
    """Return the options of `target(...)`, in the order of its signature.

    Raises PluginError, addressed to the author, where the signature cannot be a schema: `**kwargs`,
    an argument without a type, or a type that no recipe can write.
    """
    return _list_options(target, tuple(given))  # a list has no hash for the cache


@cache  # a recipe reads the same class several times, and annotations are slow to evaluate
def _list_options(target: type, given: tuple[str, ...]) -> tuple[Option, ...]:
    return tuple(
        Option(
            p.name, p.annotation, to_type(p.annotation, target, p.name), p.default, p.name in given
        )
        for p in read_parameters(target)
    )


def check_options(target: type, options: Mapping[str, Any], what: str) -> list[str]:
    """Return what is wrong with `target(**options)`, one message per error.

    Values may be Python's (components, tuples, pathlib paths) or a recipe's (names, mappings,
    lists).  `what` is how messages call the component: `path 'ot'`.
    """
    return _validate_arguments(target, options, what)[1].diagnostics.messages


def prepare_arguments(target: type, options: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return the arguments for `target(...)`: checked, with components given by name built.

    Raises ComponentError with all messages of `check_options`.
    """
    checked, validation = _validate_arguments(target, options, what)
    if messages := validation.diagnostics.messages:
        raise ComponentError(
            "\n".join(m if m.startswith(what) else f"{what}: {m}" for m in messages)
        )
    return build_options(list_options(target), checked)


def _validate_arguments(
    target: type, given: Mapping[str, Any], what: str
) -> tuple[MappingNode, Validation]:
    # The caller constructs the component anyway, and its constructor has the same defaults.
    validation = Validation(construct=False, defaults=False)
    block = MappingNode(_PYTHON, {k: from_python(v, _PYTHON) for k, v in given.items()})
    checked = validate_options(list_options(target), block, what, "", validation)
    for key in validation.missing:
        validation.diagnostics.add(_PYTHON, f"{what}: {key} must be given")
    return MappingNode(_PYTHON, checked), validation


_SCALARS: dict[Any, Type] = {
    bool: Bool(),
    int: Int(),
    float: Float(),
    str: Str(),
    None: Null(),
    types.NoneType: Null(),
    pathlib.Path: FilePath(),
}

_SUPPORTED = (
    "int, float, bool, str, None, pathlib.Path, Literal, a union of these, list[T], tuple[T, ...], "
    "tuple[T, U], dict[str, T], a dataclass, or an interface of fmcore"
)


def to_type(annotation: Any, target: type, option: str) -> Type:
    """Return the type of `target`'s argument `option` with this annotation.

    Raises PluginError, addressed to the author, for annotations that a recipe has no values for.
    """
    found = _to_type(annotation)
    if found is None:
        raise PluginError(
            f"{target.__module__}:{target.__qualname__}: option '{option}' has the type "
            f"{_display(annotation)}, which a recipe cannot write; its author has to use "
            f"{_SUPPORTED}"
        )
    return found


def _to_type(annotation: Any) -> Type | None:
    try:
        if annotation in _SCALARS:
            return _SCALARS[annotation]
    except TypeError:  # unhashable, as `x: []`: not a type
        return None
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        return _from_class(annotation)
    if origin is Literal:
        return Choice(arguments)
    if origin is Annotated:
        inner, bounds = _to_type(arguments[0]), collect_bounds(arguments[1:])
        return Bounded(inner, bounds) if inner and bounds else inner
    return _to_container(origin, arguments)


def _to_container(origin: Any, arguments: tuple[Any, ...]) -> Type | None:
    if origin in (dict, collections.abc.Mapping):
        value = _to_type(arguments[1])
        return MapOf(value) if value and arguments[0] is str else None  # YAML keys are text
    parts = [_to_type(a) for a in arguments if a is not Ellipsis]  # of tuple[T, ...]
    known = tuple(part for part in parts if part is not None)
    if len(known) < len(parts) or not known:
        return None
    if origin in (Union, types.UnionType):
        return OneOf(known)
    if origin is list:
        return ListOf(known[0])
    if origin is tuple:
        return ListOf(known[0], tuple) if arguments[-1] is Ellipsis else TupleOf(known)
    return ListOf(known[0], tuple) if origin is collections.abc.Sequence else None


def _from_class(annotation: Any) -> Type | None:
    if isinstance(annotation, typing.NewType):
        return _to_type(annotation.__supertype__)
    if type(annotation).__name__ == "TypeAliasType":  # `type X = ...`, a class of Python 3.12
        return _to_type(annotation.__value__)
    if not isinstance(annotation, type):
        return None
    if getattr(annotation, "kind", None) in KINDS:
        return Component(annotation, list_options)
    return Settings(annotation, list_options) if dataclasses.is_dataclass(annotation) else None


def _display(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)

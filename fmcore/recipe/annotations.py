"""The type of an option from the annotation of a constructor argument."""

from __future__ import annotations

import collections.abc
import dataclasses
import pathlib
import types
import typing
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from fmcore.errors import PluginError
from fmcore.kinds import KINDS
from fmcore.recipe.containers import Bounded, ListOf, MapOf, OneOf, TupleOf, bounds_of
from fmcore.recipe.scalars import Choice, FilePath, Flag, Null, Number, Text, Whole
from fmcore.recipe.types import Type

__all__ = ["type_of"]

_SCALARS: dict[Any, Type] = {
    bool: Flag(),
    int: Whole(),
    float: Number(),
    str: Text(),
    None: Null(),
    types.NoneType: Null(),
    pathlib.Path: FilePath(),
}
_SUPPORTED = (
    "int, float, bool, str, None, pathlib.Path, Literal, a union of these, list[T], tuple[T, ...], "
    "tuple[T, U], dict[str, T], a dataclass, or an interface of fmcore"
)


def type_of(annotation: Any, target: type, option: str) -> Type:
    """The type behind an annotation of `target`'s argument `option`.

    Raises PluginError, addressed to the author, for annotations that a recipe has no values for.
    """
    found = _type_of(annotation)
    if found is None:
        raise PluginError(
            f"{target.__module__}:{target.__qualname__}: option '{option}' has the type "
            f"{_named(annotation)}, which a recipe cannot write; its author has to use {_SUPPORTED}"
        )
    return found


def _type_of(annotation: Any) -> Type | None:
    try:
        if annotation in _SCALARS:
            return _SCALARS[annotation]
    except TypeError:  # unhashable: no type at all
        return None
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        return _class(annotation)
    if origin is Literal:
        return Choice(arguments)
    if origin is Annotated:
        inner, bounds = _type_of(arguments[0]), bounds_of(arguments[1:])
        return Bounded(inner, bounds) if inner and bounds else inner
    return _container(origin, arguments)


def _container(origin: Any, arguments: tuple[Any, ...]) -> Type | None:
    if origin in (dict, collections.abc.Mapping):
        value = _type_of(arguments[1])
        return MapOf(value) if value and arguments[0] is str else None
    parts = [_type_of(a) for a in arguments if a is not Ellipsis]
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


def _class(annotation: Any) -> Type | None:
    from fmcore.recipe.components import Component, Settings

    if isinstance(annotation, typing.NewType):
        return _type_of(annotation.__supertype__)
    if type(annotation).__name__ == "TypeAliasType":  # `type X = ...` of Python 3.12
        return _type_of(annotation.__value__)
    if not isinstance(annotation, type):
        return None
    if getattr(annotation, "kind", None) in KINDS:
        return Component(annotation)
    return Settings(annotation) if dataclasses.is_dataclass(annotation) else None


def _named(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)

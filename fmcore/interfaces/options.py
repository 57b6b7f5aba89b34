"""Validation of a component's options against their annotations, when it is constructed.

    sigma_min: Annotated[float, Ge(0), Lt(1)] = 1e-4
    time: Literal["uniform", "stratified"] = "uniform"

Recipes validate against the same annotations.  Imports no torch.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import annotated_types

from fmcore.errors import ComponentError, did_you_mean

__all__ = ["COMPARISONS", "Options", "require_choice"]

COMPARISONS: dict[type, tuple[str, str, Callable[[Any, Any], bool]]] = {
    annotated_types.Ge: ("ge", ">=", operator.ge),
    annotated_types.Gt: ("gt", ">", operator.gt),
    annotated_types.Le: ("le", "<=", operator.le),
    annotated_types.Lt: ("lt", "<", operator.lt),
}
"""The attribute that holds the bound, its sign in messages and its comparison, by annotation."""


class Options:
    """Base class of dataclasses whose constructor checks declared ranges and choices.

    Raises ComponentError for a value outside them and for a number that is not finite.  A subclass
    with further checks calls `super().__post_init__()` first.
    """

    def __post_init__(self) -> None:
        if not dataclasses.is_dataclass(self):
            return
        hints = get_type_hints(type(self), include_extras=True)
        for option in dataclasses.fields(self):
            if option.init:
                _check(type(self).__name__, option.name, getattr(self, option.name), hints)


def _check(component: str, name: str, value: Any, hints: dict[str, Any]) -> None:
    hint = _without_none(hints[name])
    if value is None and hint is not hints[name]:
        return
    if get_origin(hint) is Literal and value not in get_args(hint):
        choices = ", ".join(map(str, get_args(hint)))
        raise ComponentError(
            f"{component}: {name} must be one of {choices}; got {value!r}"
            + did_you_mean(str(value), map(str, get_args(hint)))
        )
    if isinstance(hint, type) and isinstance(getattr(hint, "kind", None), str):
        if not isinstance(value, hint) and value is not None:
            raise ComponentError(
                f"{component}: {name} must be a {hint.__name__}, got {value!r}: fmcore.create "
                "takes components by name"
            )
        return
    if get_origin(hint) is not Annotated or not isinstance(value, (int, float)):
        return
    if not math.isfinite(value):
        raise ComponentError(f"{component}: {name} must be a finite number, got {value}")
    if get_args(hint)[0] is int and not isinstance(value, int):
        raise ComponentError(f"{component}: {name} must be an integer, got {value}")
    for rule in hint.__metadata__:
        if type(rule) in COMPARISONS:
            attribute, sign, holds = COMPARISONS[type(rule)]
            bound = getattr(rule, attribute)
            if not holds(value, bound):
                raise ComponentError(f"{component}: {name} must be {sign} {bound}, got {value}")


def require_choice(what: str, value: Any, literal: Any) -> None:
    """Raise ComponentError unless `value` is one of the Literal type `literal`."""
    words = get_args(literal)
    if value not in words:
        known = " or ".join([", ".join(map(repr, words[:-1])), repr(words[-1])])
        raise ComponentError(
            f"{what} must be {known}, got {value!r}{did_you_mean(str(value), words)}"
        )


def _without_none(hint: Any) -> Any:
    """Return X for a hint `X | None`, whose range holds for every other value than None."""
    choices = [choice for choice in get_args(hint) if choice is not type(None)]
    optional = get_origin(hint) in (Union, UnionType) and len(choices) == 1
    return choices[0] if optional else hint

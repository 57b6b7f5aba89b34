"""Checks of a component's constructor and options, shared by several suites."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from fmcore.recipe.create import create
from fmcore.recipe.schema import prepare_arguments
from fmcore.registry import entry_of
from fmcore.registry.kinds import KINDS
from fmcore.testing.checks import require

__all__ = ["ComponentChecks"]

UNKNOWN = "no_such_option"


class ComponentChecks:
    """Checks of the constructor of a component that is a frozen dataclass; the suite sets
    `interface`.
    """

    interface: type

    def component(self) -> Any:
        """Return the component to test."""
        raise NotImplementedError

    def test_is_a_frozen_dataclass_of_its_interface(self) -> None:
        """A component derives from its interface and is immutable."""
        component = self.component()
        name = type(component).__name__
        wanted = self.interface.__name__
        require(isinstance(component, self.interface), f"{name} is not a {wanted}")
        parameters = getattr(type(component), "__dataclass_params__", None)
        require(
            parameters is not None and parameters.frozen,
            f"{name} must be decorated with @dataclass(frozen=True): its fields are its options",
        )

    def test_options_are_closed_and_typed(self) -> None:
        """The constructor declares every option with its type; a misspelt option is an error."""
        cls = type(self.component())
        for option in inspect.signature(cls).parameters.values():
            require(
                option.kind not in (option.VAR_POSITIONAL, option.VAR_KEYWORD),
                f"{cls.__name__}(...) takes *{option.name}, which accepts misspelt options",
            )
            require(
                option.annotation is not option.empty,
                f"option '{option.name}' of {cls.__name__} has no type annotation",
            )

    def test_round_trip_through_a_recipe(self) -> None:
        """A component built from its own options, as a recipe stores them, is equal to it."""
        component = self.component()
        again = _rebuilt(component)
        require(
            again == component,
            f"built again from its own options, {component} is {again}: an option is not stored "
            "under its own name, or is changed",
        )


def _rebuilt(component: Any) -> Any:
    """Return the component that a recipe with the same options builds."""
    entry = entry_of(component)
    if entry is None:  # a class under test that no plugin registers
        cls = type(component)
        return cls(**prepare_arguments(cls, _options(component), cls.__name__))
    return create(entry.kind, entry.qualified, **_options(component))


def _options(component: Any) -> dict[str, Any]:
    options = {}
    for name, option in inspect.signature(type(component)).parameters.items():
        if option.kind in (option.VAR_POSITIONAL, option.VAR_KEYWORD):
            continue
        require(
            hasattr(component, name),
            f"{type(component).__name__} has no attribute '{name}', so that a recipe cannot store "
            "its options",
        )
        options[name] = _plain(getattr(component, name))
    return options


def _plain(value: Any) -> Any:
    """Return nested components as mappings, if a recipe can name them."""
    if getattr(type(value), "kind", None) not in KINDS or not dataclasses.is_dataclass(value):
        return value
    entry = entry_of(value)
    return value if entry is None else {"name": entry.qualified, **_options(value)}

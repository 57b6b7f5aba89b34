"""The bounds of a recipe's `expect:` section, asked of what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fmcore.errors import ExpectationError
from fmcore.recipe.sections import Bound
from fmcore.stages.components import Components

__all__ = ["check_expectations"]


def check_expectations(components: Components, results: Mapping[str, Any]) -> None:
    """Raise ExpectationError naming every result outside the recipe's `expect:` bounds."""
    missed = [
        line
        for name, bound in components.expect.items()
        for line in _missed(name, bound, results.get(name))
    ]
    if missed:
        raise ExpectationError("expected otherwise:\n  " + "\n  ".join(missed))


def _missed(name: str, bound: Bound, result: Mapping[str, Any] | None) -> Iterator[str]:
    if result is None:
        yield f"{name}: expected a value, but it was not measured"
        return
    value = float(result["value"])
    if bound.min is not None and not value >= bound.min:
        yield f"{name} = {value:.6g}, expected at least {bound.min}"
    if bound.max is not None and not value <= bound.max:
        yield f"{name} = {value:.6g}, expected at most {bound.max}"

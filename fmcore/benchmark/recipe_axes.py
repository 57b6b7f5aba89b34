"""The axes of a recipe's benchmark: its keys, and solvers for the networks that it trains."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from fmcore.benchmark.axes import ComponentSpec
from fmcore.errors import FmcoreError, RecipeError, did_you_mean
from fmcore.recipe.nodes import SequenceNode, to_python, walk
from fmcore.recipe.overrides import parse_value
from fmcore.recipe.recipe import Recipe
from fmcore.recipe.schema import list_options
from fmcore.recipe.sections import Sections
from fmcore.recipe.typed_words import require_whole

__all__ = ["Combination", "RecipeAxes", "read_recipe_axes"]

SOLVER_AXES: Final = ("solver", "grid", "nfe", "tol", "samples", "batch", "dtype", "metrics")
"""Axes of the solvers that are measured on each trained network."""

CLOSED_FORM_ONLY: Final = ("problem", "dim")


@final
@dataclass(frozen=True)
class Combination:
    """One value of every key; `labels` holds the values of the varied keys as text."""

    overrides: tuple[str, ...]
    labels: Mapping[str, str]

    def __str__(self) -> str:
        return ", ".join(f"{key}={value}" for key, value in self.labels.items()) or "as written"


@final
@dataclass(frozen=True)
class RecipeAxes:
    """The values of each recipe key, and in `solving` the axes of solvers as typed."""

    keys: Mapping[str, Sequence[Any]]
    solving: Sequence[str]

    @property
    def varied(self) -> list[str]:
        """The keys with several values, in the order typed."""
        return [key for key, values in self.keys.items() if len(values) > 1]

    def combinations(self) -> list[Combination]:
        """Return the product of the values of all keys; the last key varies fastest."""
        found = []
        for values in itertools.product(*self.keys.values()):
            chosen = dict(zip(self.keys, values, strict=True))
            found.append(
                Combination(
                    tuple(f"{key}={json.dumps(value)}" for key, value in chosen.items()),
                    {key: _label(chosen[key]) for key in self.varied},
                )
            )
        return found


def read_recipe_axes(given: Iterable[str], recipe: Recipe) -> RecipeAxes:
    """Parse `key=value,value`, where a key is one of the recipe or an axis of solvers.

    `path` and `seed` are recipe keys here.  Raises RecipeError with every fault at once.
    """
    given = list(given)
    require_whole(given)
    faults: list[str] = []
    keys: dict[str, list[Any]] = {}
    solving: list[str] = []
    for text in given:
        key, equals, values = text.partition("=")
        fault = _fault(text, key if equals else "", keys, recipe)
        if fault:
            faults.append(fault)
        elif key in SOLVER_AXES:
            solving.append(text)
        else:
            try:
                keys[key] = _values(values)
            except FmcoreError as error:
                faults.append(f"command line: {key}: {error}")
    if solving and any(key.startswith("sample.solver") for key in keys):
        faults.append(
            "command line: 'sample.solver' and "
            f"'{solving[0].partition('=')[0]}' both choose solvers: sample.solver=a,b draws and "
            "evaluates samples of each network with a and with b; solver=a,b measures their errors "
            "and times from the same noise: remove one of them"
        )
    if faults:
        raise RecipeError(faults)
    return RecipeAxes(keys, solving)


def _fault(text: str, key: str, before: Mapping[str, Any], recipe: Recipe) -> str:
    """Return what is wrong with an argument; empty if nothing is."""
    sections = [option.name for option in list_options(Sections)]
    if not key:
        return f"command line: '{text[:60]}' is not of the form key=value,value, as in path=ot,vp"
    if key in before:
        return f"command line: '{key}' is given twice; separate its values by commas"
    if key in CLOSED_FORM_ONLY:
        return (
            f"command line: '{key}' is an axis of `fmcore benchmark closed-form`, not of a recipe"
        )
    if key in SOLVER_AXES or key.partition(".")[0] in sections:
        return ""
    known = [path for path, _ in walk(recipe.completed)]
    same = [path for path in known if path.rpartition(".")[2] == key]
    hint = f"; did you mean '{same[0]}'?" if same else did_you_mean(key, [*known, *SOLVER_AXES])
    return (
        f"command line: no axis '{key[:60]}'{hint or ';'} a recipe's axes are its keys, as in "
        f"path, train.lr, and, for solvers on its networks: {', '.join(SOLVER_AXES)}"
    )


def _values(text: str) -> list[Any]:
    """Return the values between commas; `{...}` and `[...]` are one value each."""
    node = parse_value(f"[{text}]")
    values: list[Any] = to_python(node) if isinstance(node, SequenceNode) else []
    if not values:
        raise RecipeError(f"cannot read '{text[:60]}': give values separated by commas")
    return values


def _label(value: Any) -> str:
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return str(
            ComponentSpec("", value["name"], {k: v for k, v in value.items() if k != "name"})
        )
    return value if isinstance(value, str) else json.dumps(value)

"""The axes of a benchmark, parsed from `key=value,value` of the command line."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final, get_args

from fmcore.errors import FmcoreError, FmcoreWarning, RecipeError, did_you_mean
from fmcore.recipe.create import create
from fmcore.recipe.nodes import SequenceNode, to_python
from fmcore.recipe.overrides import parse_value
from fmcore.recipe.schema import list_options
from fmcore.recipe.typed_words import require_whole
from fmcore.registry import registry
from fmcore.solving.fixed.grids import GridName

__all__ = ["DTYPES", "PROBLEMS", "Axes", "ComponentSpec", "Grid", "read_axes"]

PROBLEMS: Final = ("gaussian", "eight_gaussians", "stiff_mix")
DTYPES: Final = ("float32", "float64")
SOLVERS: Final = ("euler", "midpoint", "heun2", "rk4", "dpmpp_2m", "unipc", "dopri5")
BASELINE: Final = "torchdiffeq:dopri5"

Grid = str | tuple[float, ...]

_SOLVER_OPTIONS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "nfe": ("nfe", frozenset({"nfe", "steps"})),
    "tol": ("rtol", frozenset({"rtol", "atol"})),
    "grid": ("grid", frozenset({"grid"})),
}
"""By axis: the option that a solver needs for it, and the options that fix its value."""

_IGNORED: Final[Mapping[str, str]] = {
    "nfe": "it is the budget of fixed solvers that have none of their own; for adaptive solvers "
    "set the tolerance, as in tol=1e-5",
    "tol": "it is the tolerance of adaptive solvers that have none of their own; for fixed solvers "
    "set the budget, as in nfe=16",
    "grid": "it is the time grid of fixed solvers that have none of their own",
}


@final
@dataclass(frozen=True)
class ComponentSpec:
    """A component's kind, name and options."""

    kind: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        given = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name}({given})" if given else self.name

    def accepts(self, option: str) -> bool:
        """Return whether the component's class has this option."""
        target = registry().entry(self.kind, self.name).load()
        return any(known.name == option for known in list_options(target))

    def takes(self, axis: str) -> bool:
        """Return whether `axis` (nfe, tol or grid) varies this solver: its class has the option,
        and `options` does not fix it.
        """
        option, fixed_by = _SOLVER_OPTIONS[axis]
        return self.accepts(option) and not self.options.keys() & fixed_by

    def make(self, **more: Any) -> Any:
        """Create the component, with the options `more` too.  Raises ComponentError."""
        return create(self.kind, self.name, **self.options, **more)

    def check(self) -> None:
        """Raise FmcoreError for an unknown name or wrong options; the budget may still be open."""
        needs_budget = not self.options.keys() & {"nfe", "steps"} and self.accepts("steps")
        explicit_grid = isinstance(self.options.get("grid"), list)
        # one step, since the default budget may be too small for the solver's stages
        self.make(**({"steps": 1} if needs_budget and not explicit_grid else {}))


@final
@dataclass(frozen=True)
class Axes:
    """The values of every axis; a cell of the benchmark is one value of each.

    An empty `path` is the path of the run.  `batch` 0 solves all samples at once.
    """

    problem: Sequence[str] = ("eight_gaussians",)
    dim: Sequence[int] = (2,)
    path: Sequence[ComponentSpec] = ()
    solver: Sequence[ComponentSpec] = tuple(
        ComponentSpec("solver", name) for name in (*SOLVERS, BASELINE)
    )
    grid: Sequence[Grid] = ("auto",)
    nfe: Sequence[int] = (4, 8, 16, 32, 64)
    tol: Sequence[float] = (1e-5,)
    seed: Sequence[int] = (0,)
    samples: Sequence[int] = (64,)
    batch: Sequence[int] = (0,)
    dtype: Sequence[str] = ("float64",)
    metrics: Sequence[ComponentSpec] = ()


def read_axes(given: Iterable[str], defaults: Axes | None = None, leave_out: str = "") -> Axes:
    """Return `defaults` with the axes in `given` replaced; axes named in `leave_out` are refused.

    Raises RecipeError with every fault at once.  Warns of an axis that none of the solvers takes.
    """
    given = list(given)
    require_whole(given)
    faults: list[str] = []
    found: dict[str, Any] = {}
    known = [axis for axis in _READERS if axis not in leave_out.split()]
    for text in given:
        axis, equals, values = text.partition("=")
        if not equals or axis not in known:
            faults.append(_unknown(text, axis if equals else "", known))
            continue
        try:
            found[axis] = tuple(_READERS[axis](value) for value in _values(axis, values))
        except FmcoreError as error:
            faults += [f"command line: {axis}: {line}" for line in str(error).splitlines()]
    if faults:
        raise RecipeError(faults)
    start = Axes() if defaults is None else defaults
    axes = Axes(**{**{axis: getattr(start, axis) for axis in _READERS}, **found})
    _warn_of_ignored(axes, found)
    return axes


def _warn_of_ignored(axes: Axes, given: Mapping[str, Sequence[Any]]) -> None:
    for axis, why in _IGNORED.items():
        if axis in given and not any(solver.takes(axis) for solver in axes.solver):
            values = ",".join(str(value) for value in given[axis])
            solvers = ", ".join(str(solver) for solver in axes.solver)
            warnings.warn(
                f"{axis}={values} is ignored by {solvers}: {why}", FmcoreWarning, stacklevel=3
            )


def _unknown(text: str, axis: str, known: Sequence[str]) -> str:
    if not axis:
        return f"command line: '{text[:60]}' is not of the form axis=value,value, as in nfe=8,16"
    hint = did_you_mean(axis, known) or ";"
    return f"command line: no axis '{axis[:60]}'{hint} axes: {', '.join(known)}"


def _values(axis: str, text: str) -> list[Any]:
    """Return the values between commas; `{...}` and `[...]` are read as YAML."""
    node = parse_value(f"[{text}]")
    values: list[Any] = to_python(node) if isinstance(node, SequenceNode) else []
    if len(values) == 1 and isinstance(values[0], list) and axis != "grid":
        values = values[0]  # nfe=[4,8] means nfe=4,8
    if not values:
        raise RecipeError(f"cannot read '{text[:60]}': give values separated by commas")
    return values


def _component(kind: str) -> Callable[[Any], ComponentSpec]:
    def read(value: Any) -> ComponentSpec:
        options = dict(value) if isinstance(value, Mapping) else {"name": value}
        name = options.pop("name", None)
        if not isinstance(name, str):
            raise RecipeError(f"expected a {kind}'s name, or {{name: ..., option: ...}}")
        chosen = ComponentSpec(kind, name, options)
        chosen.check()
        return chosen

    return read


def _one_of(choices: Sequence[str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            hint = did_you_mean(str(value), choices) or ";"
            raise RecipeError(f"no '{value}'{hint} choices: {', '.join(choices)}")
        return str(value)

    return read


def _grid(value: Any) -> Grid:
    if isinstance(value, list):
        return tuple(_number(time) for time in value)
    return _one_of(get_args(GridName))(value)


def _whole(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise RecipeError(f"expected whole numbers from {least} on, got '{value}'")
        return value

    return read


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RecipeError(f"expected numbers, got '{value}'")
    return float(value)


def _tolerance(value: Any) -> float:
    number = _number(value)
    if not 0 < number < 1:
        raise RecipeError(f"expected tolerances between 0 and 1, got {number}")
    return number


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "problem": _one_of(PROBLEMS),
    "dim": _whole(1),
    "path": _component("path"),
    "solver": _component("solver"),
    "grid": _grid,
    "nfe": _whole(1),
    "tol": _tolerance,
    "seed": _whole(0),
    "samples": _whole(1),
    "batch": _whole(1),
    "dtype": _one_of(DTYPES),
    "metrics": _component("metric"),
}

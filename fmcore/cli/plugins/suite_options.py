"""What `fmcore plugins check` takes for the suite: shapes, conditions and pairs of points."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fmcore.errors import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from fmcore.interfaces.condition import ConditionSpec
    from fmcore.testing import Suite

__all__ = ["conditions_option", "pairs_option", "set_up", "shape_option"]

DTYPES = ("float32", "int64", "bool")
MOST = 2**24
"""The most numbers of a row: a longer one is a typing error."""


def _shape(text: str, option: str) -> tuple[int, ...]:
    parts = text.strip("[]() ").split(",")
    if not all(re.fullmatch(r" *[1-9][0-9]{0,7} *", part) for part in parts):
        raise click.BadParameter(
            f"expected sizes such as 3,32,32, got {text!r}", param_hint=f"'{option}'"
        )
    sizes = tuple(int(part) for part in parts)
    count = math.prod(sizes)
    if count > MOST:
        raise click.BadParameter(
            f"{text} is {count:,} numbers a row; at most {MOST:,}", param_hint=f"'{option}'"
        )
    return sizes


def _parsed_shape(
    ctx: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[int, ...] | None:
    return None if text is None else _shape(text, "--shape")


def _parsed_conditions(
    ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> dict[str, ConditionSpec | int]:
    """Return the declarations by name; for the label its number of classes."""
    found: dict[str, ConditionSpec | int] = {}
    for text in texts:
        name, equals, form = text.partition("=")
        if not (name and equals and form):
            raise click.BadParameter(
                f"expected NAME=SHAPE[:TYPE][:droppable], such as text=16:int64, got {text!r}"
            )
        if name in found:
            raise click.BadParameter(f"'{name}' is given twice")
        found[name] = _declaration(name, form)
    return found


def _declaration(name: str, form: str) -> ConditionSpec | int:
    from fmcore.errors import ComponentError
    from fmcore.interfaces.condition import ConditionSpec

    sizes, *words = form.split(":")
    shape = _shape(sizes, "--condition")
    if name == "label":
        if words or len(shape) > 1:
            raise click.BadParameter(
                f"label=CLASSES takes the number of classes alone, got label={form}"
            )
        return shape[0]
    for word in words:
        known = (*DTYPES, "droppable")
        if word not in known:
            hint = did_you_mean(word, known) or f"; known: {', '.join(known)}"
            raise click.BadParameter(f"{name}: no type '{word}'{hint}")
    types = [word for word in words if word in DTYPES]
    try:
        return ConditionSpec(
            shape,
            types[0] if types else "float32",  # type: ignore[arg-type]  # one of DTYPES
            droppable="droppable" in words,
        )
    except ComponentError as error:
        raise click.BadParameter(f"{name}: {error}") from error


shape_option = click.option(
    "--shape",
    metavar="SIZES",
    callback=_parsed_shape,
    help="Shape of one row for the suite of a model or a source, such as 3,32,32.",
)
conditions_option = click.option(
    "--condition",
    "conditions",
    metavar="NAME=SHAPE[:TYPE][:droppable]",
    multiple=True,
    callback=_parsed_conditions,
    help="Condition of the data for the suite of a model or a source, such as text=16:int64; "
    "label=10 for ten classes.  May be given more than once.",
)
pairs_option = click.option(
    "--pairs",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Safetensors file of x0 and x1 (as written by fmcore.write_pairs) for the suite of a path "
    "or a coupling, instead of random points.",
)


def set_up(
    suite: Suite,
    kind: str,
    shape: tuple[int, ...] | None,
    conditions: Mapping[str, ConditionSpec | int],
    pairs: Path | None,
) -> None:
    """Give the suite of `kind` its shape, conditions and pairs.

    Raises UsageError for what the suite does not use.
    """
    made: Any = suite
    for option, value, kinds in (
        ("--shape", shape, ("model", "source")),
        ("--condition", conditions, ("model", "source")),
        ("--pairs", pairs, ("path", "coupling")),
    ):
        if value and kind not in kinds:
            raise click.UsageError(
                f"{option} is for a {' or a '.join(kinds)}, and this is a {kind}: leave it out"
            )
    if shape is not None:
        made.shape = shape
    declared = {name: spec for name, spec in conditions.items() if not isinstance(spec, int)}
    if kind == "model":
        made.entries = {**made.entries, **declared}
        made.classes = conditions.get("label", made.classes)
    elif conditions:
        made.condition = _condition_of(declared, conditions.get("label"))
    if pairs is not None:
        made.pairs = _pairs_of(pairs)


def _condition_of(entries: Mapping[str, ConditionSpec], classes: Any) -> Callable[..., Any]:
    from fmcore.testing.conditions import random_condition

    def condition(n: int, shape: tuple[int, ...]) -> dict[str, Tensor]:
        import torch

        label = {} if classes is None else {"label": torch.arange(n) % classes}
        return label | random_condition(entries, n)

    return condition


def _pairs_of(file: Path) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return a function that gives rows of the file, or its numbers in rows of another shape."""
    tensors = _read(file)
    x0, x1 = (tensors[name].double() for name in ("x0", "x1"))

    def pairs(n: int, shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
        if x0.shape[1:] == shape:
            found = x0[seed * n :][:n], x1[seed * n :][:n]
        else:
            found = _reshaped(x0, n, shape, seed), _reshaped(x1, n, shape, seed)
        if len(found[0]) < n:
            raise AssertionError(
                f"the check needs rows {seed * n} to {(seed + 1) * n} of shape {shape}; {file} "
                f"holds {len(x0)} pairs of shape {tuple(x0.shape[1:])}"
            )
        return found

    return pairs


def _reshaped(x: Tensor, n: int, shape: tuple[int, ...], seed: int) -> Tensor:
    size = math.prod(shape)
    numbers = x.flatten()[seed * n * size :][: n * size]
    return numbers[: len(numbers) // size * size].view(-1, *shape)


def _read(file: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    if not file.is_file():
        raise click.UsageError(f"--pairs: no file {file}")
    try:
        tensors = load_file(file)
    except Exception as error:  # many types, for a corrupt header or a dtype unknown to torch
        raise click.UsageError(f"--pairs: {file} is not a safetensors file: {error}") from error
    if not {"x0", "x1"} <= tensors.keys():
        held = ", ".join(sorted(tensors)) or "nothing"
        raise click.UsageError(f"--pairs: {file} must hold x0 and x1; it holds {held}")
    if tensors["x0"].shape != tensors["x1"].shape or not tensors["x0"].is_floating_point():
        raise click.UsageError(
            f"--pairs: x0 and x1 of {file} must be floating-point numbers of one shape"
        )
    return tensors

"""Conditions: their declarations, and their null values in dropout and guidance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError, did_you_mean
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.source import NULL_CLASS, Condition
from fmcore.interfaces.space import Manifold, Space

__all__ = [
    "PRESENT",
    "ConditionReader",
    "ConditionSpec",
    "dropped",
    "encoded",
    "learned",
    "null_rows",
    "with_flags",
    "without",
]

PRESENT = "present/"
"""Prefix of the flag, `(batch,)` bool, of the rows in which a droppable entry is given."""


@final
@dataclass(frozen=True)
class ConditionSpec:
    """The declaration of one entry of a dataset's conditions.

    `shape` is that of one row.  A `droppable` entry has a null value, which training can use in
    some rows and guidance in its weak branch: -1 for `int64`, 0 with a flag for `float32`.  A
    `record` is kept with the samples for metrics and pictures: no component has to read it.
    """

    shape: tuple[int, ...]
    dtype: Literal["float32", "int64", "bool"] = "float32"
    droppable: bool = False
    record: bool = False

    def __post_init__(self) -> None:
        if self.droppable and self.dtype == "bool":
            raise ComponentError("a bool entry has no null value: declare it as float32 or int64")

    @property
    def has_flag(self) -> bool:
        """Whether `present/NAME` flags the rows in which the entry is given."""
        return self.droppable and self.dtype == "float32"

    @property
    def size(self) -> int:
        """The number of values of one row."""
        return math.prod(self.shape)


def learned(condition: Condition | None, space: Space) -> Tensor | None:
    """Return 1 at the elements that a loss counts, broadcastable to x; None where it counts all.

    They exist by `mask`, and are not `frozen`.  On a manifold, 1 for each point.
    """
    given = {} if condition is None else condition
    mask, frozen = given.get("mask"), given.get("frozen")
    if frozen is not None:
        mask = (~frozen).float() if mask is None else mask * ~frozen
    if mask is None or not isinstance(space, Manifold) or not space.point:
        return mask
    return mask.amax(tuple(range(-len(space.point), 0)))


class ConditionReader:
    """What reads conditions while samples are drawn: a guidance, or a solver of posteriors.

    `reads` names them.  `entries` declares those that the data need not have: a user gives them by
    `encode`, or they are made from data points by `measure`.
    """

    @property
    def reads(self) -> frozenset[str]:
        """The entries of the raw condition that it needs in every row."""
        return frozenset()

    def entries(self, shape: tuple[int, ...]) -> Mapping[str, ConditionSpec]:
        """Return the declarations of entries of its own, for data points of `shape`.

        Raises ComponentError for a shape that it cannot work on.
        """
        return {}

    def encode(self, given: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Tensor]:
        """Turn the values that a user gives for `entries` into entries, `(1, *shape)` each.

        By default the values are numbers, nested lists or tensors.  Raises ComponentError for a
        name that is not in `entries`, and for values that do not fit.
        """
        entries, found = self.entries(shape), {}
        for name, value in given.items():
            if name not in entries:
                hint = did_you_mean(name, entries) or f"; entries: {', '.join(entries) or 'none'}"
                raise ComponentError(f"{type(self).__name__} takes no condition '{name}'{hint}")
            found[name] = encoded(name, entries[name], value)
        return found

    def measure(self, x1: Tensor, rows: Rows) -> dict[str, Tensor]:
        """Return its `entries` of the data points `x1`, `(batch, *shape)`, such as measurements.

        Used where the conditions of samples come from a split of the data.  Noise is drawn from
        `rows`.
        """
        return {}


def with_flags(condition: Condition, entries: Mapping[str, ConditionSpec]) -> dict[str, Tensor]:
    """`condition` with the flag `present/NAME`, True in every row, of each entry that needs one.

    Flags that are there already stay.
    """
    flags = {
        f"{PRESENT}{name}": torch.ones(len(value), dtype=torch.bool, device=value.device)
        for name, value in condition.items()
        if name in entries and entries[name].has_flag
    }
    return {**flags, **condition}


def null_rows(name: str, spec: ConditionSpec, n: int) -> dict[str, Tensor]:
    """The null value of the entry `name` in `n` rows, with its flag."""
    value = torch.zeros((n, *spec.shape), dtype=getattr(torch, spec.dtype))
    return dropped({name: value}, name, torch.ones(n, dtype=torch.bool))


def encoded(name: str, spec: ConditionSpec, value: Any) -> Tensor:
    """The Python value of an entry as one row, `(1, *shape)`.

    Raises ComponentError for another shape, for text, and for numbers that are not finite or not
    of the entry's type.
    """
    wanted = f"condition '{name}' is {spec.dtype} of shape {tuple(spec.shape)}"
    try:
        given = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ComponentError(f"{wanted}, not {value!r}") from error
    if tuple(given.shape) != tuple(spec.shape):
        raise ComponentError(f"{wanted}; got shape {tuple(given.shape)}")
    row = given.to(getattr(torch, spec.dtype))
    # a rounded class number would be another class
    if not bool(row.isfinite().all()) or (spec.dtype != "float32" and bool((row != given).any())):
        raise ComponentError(f"{wanted}, not {value!r}")
    return row[None]


def without(condition: Condition | None, names: Iterable[str]) -> Condition:
    """`condition` with the entries `names` replaced by their null values in every row.

    Integer entries become -1.  Others become 0, and their flag `present/NAME` False.  Raises
    ComponentError for an entry that is not there.
    """
    entries = dict(condition or {})
    for name in names:
        if name not in entries:
            known = ", ".join(n for n in entries if not n.startswith(PRESENT)) or "none"
            raise ComponentError(
                f"the null branch leaves out the condition '{name}', which is missing; "
                f"conditions: {known}"
            )
        every_row = torch.ones(len(entries[name]), dtype=torch.bool, device=entries[name].device)
        entries |= dropped(entries, name, every_row)
    return entries


def dropped(condition: Condition, name: str, rows: Tensor) -> dict[str, Tensor]:
    """The entry `name` with its null value in the masked `rows`, `(batch,)` bool, and its flag.

    An integer entry has no flag: its null value is -1.
    """
    value = condition[name]
    mask = rows.view(-1, *(1,) * (value.ndim - 1))
    if not value.is_floating_point():
        return {name: value.masked_fill(mask, NULL_CLASS)}
    present = condition.get(f"{PRESENT}{name}")
    kept = ~rows if present is None else present & ~rows
    return {name: value.masked_fill(mask, 0), f"{PRESENT}{name}": kept}

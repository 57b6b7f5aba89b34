"""The conditions that a network reads besides the label: vectors and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from fmcore import ComponentError, Condition, ConditionSpec
from fmcore.errors import did_you_mean

__all__ = ["NO_ENTRIES", "chosen_entries", "image_channels", "images", "vectors"]


NO_ENTRIES: Mapping[str, ConditionSpec] = MappingProxyType({})
"""No entries: the default where the framework gives none."""


def chosen_entries(
    conditions: Sequence[str], entries: Mapping[str, ConditionSpec], network: str
) -> dict[str, ConditionSpec]:
    """Return the entries that the option `conditions` names, in its order.

    Raises ComponentError for one that the data do not give, one named twice, and one of integers,
    whose number of values no entry declares.
    """
    chosen: dict[str, ConditionSpec] = {}
    for name in conditions:
        if name not in entries:
            hint = did_you_mean(name, entries) or f"; they give {', '.join(entries) or 'none'}"
            label = " (labels are read by `classes: auto`)" if name == "label" else ""
            raise ComponentError(
                f"model '{network}': the data give no condition '{name}' for `conditions`"
                f"{label}{hint}"
            )
        if name in chosen:
            raise ComponentError(f"model '{network}': `conditions` names '{name}' twice")
        if entries[name].dtype == "int64":
            raise ComponentError(
                f"model '{network}' reads vectors and images, and the condition '{name}' holds "
                "integers"
            )
        chosen[name] = entries[name]
    return chosen


def vectors(x: Tensor, condition: Condition | None, entries: Mapping[str, ConditionSpec]) -> Tensor:
    """Return the entries, flattened, each followed by a column that is 1 where it is given.

    The columns of an entry are 0 in rows without it: the result is `(batch, columns)` with
    `sum(size + 1)` columns, in x's dtype.
    """
    columns = []
    for name, spec in entries.items():
        value, present = _rows(x, condition, name, spec)
        columns += [value.flatten(1) * present[:, None], present[:, None]]
    return torch.cat(columns, dim=1) if columns else x.new_zeros(len(x), 0)


def images(
    x: Tensor, condition: Condition | None, entries: Mapping[str, ConditionSpec]
) -> list[Tensor]:
    """Return the images among the entries as channels of x's size, and a plane for each that is 1
    where it is given.
    """
    planes = []
    for name, spec in entries.items():
        value, present = _rows(x, condition, name, spec)
        size = (int(x.shape[-2]), int(x.shape[-1]))
        if tuple(value.shape[-2:]) != size:
            value = F.interpolate(value, size=size, mode="bilinear", antialias=True)
        plane = present.view(-1, 1, 1, 1).expand(-1, 1, *size)
        planes += [value * plane, plane]
    return planes


def image_channels(entries: Mapping[str, ConditionSpec]) -> int:
    """Return the number of channels that `images` adds."""
    return sum(spec.shape[0] + 1 for spec in entries.values())


def _rows(
    x: Tensor, condition: Condition | None, name: str, spec: ConditionSpec
) -> tuple[Tensor, Tensor]:
    """Return the entry, `(batch, *shape)`, and 1 where it is given, `(batch,)`, in x's dtype."""
    if condition is None or name not in condition:
        return x.new_zeros(len(x), *spec.shape), x.new_zeros(len(x))
    value = condition[name].to(x.dtype)
    present = condition.get(f"present/{name}")
    return value, x.new_ones(len(x)) if present is None else present.to(x.dtype)

"""Conditions and their null values: what stands for "no condition" in dropout and guidance."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.source import NULL_CLASS, Condition

__all__ = ["PRESENT", "dropped", "without"]

PRESENT = "present/"
"""Prefix of the flag, `(batch,)` bool, that says in which rows a droppable entry is given."""


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

    An integer entry has no flag: -1 says it.
    """
    value = condition[name]
    mask = rows.view(-1, *(1,) * (value.ndim - 1))
    if not value.is_floating_point():
        return {name: value.masked_fill(mask, NULL_CLASS)}
    present = condition.get(f"{PRESENT}{name}")
    kept = ~rows if present is None else present & ~rows
    return {name: value.masked_fill(mask, 0), f"{PRESENT}{name}": kept}

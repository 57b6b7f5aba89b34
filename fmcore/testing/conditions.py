"""Conditions made from their declarations, for checks of networks and sources."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from fmcore.interfaces.condition import ConditionSpec, with_flags
from fmcore.testing.checks import generator

__all__ = ["random_condition"]


def random_condition(entries: Mapping[str, ConditionSpec], n: int) -> dict[str, Tensor]:
    """Return raw conditions of `n` rows with their flags, equal at every call.

    Numbers are standard normal, integers 0 or 1.  A `mask` leaves out the end of the last axis, of
    another length in each row.
    """
    random, found = generator(3), {}
    for name, spec in entries.items():
        if name == "mask":
            found[name] = _mask(n, spec)
        elif spec.dtype == "float32":
            found[name] = torch.randn(n, *spec.shape, generator=random)
        else:
            found[name] = torch.randint(2, (n, *spec.shape), generator=random)
            found[name] = found[name].to(getattr(torch, spec.dtype))
    return with_flags(found, entries)


def _mask(n: int, spec: ConditionSpec) -> Tensor:
    """Return masks of `n` rows without the last elements of the last axis, of at least one."""
    length = spec.shape[-1]
    kept = length - 1 - torch.arange(n) % max(1, length - 1)
    rows = torch.arange(length) < kept.clamp_min(1).view(-1, *(1,) * len(spec.shape))
    return rows.expand(n, *spec.shape).to(getattr(torch, spec.dtype)).contiguous()

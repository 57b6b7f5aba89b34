"""One row of a plan on tensors: a sum of registers into a buffer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["combine"]


def combine(
    terms: Sequence[tuple[int, float]], registers: Sequence[Any], out: Tensor, place: int
) -> None:
    """out = sum of weight * register, one pass over memory for each term but the first if its
    weight is one; `place` is out's own slot.
    """
    if not terms:
        out.zero_()
        return
    slot, weight = terms[0]
    if weight == 1.0 and slot == place:
        rest = terms[1:]
    elif weight == 1.0 and len(terms) > 1:
        second, factor = terms[1]
        torch.add(registers[slot], registers[second], alpha=factor, out=out)
        rest = terms[2:]
    else:
        torch.mul(registers[slot], weight, out=out)
        rest = terms[1:]
    for slot, weight in rest:
        out.add_(registers[slot], alpha=weight)

"""Fusion of the sums between two calls of a plan: one pass over memory for all of them.

All sums between two evaluations are linear in the registers before them.  So they are substituted
into one another on the host, in float64, and one kernel reads each register once and writes every
sum that is needed later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, final

from fmcore.solving.backends.registers import Pool
from fmcore.solving.fixed.plan import START, Call, Combine, LinearExpr, Noise, Plan

__all__ = [
    "FusedSum",
    "Instruction",
    "Item",
    "Program",
    "fused_items",
    "mask_of",
    "outs_of",
    "program_of",
    "reads_of",
]


@final
@dataclass(frozen=True)
class FusedSum:
    """Register outs[i] = sum_j weights[i][j] reads[j], for all i at once."""

    outs: tuple[int, ...]
    reads: tuple[int, ...]
    weights: tuple[tuple[float, ...], ...]

    @property
    def flat(self) -> tuple[float, ...]:
        """The weights row by row."""
        return tuple(weight for row in self.weights for weight in row)


Item = Call | Noise | FusedSum


class Instruction(NamedTuple):
    """One item, with slots for registers.

    A call (number `call`) or a draw (number `draw`) writes its tensor to slot outs[0].  A sum
    combines `reads` with the weights from `offset` of the plan's table; `mask` selects those that
    are not zero.  `free` are the slots that are not read afterwards.
    """

    outs: tuple[int, ...]
    reads: tuple[int, ...]
    free: tuple[int, ...]
    call: int | None = None
    draw: int | None = None
    offset: int = 0
    mask: int = 0


@final
@dataclass(frozen=True, eq=False)
class Program:
    """A plan's items over slots.

    Slot 0 is x0, slots 1 .. `buffers` are the solver's own, and the rest hold velocities and draws.
    `table` holds the weights of all sums, `launches` is their number.
    """

    items: tuple[Instruction, ...]
    buffers: int
    slots: int
    outputs: tuple[int, ...]
    table: tuple[float, ...]
    launches: int


def fused_items(plan: Plan) -> tuple[Item, ...]:
    """Return the plan's calls in order, its fused sums, and each draw just before its first use."""
    wanted = _readers(plan)
    items: list[Item] = []
    drawn: dict[int, Noise] = {}
    group: list[tuple[int, Combine]] = []
    for index, row in enumerate(plan.rows):
        if isinstance(row, Combine):
            group.append((index, row))
        elif isinstance(row, Noise):
            drawn[row.out] = row
        else:
            items += _flushed(group, wanted, drawn)
            group = []
            if row.state in drawn:
                items.append(drawn.pop(row.state))
            items.append(row)
    items += _flushed(group, wanted, drawn)
    # A draw that no sum reads may still be an output.
    return (*items, *(row for out, row in drawn.items() if out in plan.outputs))


@lru_cache(maxsize=256)
def program_of(plan: Plan) -> Program:
    """Return the plan's items with a slot for each register.

    A sum never writes to memory that it reads: its kernel runs in no fixed order.
    """
    items = fused_items(plan)
    last = _last_reads(items, plan.outputs)
    own, foreign = Pool(), Pool()
    slot: dict[int, tuple[Pool | None, int]] = {START: (None, 0)}
    dying: list[list[int]] = []
    for index, item in enumerate(items):
        pool = own if isinstance(item, FusedSum) else foreign
        for register in outs_of(item):
            slot[register] = (pool, pool.acquire())
        ends = [r for r in dict.fromkeys(reads_of(item)) if last[r] == index and r != START]
        for register in ends:
            of, number = slot[register]
            if of is not None:
                of.release(number)
        dying.append(ends)
    first = {None: 0, own: 1, foreign: 1 + own.size}
    place = {register: first[pool] + number for register, (pool, number) in slot.items()}
    return Program(
        items=tuple(_placed(items, dying, place, own.size)),
        buffers=own.size,
        slots=1 + own.size + foreign.size,
        outputs=tuple(place[r] for r in plan.outputs),
        table=tuple(w for item in items if isinstance(item, FusedSum) for w in item.flat),
        launches=sum(isinstance(item, FusedSum) for item in items),
    )


def outs_of(item: Item) -> tuple[int, ...]:
    """Return the registers that an item writes."""
    return item.outs if isinstance(item, FusedSum) else (item.out,)


def reads_of(item: Item) -> tuple[int, ...]:
    """Return the registers that an item reads."""
    return item.reads


def mask_of(fused: FusedSum) -> int:
    """Return which weights are not zero: bit i * len(reads) + j for weight (i, j)."""
    return sum(1 << place for place, weight in enumerate(fused.flat) if weight != 0)


def _readers(plan: Plan) -> dict[int, int]:
    """Return the last row that reads each register; the number of rows for an output."""
    last = {r: index for index, row in enumerate(plan.rows) for r in row.reads}
    return last | dict.fromkeys(plan.outputs, len(plan.rows))


def _flushed(
    group: Sequence[tuple[int, Combine]], last: dict[int, int], drawn: dict[int, Noise]
) -> Iterator[Item]:
    """Yield the draws that a group of sums needs, then the group as one fused sum."""
    if not group:
        return
    end = group[-1][0]
    inside: dict[int, LinearExpr] = {}
    for _, row in group:
        # Registers of this group are replaced by their terms; others stay.
        terms = (weight * inside.get(r, LinearExpr({r: 1.0})) for r, weight in row.weights.items())
        inside[row.out] = sum(terms, LinearExpr({}))
    # Sums that only this group reads have been substituted, and need no memory.
    kept = {out: total.terms for out, total in inside.items() if last[out] > end}
    reads = tuple(sorted({r for weights in kept.values() for r in weights}))
    yield from (drawn.pop(r) for r in reads if r in drawn)
    yield FusedSum(
        outs=tuple(kept),
        reads=reads,
        weights=tuple(tuple(weights.get(r, 0.0) for r in reads) for weights in kept.values()),
    )


def _last_reads(items: Sequence[Item], outputs: tuple[int, ...]) -> dict[int, int]:
    last = {r: index for index, item in enumerate(items) for r in reads_of(item)}
    return last | dict.fromkeys(outputs, len(items))


def _placed(
    items: Sequence[Item], dying: Sequence[Sequence[int]], place: dict[int, int], buffers: int
) -> Iterator[Instruction]:
    calls = offset = 0
    for item, ends in zip(items, dying, strict=True):
        free = tuple(place[r] for r in ends if place[r] > buffers)
        outs, reads = (tuple(place[r] for r in rs) for rs in (outs_of(item), reads_of(item)))
        if isinstance(item, Call):
            yield Instruction(outs, reads, free, call=calls)
            calls += 1
        elif isinstance(item, Noise):
            yield Instruction(outs, reads, free, draw=item.draw)
        else:
            yield Instruction(outs, reads, free, offset=offset, mask=mask_of(item))
            offset += len(item.flat)

"""Register allocation: a buffer for each register of a plan, and the order of a row's terms.

A register is needed from its row to its last reader.  Registers whose ranges do not overlap share a
buffer, so that memory does not grow with the number of steps.  A combination may overwrite one of
its own terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, final

from fmcore.solving.fixed.plan import START, Call, Combine, Noise, Plan, Row

__all__ = ["Allocation", "Instruction", "Pool", "allocate"]


class Instruction(NamedTuple):
    """One row, with slots for registers.

    A call, with its number, reads slot `state` and puts the velocity into `out`.  A combination
    sums `terms`, (slot, weight) in the order in which they must be read, into the buffer at `out`.
    Noise puts draw number `draw` into `out`.  `free` are the slots of velocities and draws that are
    not read afterwards.
    """

    out: int
    call: int | None
    state: int
    terms: tuple[tuple[int, float], ...]
    free: tuple[int, ...]
    draw: int | None = None


@final
@dataclass(frozen=True)
class Allocation:
    """The rows over slots.

    Slot 0 is x0, never written.  Slots 1 .. `buffers` are the solver's own, and the rest hold
    velocities and draws.  `outputs` are the slots of the plan's outputs, `nodes` those of the
    states at the ends of the steps, None where no later row reads that state.
    """

    program: tuple[Instruction, ...]
    buffers: int
    slots: int
    outputs: tuple[int, ...]
    nodes: tuple[int | None, ...]


def allocate(plan: Plan) -> Allocation:
    """Return the rows of `plan` with a slot for each register."""
    last = _last_reads(plan)
    buffers, velocities = Pool(), Pool()
    slot: dict[int, tuple[Pool | None, int]] = {START: (None, 0)}
    program = []
    for index, row in enumerate(plan.rows):
        dying = [r for r in row.reads if last[r] == index and r != START]
        if not isinstance(row, Combine):  # velocities and draws come with their own memory
            slot[row.out] = (velocities, velocities.acquire())
            _release(dying, slot)
        else:
            _release(dying, slot)  # first, so that `out` may take the place of a term
            slot[row.out] = (buffers, buffers.acquire())
        program.append((row, dying))
    place = _places(slot, buffers.size, buffers)
    numbered = zip(program, _numbers(plan), strict=True)
    instructions = tuple(
        _instruction(row, dying, place, call, buffers.size) for (row, dying), call in numbered
    )
    return Allocation(
        program=instructions,
        buffers=buffers.size,
        slots=1 + buffers.size + velocities.size,
        outputs=tuple(place[r] for r in plan.outputs),
        nodes=tuple(
            place[r] if r == START or last.get(r, 0) >= end else None
            for r, end in zip(plan.nodes, plan.ends, strict=True)
        ),
    )


def _last_reads(plan: Plan) -> dict[int, int]:
    last = {r: index for index, row in enumerate(plan.rows) for r in row.reads}
    # Outputs are read after the last row, so nothing may overwrite them.
    return last | dict.fromkeys(plan.outputs, len(plan.rows))


def _release(dying: list[int], slot: dict[int, tuple[Pool | None, int]]) -> None:
    for register in dying:
        pool, number = slot[register]
        if pool is not None:
            pool.release(number)


def _places(slot: dict[int, tuple[Pool | None, int]], size: int, buffers: Pool) -> dict[int, int]:
    return {
        register: 0 if pool is None else 1 + number + (0 if pool is buffers else size)
        for register, (pool, number) in slot.items()
    }


def _numbers(plan: Plan) -> list[int | None]:
    numbers = iter(range(plan.nfe))
    return [next(numbers) if isinstance(row, Call) else None for row in plan.rows]


def _instruction(
    row: Row, dying: list[int], place: dict[int, int], call: int | None, buffers: int
) -> Instruction:
    out = place[row.out]
    # The solver's buffers are reused; only memory of the field and of draws is freed.
    free = tuple(place[r] for r in dying if place[r] > buffers)
    if isinstance(row, Call):
        return Instruction(out, call, place[row.state], (), free)
    if isinstance(row, Noise):
        return Instruction(out, None, 0, (), free, row.draw)
    return Instruction(
        out, None, 0, _in_order({place[r]: w for r, w in row.weights.items()}, out), free
    )


def _in_order(weights: dict[int, float], out: int) -> tuple[tuple[int, float], ...]:
    """Return the terms in an order in which the first operation, a + w b or w a, reads the register
    that it overwrites.

    A weight of 1 is first where possible: it saves a multiplication.
    """
    ones = [slot for slot, weight in weights.items() if weight == 1.0]
    overwritten = [out] if out in weights else []
    first = overwritten if out in ones or not ones else ones[:1]
    order = dict.fromkeys([*first, *overwritten, *weights])
    return tuple((slot, weights[slot]) for slot in order)


class Pool:
    """Indices from 0; released ones are reused first.  `size` is how many there are."""

    def __init__(self) -> None:
        self.size = 0
        self._free: list[int] = []

    def acquire(self) -> int:
        """Return an unused index."""
        if self._free:
            return self._free.pop()
        self.size += 1
        return self.size - 1

    def release(self, number: int) -> None:
        """Release an index."""
        self._free.append(number)

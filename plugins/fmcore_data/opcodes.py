"""What a pickle is going to do, read from its opcodes before any of them is carried out.

Names of functions are the unpickler's to refuse.  Here is what hurts without naming one: tuples
that hold the same tuple twice, and so on forty times, take forever to be hashed as a key; tuples
inside tuples by the thousand overflow the stack; a memo of 2^31 places is allocated at once.
"""

from __future__ import annotations

import pickletools
from typing import IO, Any

from fmcore import DataError

__all__ = ["check_opcodes"]

MOST_INSIDE = 1_000
"""Values inside one tuple, those of its tuples counted each time: a shape, or the state of an
array, has about ten."""

MARK = object()
_STORES = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_RECALLS = frozenset({"GET", "BINGET", "LONG_BINGET"})


def check_opcodes(stream: IO[bytes]) -> None:
    """Read a pickle's opcodes to the end.  Raises DataError for one that would exhaust time or
    memory, and what `pickletools` raises for one that is damaged.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for done, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name in _STORES:
            place = len(memo) if argument is None else argument
            if place > done:  # a writer numbers them as it goes
                raise DataError("the pickle numbers its parts as no writer does: refused")
            memo[int(place)] = stack[-1]
        elif opcode.name in _RECALLS:
            stack.append(memo[int(argument or 0)])
        elif opcode.name == "DUP":
            stack.append(stack[-1])
        elif opcode.name == "MARK":
            stack.append(MARK)
        else:
            inside = _taken(stack, opcode)
            size = 1 + inside if opcode.name.startswith(("TUPLE", "FROZENSET")) else 1
            if size > MOST_INSIDE:
                raise DataError(f"the pickle has a tuple of over {MOST_INSIDE} values: refused")
            stack += [size] * len(opcode.stack_after)


def _taken(stack: list[Any], opcode: pickletools.OpcodeInfo) -> int:
    """Remove what an opcode takes from the stack, and count what is inside it."""
    inside, slots = 0, len(opcode.stack_before)
    if pickletools.markobject in opcode.stack_before:
        slots -= 2  # the mark, and all that lies above it
        while (top := stack.pop()) is not MARK:
            inside += top
    return inside + sum(int(stack.pop()) for _ in range(slots))

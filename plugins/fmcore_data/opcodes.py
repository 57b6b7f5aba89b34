"""Checks of a pickle's opcodes before any of them runs.

The unpickler refuses names of functions.  This module refuses what is harmful without one: a tuple
that contains one tuple twice, nested forty times, takes years to hash as a key; thousands of nested
tuples overflow the stack; a memo of 2^31 places is allocated at once.
"""

from __future__ import annotations

import pickletools
from typing import IO, Any

from fmcore import DataError

__all__ = ["check_opcodes"]

MAX_VALUES = 1_000
"""Values inside one tuple, including those of its tuples: a shape, or the state of an array, has
about ten."""

MARK = object()
_STORES = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_RECALLS = frozenset({"GET", "BINGET", "LONG_BINGET"})


def check_opcodes(stream: IO[bytes]) -> None:
    """Read the opcodes of a pickle to its end.

    Raises DataError if it would exhaust time or memory, and the errors of `pickletools` if it is
    damaged.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for done, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name in _STORES:
            place = len(memo) if argument is None else argument
            if place > done:  # a writer numbers the places in order
                raise DataError("the pickle numbers its memo as no writer does: refused")
            memo[int(place)] = stack[-1]
        elif opcode.name in _RECALLS:
            stack.append(memo[int(argument or 0)])
        elif opcode.name == "DUP":
            stack.append(stack[-1])
        elif opcode.name == "MARK":
            stack.append(MARK)
        else:
            inside = _popped(stack, opcode)
            size = 1 + inside if opcode.name.startswith(("TUPLE", "FROZENSET")) else 1
            if size > MAX_VALUES:
                raise DataError(f"the pickle has a tuple of over {MAX_VALUES} values: refused")
            stack += [size] * len(opcode.stack_after)


def _popped(stack: list[Any], opcode: pickletools.OpcodeInfo) -> int:
    """Remove the arguments of an opcode from the stack, and count the values inside them."""
    inside, slots = 0, len(opcode.stack_before)
    if pickletools.markobject in opcode.stack_before:
        slots -= 2  # the mark, and all above it
        while (top := stack.pop()) is not MARK:
            inside += top
    return inside + sum(int(stack.pop()) for _ in range(slots))

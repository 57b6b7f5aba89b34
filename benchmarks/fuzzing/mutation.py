"""Broken variants of valid content: of bytes, of text, and of values that JSON can hold."""

from __future__ import annotations

import random
import string
from typing import Any

NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
WORDS = [
    *["", "name", "data", "labels", "x", "step", "a.png", "../../up.png", "/etc/passwd", "C:\\x"],
    *["\0", "\x1b[31m", "<script>alert(1)</script>", "${oc.env:HOME}", "???", "é\u202e", "a" * 300],
    *["NaN", "Infinity", "-1", "9" * 30, "~nobody/x", "__class__", "os.system", "{}", "[[]]"],
]


def broken(content: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    """`content` with one to four changes: bits, blocks, numbers, a piece of another file."""
    made = bytearray(content)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        _change(made, dice, others)
    return bytes(made)


def _change(made: bytearray, dice: random.Random, others: list[bytes]) -> None:
    at = dice.randrange(len(made) + 1)
    to = min(len(made), at + dice.choice((1, 2, 4, 8, 32, 512)))
    kind = dice.randrange(8)
    if kind == 0 and made:
        made[at % len(made)] ^= 1 << dice.randrange(8)
    elif kind == 1:
        made[at:to] = dice.randbytes(to - at)
    elif kind == 2:
        del made[at:to]
    elif kind == 3:
        made[at:at] = made[at:to] * dice.choice((1, 2, 50))
    elif kind == 4:
        del made[at:]
    elif kind == 5:
        size, order = dice.choice((1, 2, 4, 8)), dice.choice(("little", "big"))
        number = dice.choice(NUMBERS) % (1 << (8 * size))
        made[at : at + size] = number.to_bytes(size, order)
    elif kind == 6:
        other = dice.choice(others)
        start = dice.randrange(len(other) + 1)
        made[at:to] = other[start : start + dice.choice((4, 32, 512))]
    else:
        made[at:to] = dice.choice(WORDS).encode()


def any_value(dice: random.Random, depth: int = 0) -> Any:
    """Anything that JSON, or Python's reading of it, can hold."""
    kind = dice.randrange(9 if depth < 4 else 7)
    if kind < 2:
        return dice.choice(NUMBERS) * dice.choice((1, 1, -1, 10**20))
    if kind == 2:
        return dice.choice((0.5, -1e300, float("nan"), float("inf"), 1e-320))
    if kind == 3:
        return dice.choice((None, True, False))
    if kind < 7:
        return dice.choice(WORDS)
    if kind == 7:
        return [any_value(dice, depth + 1) for _ in range(dice.randrange(4))]
    return {dice.choice(WORDS): any_value(dice, depth + 1) for _ in range(dice.randrange(4))}


def deep(dice: random.Random) -> str:
    """JSON text nested far deeper than any parser likes."""
    opening, closing = dice.choice((("[", "]"), ('{"a":', "}")))
    depth = dice.choice((50, 1_000, 100_000))
    return opening * depth + "1" + closing * depth


def changed(value: Any, dice: random.Random) -> Any:
    """`value` with one part replaced, removed, added or renamed."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        made, key = dict(value), dice.choice(list(value))
        kind = dice.randrange(6)
        if kind == 0:
            del made[key]
        elif kind == 1:
            made[dice.choice(WORDS)] = made.pop(key)
        elif kind == 2:
            made[dice.choice(WORDS)] = any_value(dice)
        else:
            made[key] = changed(made[key], dice)
        return made
    if isinstance(value, list) and value and dice.random() < 0.85:
        place = dice.randrange(len(value))
        return [*value[:place], changed(value[place], dice), *value[place + dice.choice((0, 1)) :]]
    return any_value(dice)


def any_text(dice: random.Random) -> str:
    """Letters, signs and controls."""
    return "".join(
        dice.choice(string.printable + "é\0\x1b\u2028") for _ in range(dice.randrange(40))
    )

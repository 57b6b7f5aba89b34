"""Strategies for broken variants of valid content: bytes, and values that JSON can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from hypothesis import strategies as st

Folder = Mapping[str, bytes]
"""File contents by relative path."""

NUMBERS = [0, 1, 2, 7, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1]
WORDS = [
    *["", "name", "data", "labels", "x", "step", "a.png", "../../up.png", "/etc/passwd", "C:\\x"],
    *["\0", "\x1b[31m", "<script>alert(1)</script>", "${oc.env:HOME}", "???", "é\u202e", "a" * 300],
    *["NaN", "Infinity", "-1", "9" * 30, "~nobody/x", "__class__", "os.system", "{}", "[[]]"],
]
SIZES = [0, 1, 2, 4, 8, 32, 512]

numbers = st.sampled_from(NUMBERS)
words = st.sampled_from(WORDS)
fields = st.builds(  # a number as a binary format stores it
    lambda number, size, order: (number % 256**size).to_bytes(size, order),
    numbers,
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from(["little", "big"]),
)
json_values = st.recursive(
    st.one_of(words, numbers, numbers.map(lambda n: -n * 10**20), st.floats(), st.none())
    | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
deep_json = st.builds(  # deeper than a recursive parser can go
    lambda brackets, depth: brackets[0] * depth + "1" + brackets[1] * depth,
    st.sampled_from(["[]", ('{"a":', "}")]),
    st.sampled_from([50, 1_000, 100_000]),
)


@st.composite
def broken_bytes(draw: st.DrawFn, content: bytes, others: Sequence[bytes] = (b"",)) -> bytes:
    """`content` with one to four changes: bits, fields, words, cuts, pieces of `others`."""
    changed = bytearray(content)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4]))):
        start = draw(st.integers(0, len(changed)))
        if draw(st.integers(0, 3)) == 0 and start < len(changed):
            changed[start] ^= 1 << draw(st.integers(0, 7))
            continue
        removed = draw(st.sampled_from([*SIZES, len(changed)]))
        piece = draw(st.one_of(st.binary(max_size=8), fields, words.map(str.encode), _cut(others)))
        changed[start : start + removed] = piece * draw(st.sampled_from([0, 1, 1, 1, 50]))
    return bytes(changed)


@st.composite
def _cut(draw: st.DrawFn, others: Sequence[bytes]) -> bytes:
    other = draw(st.sampled_from(others))
    start = draw(st.integers(0, len(other)))
    return other[start : start + draw(st.sampled_from(SIZES))]


@st.composite
def changed_json(draw: st.DrawFn, value: Any, others: st.SearchStrategy[Any] = json_values) -> Any:
    """`value` with one part replaced by one of `others`, removed, added or renamed."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 7)) == 0:
        return draw(others)
    changed = copy(value)
    key = draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
    change = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add", "rename"]))
    if change == "replace":
        changed[key] = draw(changed_json(value[key], others))
    elif change == "remove":
        del changed[key]
    elif isinstance(changed, list):
        changed.insert(key, draw(others))
    else:
        changed[draw(words)] = changed.pop(key) if change == "rename" else draw(others)
    return changed


@st.composite
def changed_json_text(draw: st.DrawFn, content: bytes) -> bytes:
    """A JSON file with some of its values changed."""
    if draw(st.integers(0, 5)) == 0:
        return draw(deep_json).encode()
    value = json.loads(content)
    for _ in range(draw(st.sampled_from([1, 1, 2, 4]))):
        value = draw(changed_json(value))
    return json.dumps(value).encode()


@st.composite
def broken_folder(draw: st.DrawFn, valid: Folder) -> Folder:
    """`valid` with one of its files broken, of a JSON file sometimes only the values."""
    name = draw(st.sampled_from(list(valid)))
    change = broken_bytes(valid[name], list(valid.values()))
    if name.endswith(".json"):
        change |= changed_json_text(valid[name])
    return {**valid, name: draw(change)}


@st.composite
def renamed(draw: st.DrawFn, valid: Folder, names: st.SearchStrategy[str]) -> Folder:
    """`valid` with one of its files under another name."""
    old, new = draw(st.sampled_from(list(valid))), draw(names)
    return {new if name == old else name: content for name, content in valid.items()}

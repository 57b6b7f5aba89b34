"""The classes of image files, read from a table: CSV, or JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fmcore import DataError

__all__ = ["ClassTable", "read_class_table"]

MAX_BYTES = 256 * 2**20
"""Tables of millions of files are smaller; a file named by mistake is refused before it is read."""

MAX_DEPTH = 32
"""Nested objects of JSON; deeper ones would exhaust Python's stack."""

ClassTable = Mapping[str, str]
"""The class of each file, by the file's name or its path below the folder."""


def read_class_table(file: Path, keys: tuple[str, str]) -> ClassTable:
    """Return the classes in `file`; `keys` are the names of the file's and of the class's column.

    A `.csv` table has a line of column names.  A `.json` table has objects with the two keys, at
    any depth; an object without a class has that of the object around it.  Raises DataError for a
    file that cannot be read, and for a table without these keys.
    """
    if not file.is_file():
        raise DataError(f"data.table: there is no file '{file}'")
    if file.stat().st_size > MAX_BYTES:
        raise DataError(f"data.table: '{file}' has more than {MAX_BYTES >> 20} MiB: no table")
    try:
        text = file.read_text(encoding="utf-8-sig")
        rows = _of_json(text, keys) if file.suffix == ".json" else _of_csv(text, keys)
        found = {name: own for name, own in rows if own}
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise DataError(f"data.table: '{file}' is no table: {error}") from error
    if not found:
        raise DataError(
            f"data.table: no row of '{file}' has '{keys[0]}' and '{keys[1]}': set "
            "data.table_keys=[FILE,CLASS] to the names of its two columns"
        )
    return found


def _of_csv(text: str, keys: tuple[str, str]) -> Iterator[tuple[str, str]]:
    for row in csv.DictReader(text.splitlines()):
        if row.get(keys[0]) and row.get(keys[1]):
            yield row[keys[0]], row[keys[1]]


def _of_json(text: str, keys: tuple[str, str]) -> Iterator[tuple[str, str]]:
    yield from _walk(json.loads(text), keys, "", 0)


def _walk(node: Any, keys: tuple[str, str], outer: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield the files in `node` with their classes; `outer` is the class of the object around."""
    if depth > MAX_DEPTH:
        raise ValueError(f"objects nested more than {MAX_DEPTH} deep")
    if isinstance(node, dict):
        own = node.get(keys[1], outer)
        outer = str(own) if isinstance(own, str | int) else outer
        if isinstance(node.get(keys[0]), str):
            yield node[keys[0]], outer
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _walk(child, keys, outer, depth + 1)

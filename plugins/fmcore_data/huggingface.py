"""Image datasets of the Hugging Face hub on disk: `.parquet`, or `.arrow` as `save_to_disk` writes.

Needs pyarrow (`pip install 'fmcore-flow[parquet]'`).
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path as FilePath
from typing import Any, final

from fmcore import DataError
from fmcore_data.archives import check_expansion, check_size
from fmcore_data.encoded import EncodedImages, Files
from fmcore_data.held_out import read_part
from fmcore_data.labels import check_labels
from fmcore_data.listing import describe_contents, find_root, has_file, list_files, list_folders
from fmcore_data.splits import Parts, Splits, split_files
from fmcore_data.storage import Images, Labels

__all__ = ["HuggingFace"]

SUFFIXES = (".parquet", ".arrow")

READ_ROWS = 256
"""Rows that are decompressed at a time, before their size is checked."""

LABELS = ("label", "labels", "fine_label", "cls", "class")


@final
@dataclass(frozen=True)
class HuggingFace(EncodedImages):
    """The rows of the files in `root`, in its folder `data`, in folders of the splits in either, or
    in the only other folder of `root`, as for datasets of one configuration.

    `image_column` contains `{bytes, path}` or bytes, `label_column` integers; by default they are
    found by type and by name.  Encoded images are kept in memory for `.parquet`, which is read
    whole, and read from the file for `.arrow`.  For `splits` and `held_out` see docs/data.md.
    """

    image_column: str | None = field(default=None, kw_only=True)
    label_column: str | None = field(default=None, kw_only=True)

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        return has_file(place, SUFFIXES, depth=3)

    def _open(self) -> Images:
        root = find_root(self.root)
        parts = _parts(root, self.splits)
        if not (parts.train or parts.test):
            raise DataError(
                f"no .parquet or .arrow file in {root}, {root / 'data'} or a folder of a split; "
                f"{root} contains {describe_contents(root)}: set data.root=FOLDER"
            )
        return read_part(
            parts, self.split, self.held_out, lambda files: self._read(files, root), root
        )

    def _read(self, files: list[FilePath], root: FilePath) -> Images:
        table, ends = _table(files)
        names = table.schema.names
        image = self.image_column or _image_column(table, root)
        label = self.label_column or next((name for name in LABELS if name in names), None)
        for column in (image, label):
            if column is not None and names.count(column) != 1:
                count = names.count(column) or "no"
                raise DataError(f"{root} has {count} column '{column}'; it has {', '.join(names)}")
        for column in (image, label):
            if column is not None:
                _validate(table.column(column), root)
        labels = None if label is None else _labels(table, label, root)
        classes = 0 if labels is None else _classes(table, label, labels)
        return self._decoded(_Rows(table.column(image), files, ends), labels, classes)


def _parts(root: FilePath, splits: Splits | None) -> Parts:
    """The parts of `root`, of `root/data`, or of its only folder with tables.

    Raises DataError if there are several such folders, or ambiguous names.
    """
    parts = split_files(root, _tables, splits)
    if parts is not None and (parts.train or parts.test):
        return parts
    holding = [child for child in list_folders(root) if has_file(child, SUFFIXES, depth=2)]
    if root / "data" in holding:
        holding = [root / "data"]
    if len(holding) > 1:
        raise DataError(
            f"{root} contains {len(holding)} sets: choose one with data.root={root}/NAME; they are "
            f"{', '.join(child.name for child in holding)}"
        )
    return (split_files(holding[0], _tables, splits) if holding else None) or Parts([])


def _tables(folder: FilePath) -> list[FilePath]:
    # `map` and `filter` of the library datasets leave their results as cache-*.arrow.
    return [f for f in list_files(folder, SUFFIXES) if not f.name.startswith("cache-")]


def _table(files: list[FilePath]) -> tuple[Any, list[int]]:
    """The rows of all files, and how many there are up to the end of each."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            "data 'parquet' needs pyarrow: pip install 'fmcore-flow[parquet]'"
        ) from error
    parts = []
    for file in files:
        try:
            if file.suffix == ".arrow":
                parts.append(pa.ipc.open_stream(pa.memory_map(str(file))).read_all())
            else:
                parts.append(_parquet(parquet.ParquetFile(file), file))
            list(parts[-1].column_names)  # decodes the names, which may not be UTF-8
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read {file}: {error}") from error
    try:
        return pa.concat_tables(parts), [*accumulate(len(part) for part in parts)]
    except pa.ArrowException as error:
        raise DataError(f"{files[0].parent}: its files have different columns: {error}") from error


def _parquet(opened: Any, file: FilePath) -> Any:
    """The table, read in pieces: a column of one value repeated is a few bytes in the file."""
    import pyarrow as pa

    pieces, size = [], 0
    for piece in opened.iter_batches(READ_ROWS):
        size += piece.nbytes
        check_expansion(size, file.stat().st_size, str(file))
        pieces.append(piece)
    return pa.Table.from_batches(pieces, opened.schema_arrow)


def _image_column(table: Any, root: FilePath) -> str:
    """The only column of `{bytes, path}`, or of bytes."""
    import pyarrow as pa

    found = [
        field.name
        for field in table.schema
        if (pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0)
        or pa.types.is_binary(field.type)
        or pa.types.is_large_binary(field.type)
    ]
    if len(found) != 1:
        raise DataError(
            f"{root} has {len(found) or 'no'} columns of images ({', '.join(table.schema.names)}): "
            "name one with data.image_column=NAME"
        )
    return str(found[0])


def _validate(column: Any, root: FilePath) -> None:
    """Check every offset: pyarrow follows those of a file unchecked, out of the file too."""
    import pyarrow as pa

    try:
        column.validate(full=True)
    except pa.ArrowException as error:
        raise DataError(f"{root} is damaged: {error}") from error


def _labels(table: Any, label: str, root: FilePath) -> Labels:
    column = table.column(label)
    if column.null_count or not _is_integer(column.type):
        kind = "missing values" if column.null_count else str(column.type)
        raise DataError(
            f"{root}: column '{label}' contains {kind}, not a class number: write integers from 0, "
            "or choose another with data.label_column=NAME"
        )
    labels = column.to_numpy()
    if len(labels) and labels.min() < 0:
        raise DataError(
            f"{root}: column '{label}' contains {labels.min()}, as in datasets whose labels are "
            "withheld"
        )
    return check_labels(labels, f"{root}, column '{label}'")


def _is_integer(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind))


def _classes(table: Any, label: str | None, labels: Labels) -> int:
    """The number of class names in the metadata, or the highest label + 1 if that is more."""
    text = (table.schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        named = len(json.loads(text)["info"]["features"][label]["names"])
    except (ValueError, LookupError, TypeError, RecursionError):
        named = 0
    return max(named, int(labels.max(initial=-1)) + 1)


@final
class _Rows(Files):
    def __init__(self, column: Any, files: list[FilePath], ends: list[int]) -> None:
        self.column = column
        self.files = files
        self.ends = ends

    @property
    def count(self) -> int:
        return len(self.column)

    def content(self, index: int) -> bytes:
        value = self.column[index]
        content = value.as_py() if not hasattr(value.type, "fields") else value["bytes"].as_py()
        file, row = self._place(index)
        if not isinstance(content, bytes):
            raise DataError(f"{file}: row {row} has no bytes: its image is in another file")
        check_size(len(content), f"row {row}", file)
        return content

    def name(self, index: int) -> str:
        return "{}: row {}".format(*self._place(index))

    def _place(self, index: int) -> tuple[FilePath, int]:
        """The file of row `index`, and the row's number in it."""
        owner = bisect_right(self.ends, index)
        return self.files[owner], index - (self.ends[owner - 1] if owner else 0)

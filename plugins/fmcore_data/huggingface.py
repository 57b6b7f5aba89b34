"""Image sets of the Hugging Face hub on disk: `.parquet`, or `.arrow` as `save_to_disk` writes.

Needs pyarrow (`pip install 'fmcore-flow[parquet]'`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any, final, get_args

from annotated_types import Ge

from fmcore import DataError, Split
from fmcore_data.archives import checked_expansion, checked_size
from fmcore_data.encoded import EncodedImages, Files
from fmcore_data.labels import class_numbers
from fmcore_data.splits import files_of, folder, held_out
from fmcore_data.storage import Images, Labels

__all__ = ["HuggingFace"]

ROWS = 256
"""So many are unpacked at a time, and then weighed."""

LABELS = ("label", "labels", "fine_label", "cls", "class")


@final
@dataclass(frozen=True)
class HuggingFace(EncodedImages):
    """The rows of the files in `root`, or in `data` or a folder named after the split in there; or
    of those in its only other folder, as sets with one configuration have it.

    `image_column` holds `{bytes, path}` or bytes, `label_column` integers; by default they are
    found by type and by name.  Files named after no split are one set, of which `held_out` rows
    are kept for the test split.  Encoded images are kept in memory for `.parquet` (which is read
    whole) and read where they lie for `.arrow`.
    """

    image_column: str | None = None
    label_column: str | None = None
    held_out: Annotated[int, Ge(0)] = 0

    @classmethod
    def recognizes(cls, place: FilePath) -> bool:
        depths = ("*/*", "*/*/*")
        tables = [*_tables(place), *(f for depth in depths for f in place.glob(f"{depth}.parquet"))]
        tables += [file for depth in depths for file in place.glob(f"{depth}.arrow")]
        return any(file.suffix in (".parquet", ".arrow") and file.is_file() for file in tables)

    def _open(self) -> Images:
        root = folder(self.root)
        place = _place(root)
        files = _tables(place)
        if files:
            split = files_of(self.split, files)
            return self._one_set(files, root) if split is None else self._read(split, root)
        chosen = files_of(self.split, _folders(place)) or []
        return self._read([file for child in chosen for file in _tables(child)], root)

    def _one_set(self, files: list[FilePath], root: FilePath) -> Images:
        return held_out(self._read(files, root), self.split, self.held_out, str(root))

    def _read(self, files: list[FilePath], root: FilePath) -> Images:
        if not files:
            raise DataError(
                f"no .parquet or .arrow file for '{self.split}' in {root}, {root / 'data'} or a "
                "folder of the split: data.root=FOLDER"
            )
        table = _table(files)
        names = table.schema.names
        image = self.image_column or _image_column(table, root)
        label = self.label_column or next((name for name in LABELS if name in names), None)
        for column in (image, label):
            if column is not None and column not in names:
                raise DataError(f"{root} has no column '{column}'; it has {', '.join(names)}")
        for column in (image, label):
            if column is not None:
                _validate(table.column(column), root)
        labels = None if label is None else _labels(table, label, root)
        classes = 0 if labels is None else _classes(table, label, labels)
        return self._decoded(_Rows(table.column(image), root), labels, classes)


def _place(root: FilePath) -> FilePath:
    """Where files, or folders of the splits, lie.  Raises DataError if one has to choose."""
    if _holds(root):
        return root
    holding = [child for child in _folders(root) if _holds(child)]
    if root / "data" in holding:
        return root / "data"
    if len(holding) > 1:
        raise DataError(
            f"{root} holds {len(holding)} sets: choose one with data.root={root}/NAME; they are "
            f"{', '.join(child.name for child in holding)}"
        )
    return holding[0] if holding else root


def _holds(place: FilePath) -> bool:
    """Whether tables lie in `place`, or in folders of the splits."""
    if _tables(place):
        return True
    folders = _folders(place)
    named = [child for split in get_args(Split) for child in files_of(split, folders) or []]
    return any(_tables(child) for child in named)


def _folders(place: FilePath) -> list[FilePath]:
    return sorted(child for child in place.iterdir() if child.is_dir()) if place.is_dir() else []


def _tables(place: FilePath) -> list[FilePath]:
    if place.is_file():
        return [place]
    return sorted([*place.glob("*.parquet"), *place.glob("*.arrow")])


def _table(files: list[FilePath]) -> Any:
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
        return pa.concat_tables(parts)
    except pa.ArrowException as error:
        raise DataError(f"{files[0].parent}: its files have different columns: {error}") from error


def _parquet(opened: Any, file: FilePath) -> Any:
    """The table, piece by piece: a column of one value repeated is a few bytes in the file."""
    import pyarrow as pa

    pieces, size = [], 0
    for piece in opened.iter_batches(ROWS):
        size += piece.nbytes
        checked_expansion(size, file.stat().st_size, str(file))
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
    """Look at every offset: pyarrow follows those of a file unseen, out of the file too."""
    import pyarrow as pa

    try:
        column.validate(full=True)
    except pa.ArrowException as error:
        raise DataError(f"{root} is damaged: {error}") from error


def _labels(table: Any, label: str, root: FilePath) -> Labels:
    column = table.column(label)
    if column.null_count or not _is_integer(column.type):
        raise DataError(f"{root}: column '{label}' holds {column.type}, not the number of a class")
    labels = column.to_numpy()
    if len(labels) and labels.min() < 0:
        raise DataError(
            f"{root}: column '{label}' holds {labels.min()}, as sets do whose labels are withheld"
        )
    return class_numbers(labels, f"{root}, column '{label}'")


def _is_integer(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind))


def _classes(table: Any, label: str | None, labels: Labels) -> int:
    """How many names the metadata gives to the classes, or what the labels reach."""
    text = (table.schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        named = len(json.loads(text)["info"]["features"][label]["names"])
    except (ValueError, LookupError, TypeError, RecursionError):
        named = 0
    return max(named, int(labels.max(initial=-1)) + 1)


@final
class _Rows(Files):
    def __init__(self, column: Any, root: FilePath) -> None:
        self.column = column
        self.root = root

    @property
    def count(self) -> int:
        return len(self.column)

    def content(self, index: int) -> bytes:
        value = self.column[index]
        content = value.as_py() if not hasattr(value.type, "fields") else value["bytes"].as_py()
        if not isinstance(content, bytes):
            raise DataError(f"{self.name(index)} holds no bytes: its image lies elsewhere")
        checked_size(len(content), f"row {index}", self.root)
        return content

    def name(self, index: int) -> str:
        return f"{self.root}: row {index}"

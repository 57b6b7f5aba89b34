"""The CSV file of a benchmark: a row per cell, appended as it is measured, so that a stopped
benchmark resumes.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

from fmcore.errors import RunError
from fmcore.runs.files import opened_for_adding, writable

__all__ = ["COLUMNS", "ResultsCsv", "Row"]

Row = dict[str, Any]
"""The columns of a cell: text, numbers, and None for empty numbers."""

_TEXTS: Final = (
    *("key", "problem", "path", "dtype", "solver", "plugin", "version", "grid"),
    *("statuses", "device", "metrics", "reason"),
)

COLUMNS: Final = (
    *("key", "problem", "dim", "path", "seed", "samples", "batch", "dtype"),
    *("solver", "plugin", "version", "grid", "nfe", "tol"),
    *("nfe_mean", "nfe_p95", "nfe_max", "calls", "forwards", "evaluations_per_sample", "rejected"),
    *("error_rms", "error_median", "error_p95", "error_max", "statuses", "calls_outside"),
    *("seconds", "seconds_spread", "model_seconds", "us_per_nfe_outside", "waits_per_nfe"),
    *("peak_mb", "rounds", "device", "threads", "metrics", "reason"),
)


@final
class ResultsCsv:
    """The rows in `file`, by key.  A truncated last line is removed; its cell is measured again.

    `columns` include `key`; those in `texts` are text, the others numbers.  Raises RunError for a
    file with other columns, or with a corrupt line that is not the last.
    """

    def __init__(
        self, file: Path, columns: Sequence[str] = COLUMNS, texts: Collection[str] = _TEXTS
    ) -> None:
        self._file, self._columns, self._texts = file, tuple(columns), texts
        self.rows: dict[str, Row] = {}
        if file.exists():
            self._read()
        if not file.exists() or not file.stat().st_size:
            with writable(file):
                file.parent.mkdir(parents=True, exist_ok=True)
            self._append(_line(self._columns))

    def add(self, row: Mapping[str, Any]) -> None:
        """Append `row` in one synced write, so that a crash can truncate only the last line."""
        complete = {column: row.get(column) for column in self._columns}
        self._append(_line(["" if v is None else v for v in complete.values()]))
        self.rows[row["key"]] = complete

    def _append(self, line: str) -> None:
        with writable(self._file), opened_for_adding(self._file) as stream:
            stream.write(line.encode("utf-8"))
            os.fsync(stream.fileno())

    def _read(self) -> None:
        content = self._file.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]  # without a line that a crash truncated
        try:
            lines = whole.decode("utf-8").splitlines(keepends=True)
        except UnicodeDecodeError as error:
            raise RunError(
                f"{self._file}: not UTF-8 text: {error}; choose another --out"
            ) from error
        if lines and next(csv.reader([lines[0]])) != list(self._columns):
            raise RunError(
                f"{self._file}: its columns differ from those of this version; choose another --out"
            )
        for number, line in enumerate(lines[1:], 2):
            try:
                values = next(csv.reader([line]), [])
                row = {
                    column: _value(text, column in self._texts)
                    for column, text in zip(self._columns, values, strict=True)
                }
            except (
                ValueError,
                csv.Error,
            ):  # a wrong number of values, or text in place of a number
                raise RunError(
                    f"{self._file}:{number}: a corrupt line; delete it to measure its cell again"
                ) from None
            self.rows[row["key"]] = row
        if len(whole) < len(content):
            with writable(self._file):
                os.truncate(self._file, len(whole))


def _line(values: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(
        [" ".join(v.split()) if isinstance(v, str) else v for v in values]
    )
    return text.getvalue()


def _value(text: str, is_text: bool) -> Any:
    """Return the text itself if `is_text`, else a number, or None if empty."""
    if is_text:
        return text
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        return float(text)

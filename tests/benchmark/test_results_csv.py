"""The CSV file: rows come back as appended, and a truncated line is dropped."""

from __future__ import annotations

import pytest

from fmcore.benchmark.results_csv import COLUMNS, ResultsCsv
from fmcore.errors import RunError

ROW = {"key": "a", "solver": "x(y=1, z=2)", "nfe": 8, "error_rms": 0.1 + 0.2, "reason": "a\nb, c"}


def test_a_row_comes_back_as_it_was(tmp_path):
    ResultsCsv(tmp_path / "cells.csv").add(ROW)
    found = ResultsCsv(tmp_path / "cells.csv").rows["a"]
    assert tuple(found) == COLUMNS
    assert {k: found[k] for k in ("solver", "nfe", "error_rms", "reason", "tol", "grid")} == {
        "solver": "x(y=1, z=2)",
        "nfe": 8,
        "error_rms": 0.1 + 0.2,
        "reason": "a b, c",
        "tol": None,
        "grid": "",
    }


def test_a_truncated_last_line_is_removed(tmp_path):
    file = tmp_path / "cells.csv"
    results_csv = ResultsCsv(file)
    results_csv.add(ROW)
    whole = file.read_bytes()
    results_csv.add({**ROW, "key": "b"})
    for length in range(len(whole), len(file.read_bytes())):
        file.write_bytes((whole + whole.splitlines(keepends=True)[1])[:length])
        assert list(ResultsCsv(file).rows) == ["a"]
        assert file.read_bytes() == whole


def test_a_truncated_head_is_written_again(tmp_path):
    file = tmp_path / "cells.csv"
    file.write_text("key,prob")
    ResultsCsv(file).add(ROW)
    assert list(ResultsCsv(file).rows) == ["a"]


def test_a_file_with_other_columns_or_a_corrupt_line_is_refused(tmp_path):
    file = tmp_path / "cells.csv"
    file.write_text("key,other\n")
    with pytest.raises(RunError, match="choose another --out"):
        ResultsCsv(file)
    file.unlink()
    ResultsCsv(file).add(ROW)
    file.write_text(file.read_text() + "b,1\n")
    with pytest.raises(RunError, match=r"cells\.csv:3: a corrupt line"):
        ResultsCsv(file)

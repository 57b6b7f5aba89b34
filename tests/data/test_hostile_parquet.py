"""Untrusted parquet files: wrong columns, rows without images, bombs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from fmcore_data import archives
from fmcore_data.huggingface import HuggingFace

sys.path.insert(0, str(Path(__file__).parent))
from hostile import png, refused


def test_columns_are_chosen_by_name_and_wrong_ones_named(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"one": [png()], "two": [png()], "fine_label": [3], "text": ["x"]})
    pq.write_table(table, tmp_path / "train.parquet")
    root = str(tmp_path)
    assert "name one with data.image_column=NAME" in refused(HuggingFace(root=root))
    assert "no column 'three'" in refused(HuggingFace(root=root, image_column="three"))
    wrong = HuggingFace(root=root, image_column="one", label_column="text")
    assert "not a class number" in refused(wrong)
    data = HuggingFace(root=root, image_column="one")
    assert (data.length, data.classes) == (1, 4)


def test_withheld_labels_and_rows_without_bytes_are_named(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    image = pa.array([{"bytes": png(), "path": None}], kind)
    pq.write_table(pa.table({"image": image, "label": [-1]}), tmp_path / "train.parquet")
    assert "withheld" in refused(HuggingFace(root=str(tmp_path)))
    gone = pa.array([{"bytes": None, "path": "a.png"}], kind)
    pq.write_table(pa.table({"image": gone, "label": [0]}), tmp_path / "train.parquet")
    assert "train.parquet: row 0 has no bytes" in refused(HuggingFace(root=str(tmp_path)))


def test_files_with_different_columns_are_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"image": [png()]}), tmp_path / "train-0.parquet")
    pq.write_table(pa.table({"img": [png()]}), tmp_path / "train-1.parquet")
    assert "different columns" in refused(HuggingFace(root=str(tmp_path)))


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "train.parquet").write_bytes(b"PAR1 no")
    assert "cannot read" in refused(HuggingFace(root=str(tmp_path)))


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_column_name_that_is_not_text_is_refused(suffix, tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    file, table = tmp_path / f"train.{suffix}", pa.table({"image": [png()], "label": [0]})
    if suffix == "parquet":
        pq.write_table(table, file)
    else:
        with pa.ipc.new_stream(str(file), table.schema) as writer:
            writer.write_table(table)
    file.write_bytes(file.read_bytes().replace(b"label", b"\x80abel"))
    assert "cannot read" in refused(HuggingFace(root=str(tmp_path)))


def test_a_parquet_of_one_value_repeated_is_refused_as_it_expands(tmp_path, monkeypatch):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(archives, "SMALL", 1 << 20)
    pq.write_table(pa.table({"image": [os.urandom(8_000)] * 2_000}), tmp_path / "train.parquet")
    assert "claims to expand" in refused(HuggingFace(root=str(tmp_path)))

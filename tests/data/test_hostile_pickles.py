"""Untrusted pickles: those that would run code or never end are refused."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from fmcore import DataError
from fmcore_data.npz import Npz
from fmcore_data.pickles import read_pickle

sys.path.insert(0, str(Path(__file__).parent))
from hostile import ROWS, SIZE, Evil, Nested, refused


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("harm", [Evil, Nested])
def test_a_pickle_that_calls_a_function_is_refused_and_does_not(
    protocol, harm, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "val_data").write_bytes(pickle.dumps({"data": harm()}, protocol))
    message = refused(Npz(root=str(tmp_path), split="test", image_size=SIZE))
    assert "refused" in message
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_arrays_of_every_protocol_are_read(protocol, tmp_path):
    file = tmp_path / "batch"
    content = {b"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, 2]}
    file.write_bytes(pickle.dumps(content, protocol))
    found = read_pickle(file)
    assert found["labels"] == [1, 2]
    assert np.array_equal(found["data"], content[b"data"])


def test_an_array_as_python_2_wrote_it_is_read(tmp_path):
    """The Python version of CIFAR-10: protocol 2 with byte strings, numpy.core.multiarray."""
    values = bytes(range(6))
    head = b"\x80\x02}q\x00U\x04dataq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray"
    head += b"\nq\x03K\x00\x85q\x04U\x01bq\x05\x87q\x06Rq\x07(K\x01K\x02K\x03\x86q\x08cnumpy\ndtype"
    head += b"\nq\tU\x02u1q\nK\x00K\x01\x87q\x0bRq\x0c(K\x03U\x01|q\rNNNJ\xff\xff\xff\xffJ\xff\xff"
    head += b"\xff\xffK\x00tq\x0eb\x89U\x06" + values + b"q\x0ftq\x10bs."
    (tmp_path / "batch").write_bytes(head)
    assert read_pickle(tmp_path / "batch")["data"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04cnumpy\nndarray\n(K\x01\x85R.",  # ndarray called outright
        b"\x80\x04cbuiltins\neval\n(X\x01\x00\x00\x001tR.",
        b"\x80\x04cnumpy\ndtype\n(X\x01\x00\x00\x00OtR.",
        b"\x80\x04Pwhere\n.",
        b"\x80\x04X\xff\xff\xff\x7fab",  # two gigabytes promised, two bytes there
        b"not a pickle",
        b"",
        pickle.dumps([1, 2]),
    ],
)
def test_other_pickles_are_refused(content, tmp_path):
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(DataError, match="batch"):
        read_pickle(tmp_path / "batch")


def pickle_of(tmp_path, labels: bytes, key: bytes = b"X\x06\0\0\0labels") -> str:
    """The refusal of a batch whose `labels`, or another key, are made by these opcodes."""
    rows = pickle.dumps(ROWS, 2)[2:-1]
    (tmp_path / "val_data").write_bytes(b"\x80\x02}(X\x04\0\0\0data" + rows + key + labels + b"u.")
    return refused(Npz(root=str(tmp_path), split="test", image_size=SIZE))


def test_a_pickle_that_stands_for_a_thousand_billion_labels_is_refused(tmp_path):
    laughs = b"]q\1" + b"0]q\2(h\1h\1eq\1" * 40
    assert "not a list of integers" in pickle_of(tmp_path, laughs)


def test_a_pickle_whose_key_takes_years_to_hash_is_refused(tmp_path):
    assert "tuple of over 1000 values" in pickle_of(tmp_path, b"K\1", key=b"K\1" + b"2\x86" * 40)


def test_a_pickle_with_tuples_too_deep_for_the_stack_is_refused(tmp_path):
    assert "tuple of over 1000 values" in pickle_of(tmp_path, b"K\1", key=b")" + b"\x85" * 100_000)


def test_a_pickle_with_a_memo_of_gigabytes_is_refused(tmp_path):
    assert "as no writer does" in pickle_of(tmp_path, b"K\1r\xff\xff\xff\x7f")


def test_a_pickled_array_of_records_is_refused(tmp_path):
    content = {"data": ROWS, "labels": np.zeros(2, [("a", "u1")])}
    (tmp_path / "val_data").write_bytes(pickle.dumps(content, 2))
    assert "not of numbers: refused" in refused(
        Npz(root=str(tmp_path), split="test", image_size=SIZE)
    )

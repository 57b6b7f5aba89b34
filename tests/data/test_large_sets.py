"""Datasets that do not fit in memory: read in order, refused in random order."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fmcore import DataError
from fmcore.interfaces.fingerprint import image_fingerprint
from fmcore_data import shards
from fmcore_data.npz import Npz
from fmcore_data.packed import PackedImages
from fmcore_data.packing import pack
from fmcore_data.shards import Shard, Shards

sys.path.insert(0, str(Path(__file__).parent))
import standins


@pytest.fixture
def small_memory(monkeypatch):
    """Room for one batch of the stand-in."""
    monkeypatch.setattr(shards, "KEPT_BYTES", 10 * 3 * standins.SIZE**2)


def test_a_deflated_set_is_read_in_order_in_little_memory(tmp_path, small_memory):
    standins.npz_deflated(tmp_path)
    data = Npz(root=str(tmp_path), image_size=standins.SIZE)
    pack(data, tmp_path / "out")
    assert torch.equal(
        PackedImages(root=str(tmp_path / "out")).batch(range(23))["x1"],
        torch.from_numpy(standins.images("train")[0]),
    )
    assert sum(held for _, held in data._images._kept.values()) <= 1


def test_a_deflated_set_in_random_order_is_refused_with_the_remedy(tmp_path, small_memory):
    standins.npz_deflated(tmp_path)
    data = Npz(root=str(tmp_path), image_size=standins.SIZE)
    with pytest.raises(DataError, match="fmcore data pack"):
        shuffled_epochs(data, 100)


def test_a_stored_set_in_random_order_needs_no_memory(tmp_path, small_memory):
    standins.npz(tmp_path)
    data = Npz(root=str(tmp_path), image_size=standins.SIZE)
    shuffled_epochs(data, 100)


def shuffled_epochs(data, count):
    for _ in range(count):
        data.batch([0, 11, 22])


class Counting(Shard):
    count = 4

    def __init__(self, first: int) -> None:
        self.first = first

    def pixels(self):
        values = np.arange(self.first, self.first + 4, dtype=np.uint8)
        return values.reshape(4, 1, 1, 1), True


def test_an_index_finds_its_shard():
    images = Shards([Counting(0), Counting(4), Counting(8)], (1, 1, 1), None, 0)
    rows = np.array([11, 0, 4, 3, 8, 7, 7])
    assert images.read(rows).ravel().tolist() == rows.tolist()


def test_the_fingerprint_of_a_large_set_reads_a_part_of_it():
    seen = []

    def read(rows):
        seen.extend(rows.tolist())
        return np.zeros((len(rows), 1, 1, 1), np.uint8)

    image_fingerprint(1_281_167, (1, 1, 1), None, read)
    assert len(seen) == 4096
    assert seen[0] == 0
    assert seen[-1] == 1_281_166
    assert seen == sorted(seen)

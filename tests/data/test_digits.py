from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits

from fmcore_data.digits import Digits


def test_digits_are_scikit_learns_split_in_two():
    pixels, labels = load_digits(return_X_y=True)
    theirs = sorted((row.tobytes(), int(label)) for row, label in zip(pixels, labels, strict=True))
    ours = []
    for split, length in (("train", 1500), ("test", 297)):
        data = Digits(split=split)
        assert data.length == length
        batch = data.batch(range(length))
        rows = batch["x1"].flatten(1).numpy().astype(np.float64)
        ours += [(row.tobytes(), int(k)) for row, k in zip(rows, batch["label"], strict=True)]
    assert sorted(ours) == theirs


def test_digits_have_seventeen_levels_and_all_classes_are_held_out():
    batch = Digits(split="test").batch(range(297))
    assert int(batch["x1"].max()) == 16
    assert torch.bincount(batch["label"]).min() >= 20


def test_the_split_never_changes():
    """Results on the held-out digits are compared between versions."""
    assert Digits().fingerprint == "edf8515fd93f6052"

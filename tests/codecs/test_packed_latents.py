"""`fmcore data pack --codec`: latents are encoded once, and read by runs with the same codec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from fmcore import Codec, DataError, Decoded, FmcoreWarning, create
from fmcore.training.batches import Batches
from fmcore_data.packed import PackedImages


@dataclass(frozen=True)
class Doubled(Codec):
    """Twice the values, and counts its calls."""

    factor: float = 2.0
    calls: ClassVar[list[int]] = []

    def encode(self, x1, rows):
        self.calls.append(len(x1))
        return self.factor * x1

    def decode(self, x, condition=None):
        return Decoded(x / self.factor)


@pytest.fixture
def packed(tmp_path) -> Path:
    digits = create("data", "digits", dequantize="none")
    root = tmp_path / "packed"
    PackedImages.write(digits, root, ["train"], {}, lambda *_: None, Doubled())
    return root


def batches(data, codec) -> Batches:
    return Batches(
        data,
        create("path", "linear"),
        create("coupling", "independent"),
        create("objective", "flow_matching"),
        batch_size=8,
        seed=0,
        codec=codec,
    )


def test_stored_latents_are_those_of_each_batch(packed):
    codec, data = Doubled(), create("data", "packed", root=str(packed), dequantize="none")
    codec.calls.clear()
    read = batches(data, codec).pairs(3, range(8)).x1
    assert codec.calls == []
    digits = create("data", "digits", dequantize="none")
    encoded = batches(digits, codec).pairs(3, range(8)).x1
    assert codec.calls == [8]
    assert torch.equal(read, encoded)


def test_latents_of_another_codec_are_not_used_and_this_is_a_warning(packed):
    data = create("data", "packed", root=str(packed), dequantize="none")
    with pytest.warns(FmcoreWarning, match="of another codec: the images are encoded in each"):
        assert data.latents(Doubled(3.0), [0]) is None
    assert data.latents(Doubled(3.0), [1]) is None  # warned once
    assert data.latents(Doubled(), [1]) is not None


def test_with_flips_the_images_are_encoded_in_each_batch(packed):
    assert create("data", "packed", root=str(packed), flip=True).latents(Doubled(), [0]) is None


def test_images_packed_without_a_codec_have_no_latents(tmp_path):
    digits = create("data", "digits")
    PackedImages.write(digits, tmp_path / "p", ["train"], {}, lambda *_: None)
    data = create("data", "packed", root=str(tmp_path / "p"))
    assert data.latents(Doubled(), [0]) is None


def test_latents_that_do_not_fit_their_manifest_are_refused(packed):
    import numpy as np

    np.save(packed / "train.latents.npy", np.zeros((2, 1, 8, 8), np.float32))
    data = create("data", "packed", root=str(packed))
    with pytest.raises(DataError, match="its manifest has float32"):
        data.batch([0])

"""The handwritten digits of scikit-learn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import final

import numpy as np

from fmcore import DataError
from fmcore_data.storage import Arrays, Images, StoredImages

__all__ = ["Digits"]

HELD_OUT = 297
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@final
@dataclass(frozen=True)
class Digits(StoredImages):
    """1,797 images of 1x8x8 with 17 levels and ten classes: 1,500 to train on, 297 held out.

    The held-out images are those whose index has the lowest hash, so that no version of a random
    generator changes them.  Source: Alpaydin & Kaynak 1998, "Optical Recognition of
    Handwritten Digits", UCI.
    """

    @property
    def levels(self) -> int:
        return 17

    @property
    def shape(self) -> tuple[int, ...]:
        return (1, 8, 8)

    @property
    def classes(self) -> int:
        return len(NAMES)

    @property
    def class_names(self) -> tuple[str, ...]:
        return NAMES

    def _open(self) -> Images:
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise DataError(
                "data 'digits' comes with scikit-learn, which is not installed: "
                "pip install scikit-learn"
            ) from error
        pixels, labels = load_digits(return_X_y=True)
        order = sorted(range(len(pixels)), key=_shuffled)
        own = order[HELD_OUT:] if self.split == "train" else order[:HELD_OUT]
        images = pixels[own].reshape(-1, 1, 8, 8).astype(np.uint8)
        return Arrays(images, labels[own].astype(np.int64), classes=10)


def _shuffled(index: int) -> bytes:
    return hashlib.blake2b(f"digits/{index}".encode(), digest_size=8).digest()

"""Helpers of the tests of untrusted files."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmcore import DataError

sys.path.insert(0, str(Path(__file__).parent))
import standins

SIZE = standins.SIZE


def refused(data) -> str:
    with pytest.raises(DataError) as caught:
        data.batch(range(data.length))
    return str(caught.value)


def png(size=(SIZE, SIZE), mode="RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, "png")
    return stream.getvalue()


class Evil:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


class Nested:
    """An array of objects, whose elements are pickled too."""

    def __reduce__(self):
        return np.array([Evil()], dtype=object).__reduce__()


ROWS = np.zeros((2, 3 * SIZE * SIZE), np.uint8)

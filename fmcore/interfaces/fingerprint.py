"""The fingerprint of a set of images: the same in whatever format they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["image_fingerprint"]

HASHED_WHOLE = 65_536
HASHED_OF_LARGER = 4_096
CHUNK = 1_024


def image_fingerprint(
    count: int,
    shape: tuple[int, ...],
    labels: npt.NDArray[Any] | None,
    read: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.uint8]],
) -> str:
    """A hash of count, shape, labels and pixels, 16 hexadecimal digits; `read` gives the images at
    some indices, `(n, *shape)`.

    Sets above 65,536 images are too long to decode at every start; of those, the pixels of 4,096
    images at even distances are hashed, beside all labels.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"images 1/{count}/{tuple(map(int, shape))}".encode())
    if labels is not None:
        digest.update(np.asarray(labels).astype("<i8").tobytes())
    hashed = count if count <= HASHED_WHOLE else HASHED_OF_LARGER
    rows = np.linspace(0, count - 1, hashed).round().astype(np.int64)
    for first in range(0, len(rows), CHUNK):
        digest.update(read(rows[first : first + CHUNK]).tobytes())
    return digest.hexdigest()

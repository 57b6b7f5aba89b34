"""Labels as class numbers.

Labels are class numbers from 0 as the file gives them, and the highest + 1 is the number of
classes: labels {3, 7} make eight classes, six of them without images."""

from __future__ import annotations

import numpy as np

from fmcore import DataError
from fmcore_data.storage import Labels

__all__ = ["MAX_CLASSES", "check_labels"]

MAX_CLASSES = 1_000_000
"""More than any labelled dataset has.  A network has a row of weights for each class, so that one
label of 10^12 in a file of a kilobyte would exhaust memory."""


def check_labels(values: object, where: str) -> Labels:
    """`values`, a flat list or a one-dimensional array of integers, as labels.

    Raises DataError for anything else.  Nested lists are refused before they are read: a few bytes
    of a pickle can stand for 2^40 values.
    """
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise DataError(f"{where}: {values.dtype} labels of shape {values.shape}, not integers")
        within = not values.size or (values.min() >= 0 and values.max() < MAX_CLASSES)
    elif isinstance(values, list | tuple) and all(type(value) is int for value in values):
        within = all(0 <= value < MAX_CLASSES for value in values)
    else:
        raise DataError(f"{where}: the labels are not a list of integers")
    if not within:
        raise DataError(f"{where}: a label is not a class number, 0 .. {MAX_CLASSES - 1}")
    return np.array(values, np.int64)

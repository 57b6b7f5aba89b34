"""Class numbers as files from strangers give them."""

from __future__ import annotations

import numpy as np

from fmcore import DataError
from fmcore_data.storage import Labels

__all__ = ["MOST_CLASSES", "class_numbers"]

MOST_CLASSES = 1_000_000
"""More than any labelled set has.  A network makes a row of weights for each class, so that one
label of 10^12 in a file of a kilobyte would exhaust memory."""


def class_numbers(values: object, where: str) -> Labels:
    """`values`, a flat list of integers or an array of them in one dimension, as labels.

    Raises DataError for anything else.  Lists inside lists are refused unread: a few bytes of a
    pickle can stand for 2^40 of them.
    """
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise DataError(f"{where}: {values.dtype} labels of shape {values.shape}, not integers")
        within = not values.size or (values.min() >= 0 and values.max() < MOST_CLASSES)
    elif isinstance(values, list | tuple) and all(type(value) is int for value in values):
        within = all(0 <= value < MOST_CLASSES for value in values)
    else:
        raise DataError(f"{where}: the labels are not a list of integers")
    if not within:
        raise DataError(f"{where}: a label is not the number of a class, 0 .. {MOST_CLASSES - 1}")
    return np.array(values, np.int64)

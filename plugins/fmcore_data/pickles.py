"""Pickles of numpy arrays from strangers, read without running anything of theirs.

A pickle may call any function it names.  This unpickler knows four names, those which an array of
numbers is written with, and gives each a function of ours.
"""

from __future__ import annotations

import pickle
from pathlib import Path as FilePath
from typing import Any, NoReturn, final

import numpy as np

from fmcore import DataError

__all__ = ["read_pickle"]

NUMBERS = frozenset({"u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "b1"})


def read_pickle(file: FilePath) -> dict[str, Any]:
    """The dictionary that `file` holds, of numbers, texts, lists and arrays, its keys as text.

    Raises DataError for anything else, and for a file that is damaged.
    """
    try:
        with file.open("rb") as stream:
            found = _Unpickler(stream, encoding="latin1").load()
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(f"cannot read the pickle {file}: {error!r}; fetch it again") from error
    if not isinstance(found, dict):
        raise DataError(f"{file} holds a {type(found).__name__}, not a dictionary of arrays")
    return {k.decode("latin1") if isinstance(k, bytes) else str(k): v for k, v in found.items()}


@final
class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("numpy", "dtype"): _dtype,
            ("numpy", "ndarray"): "ndarray",  # a word: nothing can be made of it but below
            ("_codecs", "encode"): _encode,  # how Python 3 writes bytes for Python 2
        }
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _reconstruct
        if (module, name) not in known:
            raise DataError(
                f"the pickle wants to call {module}.{name}, which no array of numbers needs: "
                "refused, for it could run anything"
            )
        return known[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:
        raise DataError("the pickle refers to objects outside itself: refused")


def _dtype(name: str, *_: bool) -> np.dtype[Any]:
    """A number type; a copy, which the pickle may then set the byte order of."""
    if name not in NUMBERS:
        raise DataError(f"the pickle holds an array of {name!r}, which are no numbers: refused")
    return np.dtype(name, False, True)  # not aligned, a copy


def _reconstruct(kind: str, shape: tuple[int, ...], code: bytes) -> np.ndarray[Any, Any]:
    """An empty array, whose content the pickle brings with it."""
    return np.ndarray((0,), np.uint8)


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise DataError(f"the pickle encodes text as {encoding!r}: refused")
    return text.encode("latin1")

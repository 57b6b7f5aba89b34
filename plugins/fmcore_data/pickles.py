"""Untrusted pickles of numpy arrays, read without running their code.

A pickle may call any function that it names.  This unpickler knows the four names in the pickle of
an array of numbers, and replaces each by a safe function.  The opcodes are checked first
(`fmcore_data.opcodes`).
"""

from __future__ import annotations

import pickle
from pathlib import Path as FilePath
from typing import Any, NoReturn, final

import numpy as np

from fmcore import DataError
from fmcore_data.opcodes import check_opcodes

__all__ = ["read_pickle"]

NUMBERS = frozenset({"u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "b1"})


def read_pickle(file: FilePath) -> dict[str, Any]:
    """The dictionary in `file`, of numbers, texts, lists and arrays, with its keys as text.

    Raises DataError for anything else, and for a file that is damaged.
    """
    try:
        with file.open("rb") as stream:
            check_opcodes(stream)
            stream.seek(0)
            found = _Unpickler(stream, encoding="latin1").load()
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(f"cannot read the pickle {file}: {error!r}; fetch it again") from error
    if not isinstance(found, dict):
        raise DataError(f"{file} contains a {type(found).__name__}, not a dictionary of arrays")
    return {_text(key): _numpy(value) for key, value in found.items()}


def _text(key: object) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)


def _numpy(value: object) -> object:
    return value.values if isinstance(value, _Array) else value


@final
class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("numpy", "dtype"): _DType,
            ("numpy", "ndarray"): "ndarray",  # a text, which only `_Array` below accepts
            ("_codecs", "encode"): _encode,  # how Python 3 writes bytes for Python 2
        }
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _Array
        if (module, name) not in known:
            raise DataError(
                f"the pickle wants to call {module}.{name}, which no array of numbers needs: "
                "refused, since it could run any code"
            )
        return known[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:
        raise DataError("the pickle refers to objects outside itself: refused")


@final
class _DType:
    """A number type and its byte order; numpy's own would accept any state from the pickle."""

    def __init__(self, name: object, *_: object) -> None:
        if not isinstance(name, str) or name not in NUMBERS:
            shown = repr(name) if isinstance(name, str) else type(name).__name__
            raise DataError(f"the pickle contains an array of {shown}, not of numbers: refused")
        self.numpy = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        _, order, *inside = state
        if order not in ("|", "<", ">", "=") or any(part is not None for part in inside[:3]):
            raise DataError("the pickle contains an array of records, not of numbers: refused")
        self.numpy = self.numpy.newbyteorder(order)


@final
class _Array:
    """An array whose content is the state in the pickle."""

    values: np.ndarray[Any, Any] = np.empty(0, np.uint8)

    def __init__(self, kind: object, shape: object, code: object) -> None:
        pass  # the arguments describe an empty array, which `__setstate__` fills

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, content = state
        if not isinstance(kind, _DType) or not isinstance(content, bytes | str):
            raise DataError("the pickle contains an array of objects: refused")
        raw = content.encode("latin1") if isinstance(content, str) else content  # of Python 2
        if any(type(n) is not int or n < 0 for n in shape):
            raise DataError("the pickle contains an array without a shape: refused")
        flat = np.frombuffer(raw, kind.numpy)
        self.values = flat.reshape(shape, order="F" if fortran else "C")


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise DataError("the pickle encodes text in an encoding other than latin1: refused")
    return text.encode("latin1")

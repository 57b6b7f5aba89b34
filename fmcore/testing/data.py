"""The laws of `Dataset`, as checks on one data set."""

from __future__ import annotations

import dataclasses
import random
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from fmcore.errors import DataError
from fmcore.interfaces.dataset import Dataset
from fmcore.testing.checks import require, require_equal, skip
from fmcore.testing.suite import Suite

__all__ = ["DatasetSuite"]

LOOKED_AT = 65_536
"""How many examples of a split are compared with the other's; real sets have millions."""

CHANCE_REPEATS = 0.05
"""Real sets hold a few pictures twice; a split that leaks holds them all."""


class DatasetSuite(Suite):
    """Override `component()` to build the data set; its files, if any, must be there.

    `missing()` builds it with its files away; by default its option `root` is pointed nowhere.
    """

    def missing(self) -> Dataset | None:
        """The data set without its files; None if it needs none."""
        data = self.component()
        if "root" not in {field.name for field in dataclasses.fields(data)}:
            return None
        away: Dataset = dataclasses.replace(data, root="/nonexistent/fmcore-data")
        return away

    def test_is_a_frozen_dataclass(self) -> None:
        """A data set is a frozen dataclass derived from Dataset: its fields are its options."""
        data = self.component()
        require(isinstance(data, Dataset), f"{type(data).__name__} is not a Dataset")
        parameters = getattr(type(data), "__dataclass_params__", None)
        require(
            parameters is not None and parameters.frozen,
            f"{type(data).__name__} is not a frozen dataclass",
        )

    def test_constructing_opens_no_file(self) -> None:
        """The constructor is cheap: only a look at the content opens files."""
        data = self.component()
        with _opened_files() as opened:
            data.with_split(data.split)
        require(not opened, f"the constructor opened {', '.join(opened[:3])}")

    def test_batches_have_the_declared_shape_and_type(self) -> None:
        """`x1` is `(batch, *shape)` on the CPU: uint8 below `levels`, or float32 without levels."""
        data = self.component()
        require(data.length > 0, "the data set holds no example")
        x1 = data.batch(_some(data))["x1"]
        wanted = (len(_some(data)), *data.shape)
        require(x1.shape == wanted, f"x1 has shape {tuple(x1.shape)}, should be {wanted}")
        require(x1.device.type == "cpu", f"x1 lies on {x1.device}, should be on the CPU")
        kind = torch.float32 if data.levels is None else torch.uint8
        require(x1.dtype == kind, f"x1 is {x1.dtype}, should be {kind} (levels = {data.levels})")
        if data.levels is None:
            require(bool(x1.isfinite().all()), "x1 is not finite")
        else:
            require(int(x1.max()) < data.levels, f"x1 reaches {x1.max()}, levels = {data.levels}")

    def test_labels_lie_below_classes(self) -> None:
        """Conditions have a row per example; `label` is int64 in [0, classes), and exists exactly
        if `classes` > 0."""
        data = self.component()
        batch, n = data.batch(_some(data)), len(_some(data))
        for name, value in batch.items():
            require(len(value) == n, f"'{name}' has {len(value)} rows for {n} examples")
        if "label" not in batch:
            require(data.classes == 0, f"classes = {data.classes}, but batches have no 'label'")
            return
        label = batch["label"]
        require(label.dtype == torch.int64, f"labels are {label.dtype}, should be torch.int64")
        low, high = int(label.min()), int(label.max())
        require(
            0 <= low <= high < data.classes,
            f"labels run from {low} to {high}, should be in [0, {data.classes})",
        )

    def test_equal_options_give_equal_examples(self) -> None:
        """Two data sets of equal options give the same bits, without any global random numbers."""
        first, second = self.component(), self.component()
        state = _global_randomness()
        one, other = first.batch(_some(first)), second.batch(_some(second))
        require(_global_randomness() == state, "reading drew from a global random generator")
        require(one.keys() == other.keys(), f"entries differ: {[*one]} and {[*other]}")
        for name in one:
            require_equal(other[name], one[name], f"'{name}' of a second data set like the first")

    def test_row_i_comes_from_index_i_alone(self) -> None:
        """Whatever the order, the company or the repeats, index i gives the same row."""
        data = self.component()
        indices = _some(data)
        ordered = data.batch(indices)
        for place, index in enumerate(indices):
            for name, value in data.batch([index]).items():
                message = f"'{name}' of index {index} alone, and in a batch"
                require_equal(value[0], ordered[name][place], message)
        mixed = data.batch([*reversed(indices), indices[0], indices[0]])
        for name, value in ordered.items():
            again = torch.cat([value.flip(0), value[:1], value[:1]])
            require_equal(mixed[name], again, f"'{name}' in reverse order, with repeats")

    def test_a_batch_belongs_to_the_caller(self) -> None:
        """Writing into a batch changes nothing that is read later."""
        data = self.component()
        indices = _some(data)
        taken = data.batch(indices)
        before = {name: value.clone() for name, value in taken.items()}
        for value in taken.values():
            value.zero_()
        for name, value in data.batch(indices).items():
            require_equal(value, before[name], f"'{name}', read again after the first was zeroed")

    def test_the_fingerprint_names_the_content(self) -> None:
        """Equal data have equal fingerprints, short and hexadecimal; the two splits' differ."""
        data = self.component()
        mark = data.fingerprint
        require(
            re.fullmatch(r"[0-9a-f]{8,64}", mark) is not None,
            f"fingerprint {mark!r} is not 8 to 64 hexadecimal digits",
        )
        again = self.component().fingerprint
        require(again == mark, f"fingerprint {mark}, and {again} of the same data built again")
        other = _other(data)
        require(other.fingerprint != mark, f"both splits have the fingerprint {mark}")

    def test_splits_share_no_example(self) -> None:
        """No example of one split is in the other."""
        data = self.component()
        here, there = (_examples(split) for split in (data, _other(data)))
        # Points on a grid or tiny pictures may meet by chance; a leak repeats all of a split.
        shared = len(here & there) / min(len(here), len(there))
        require(
            shared <= CHANCE_REPEATS,
            f"{shared:.0%} of the smaller split's examples are in the other split too",
        )

    def test_with_split_comes_back(self) -> None:
        """The other split of the other split is this data set."""
        data = self.component()
        back = _other(data).with_split(data.split)
        require(back == data, f"{data!r} became {back!r}")
        require(back.fingerprint == data.fingerprint, "its fingerprint changed on the way")

    def test_missing_files_are_a_data_error_with_a_remedy(self) -> None:
        """Without its files, the first look raises DataError naming the option that says where they
        are."""
        data = self.missing()
        if data is None:
            skip("needs no files")
        try:
            data.length  # noqa: B018  # the look
        except DataError as error:
            require(
                "data." in str(error),
                f"the message names no option (data.root=..., say) to set: {error}",
            )
            return
        except Exception as error:
            raise AssertionError(f"missing files raise {error!r}, should be DataError") from error
        raise AssertionError("missing files raise nothing")


def _some(data: Dataset) -> list[int]:
    """A few indices from one end to the other, not in order."""
    last = data.length - 1
    return list(dict.fromkeys([last, 0, last // 2, last // 3, min(1, last)]))


def _other(data: Dataset) -> Dataset:
    """The other split; a set that has only one skips the check."""
    other = data.with_split("test" if data.split == "train" else "train")
    try:
        other.length  # noqa: B018  # opens the files
    except DataError as error:
        skip(f"has only the split '{data.split}': {error}")
    return other


def _examples(data: Dataset) -> set[bytes]:
    step = max(1, -(-data.length // LOOKED_AT))
    found: set[bytes] = set()
    indices = range(0, data.length, step)
    for first in range(0, len(indices), 512):
        x1 = data.batch(indices[first : first + 512])["x1"]
        found.update(row.numpy().tobytes() for row in x1)
    return found


def _global_randomness() -> tuple[Any, ...]:
    numpy_state = [np.asarray(part).tobytes() for part in np.random.get_state()]
    return random.getstate(), numpy_state, torch.get_rng_state().numpy().tobytes()


class _Watch(threading.local):
    opened: list[str] | None = None


_watch = _Watch()


def _note(event: str, arguments: Sequence[Any]) -> None:
    if _watch.opened is not None and event == "open" and isinstance(arguments[0], str | bytes):
        name = arguments[0] if isinstance(arguments[0], str) else arguments[0].decode()
        if not name.endswith((".py", ".pyc", ".so")):
            _watch.opened.append(name)


@contextmanager
def _opened_files() -> Iterator[list[str]]:
    """The files that this thread opens, modules apart."""
    if _note not in _hooked:  # an audit hook stays for good, so there is one
        sys.addaudithook(_note)
        _hooked.append(_note)
    opened: list[str] = []
    _watch.opened = opened
    try:
        yield opened
    finally:
        _watch.opened = None


_hooked: list[Any] = []

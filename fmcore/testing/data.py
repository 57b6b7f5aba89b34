"""Checks of the laws of `Dataset`, on one dataset."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import re
import sys
import threading
import typing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch

from fmcore.errors import ComponentError, DataError
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.space import Tokens
from fmcore.testing.checks import require, require_close, require_equal, skip
from fmcore.testing.suite import Suite

__all__ = ["DatasetSuite"]

COMPARED_SAMPLES = 65_536
"""The most samples of a split that are compared with the other split; real datasets have
millions."""

COMPARED_PAIRS, COMPARED_ELEMENTS = 1024, 2**22
"""The most samples, and the most numbers in them, whose distances are computed."""

NEAR = 0.02
"""The distance of almost equal samples, in distances between neighbours of one split."""

CHANCE_REPEATS = 0.05
"""The largest share of samples that both splits may hold: real datasets repeat a few images, a leak
repeats all of a split."""

RECORDED_ALREADY = frozenset({"classes", "fingerprint", "length", "levels", "shape"})
"""The facts about data that fmcore writes to run.json itself."""


class DatasetSuite(Suite):
    """Override `component()` to build the dataset; its files, if any, must exist.

    `missing()` builds it without its files; by default its option `root` is a path that does not
    exist.
    """

    def missing(self) -> Dataset | None:
        """Return the dataset without its files; None if it needs none."""
        data = self.component()
        if "root" not in {field.name for field in dataclasses.fields(data)}:
            return None
        away: Dataset = dataclasses.replace(data, root="/nonexistent/fmcore-data")
        return away

    def test_is_a_frozen_dataclass(self) -> None:
        """A dataset is a frozen dataclass derived from Dataset: its fields are its options."""
        data = self.component()
        require(isinstance(data, Dataset), f"{type(data).__name__} is not a Dataset")
        parameters = getattr(type(data), "__dataclass_params__", None)
        require(
            parameters is not None and parameters.frozen,
            f"{type(data).__name__} is not a frozen dataclass",
        )

    def test_constructing_opens_no_file(self) -> None:
        """The constructor opens no file; only reading the content does."""
        data = self.component()
        with _opened_files() as opened:
            data.with_split(data.split)
        require(not opened, f"the constructor opened {', '.join(opened[:3])}")

    def test_batches_have_the_declared_shape_and_type(self) -> None:
        """`x1` is `(batch, *shape)` on the CPU: uint8 below `levels`, int64 tokens, else float32;
        its rows are points of `space`."""
        data = self.component()
        require(data.length > 0, "the dataset has no sample")
        x1 = data.batch(_some(data))["x1"]
        wanted = (len(_some(data)), *data.shape)
        require(x1.shape == wanted, f"x1 has shape {tuple(x1.shape)}, should be {wanted}")
        require(x1.device.type == "cpu", f"x1 is on {x1.device}, should be on the CPU")
        kind = torch.float32 if data.levels is None else torch.uint8
        kind = torch.int64 if isinstance(data.space, Tokens) else kind
        require(x1.dtype == kind, f"x1 is {x1.dtype}, should be {kind} (levels = {data.levels})")
        if data.levels is None:
            require(bool(x1.isfinite().all()), "x1 is not finite")
            data.space.check(tuple(data.shape))
            data.space.require(x1, "x1")
        else:
            require(int(x1.max()) < data.levels, f"x1 reaches {x1.max()}, levels = {data.levels}")

    def test_labels_lie_below_classes(self) -> None:
        """Conditions have a row per sample; `label` is int64 in [0, classes), and is there if and
        only if `classes` > 0."""
        data = self.component()
        batch, n = data.batch(_some(data)), len(_some(data))
        for name, value in batch.items():
            require(len(value) == n, f"'{name}' has {len(value)} rows for {n} samples")
        if "label" not in batch:
            require(data.classes == 0, f"classes = {data.classes}, but batches have no 'label'")
            return
        label = batch["label"]
        require(label.dtype == torch.int64, f"labels are {label.dtype}, should be torch.int64")
        low, high = int(label.min()), int(label.max())
        require(
            0 <= low <= high < data.classes,
            f"labels range from {low} to {high}, should be in [0, {data.classes})",
        )

    def test_conditions_are_those_that_entries_declares(self) -> None:
        """A batch gives the entries of `entries`, in their shapes and types, and no other; `encode`
        takes the values of a row."""
        data, indices = self.component(), _some(self.component())
        batch = {k: v for k, v in data.batch(indices).items() if k not in ("x0", "x1")}
        declared, given = sorted(data.entries), sorted(batch)
        require(declared == given, f"entries declares {declared}, and a batch gives {given}")
        for name, spec in data.entries.items():
            value, wanted = batch[name], (len(indices), *spec.shape)
            require(
                tuple(value.shape) == wanted,
                f"'{name}' has shape {tuple(value.shape)}, declared {wanted}",
            )
            kind = getattr(torch, spec.dtype)
            require(value.dtype == kind, f"'{name}' is {value.dtype}, declared {spec.dtype}")
            if name in data.takes:
                row = data.encode({name: value[0].tolist()})[name]
                require_equal(row, value[:1], f"'{name}' of a row, encoded from its numbers")

    def test_equal_options_give_equal_examples(self) -> None:
        """Two datasets of equal options give the same bits; no global generator is used."""
        first, second = self.component(), self.component()
        state = _global_randomness()
        one, other = first.batch(_some(first)), second.batch(_some(second))
        require(_global_randomness() == state, "reading drew from a global random generator")
        require(one.keys() == other.keys(), f"entries differ: {[*one]} and {[*other]}")
        for name in one:
            require_equal(
                other[name], one[name], f"'{name}' of a second dataset with equal options"
            )

    def test_row_i_comes_from_index_i_alone(self) -> None:
        """Index i gives the same row in any order, in any batch and when repeated."""
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

    def test_augmented_batches_have_points_of_the_declared_shape(self) -> None:
        """`augmented` gives `x1` as float32 of the data's shape, and keeps the conditions."""
        data = self.component()
        batch = data.batch(_some(data))
        found = data.augmented(dict(batch), _rows(len(_some(data))))
        require(
            found.keys() == batch.keys(),
            f"augmented gives {sorted(found)}, and batch {sorted(batch)}",
        )
        for name, value in found.items():
            wanted = batch[name].shape
            require(
                value.shape == wanted,
                f"'{name}' has shape {tuple(value.shape)} once augmented, was {tuple(wanted)}",
            )
        kind = found["x1"].dtype
        wanted_kind = torch.int64 if isinstance(data.space, Tokens) else torch.float32
        require(kind == wanted_kind, f"x1 is {kind} once augmented, should be {wanted_kind}")

    def test_augmented_row_i_comes_from_row_i_and_its_numbers_alone(self) -> None:
        """Row i of `augmented` is the same in any batch: it draws from `rows` alone."""
        data, indices = self.component(), _some(self.component())
        batch = data.batch(indices)  # read once: another check holds how batches are read
        state = _global_randomness()
        whole = data.augmented({k: v.clone() for k, v in batch.items()}, _rows(len(indices)))
        again = data.augmented({k: v.clone() for k, v in batch.items()}, _rows(len(indices)))
        require(_global_randomness() == state, "augmented drew from a global random generator")
        for place in reversed(range(len(indices))):
            row = {k: v[place : place + 1].clone() for k, v in batch.items()}
            alone = data.augmented(row, Rows(0, "augmented", 0, [place]))
            for name, value in whole.items():
                require_equal(again[name], value, f"'{name}' augmented again by equal rows")
                # not to the bit: a vectorised function may round the end of a batch in another way
                require_close(
                    alone[name][0],
                    value[place],
                    f"'{name}' of row {place} augmented alone, and in a batch",
                    rtol=1e-6,
                    atol=1e-6,
                )

    def test_sizes_are_the_lengths_of_the_examples(self) -> None:
        """`sizes` is None or `(length,)` int64 on the CPU, all positive, the same for equal
        options."""
        sizes = self.component().sizes
        if sizes is None:
            skip("the examples are of one size")
        length = self.component().length
        require(
            sizes.shape == (length,) and sizes.dtype == torch.int64 and sizes.device.type == "cpu",
            f"sizes is {sizes.dtype} {tuple(sizes.shape)} on {sizes.device}, should be int64 "
            f"({length},) on the CPU",
        )
        require(int(sizes.min()) > 0, f"sizes go down to {int(sizes.min())}, should be positive")
        require_equal(self.component().sizes, sizes, "sizes of a second dataset with equal options")

    def test_batches_share_no_memory(self) -> None:
        """Writing into a batch does not change later batches."""
        data = self.component()
        indices = _some(data)
        batch = data.batch(indices)
        before = {name: value.clone() for name, value in batch.items()}
        for value in batch.values():
            value.zero_()
        for name, value in data.batch(indices).items():
            require_equal(value, before[name], f"'{name}', read again after the first was zeroed")

    def test_fingerprint_identifies_the_content(self) -> None:
        """Equal data have equal fingerprints of 8 to 64 hexadecimal digits; the splits' differ."""
        data = self.component()
        fingerprint = data.fingerprint
        require(
            re.fullmatch(r"[0-9a-f]{8,64}", fingerprint) is not None,
            f"fingerprint {fingerprint!r} is not 8 to 64 hexadecimal digits",
        )
        again = self.component().fingerprint
        require(
            again == fingerprint,
            f"fingerprint {fingerprint}, but {again} of an equal dataset built again",
        )
        other = _other(data)
        require(other.fingerprint != fingerprint, f"both splits have fingerprint {fingerprint}")

    def test_fingerprint_depends_on_every_option(self) -> None:
        """An option that changes the samples changes the fingerprint."""
        data = self.component()
        before = _content(data)
        for option in dataclasses.fields(data):
            for value in _other_values(data, option.name):
                try:
                    other = dataclasses.replace(data, **{option.name: value})
                    changed = _content(other) != before
                except (ComponentError, DataError, OSError, IndexError, ValueError):
                    continue  # no value of this option, or one without files
                require(
                    not changed or other.fingerprint != data.fingerprint,
                    f"{option.name}={value!r} gives other samples and the same fingerprint",
                )

    def test_splits_share_no_example(self) -> None:
        """No sample of one split is in the other, neither to the bit nor nearly."""
        data = self.component()
        here, there = (_examples(split) for split in (data, _other(data)))
        # points on a grid or tiny images can be equal by chance; a leak repeats all of a split
        shared = len(here & there) / min(len(here), len(there))
        require(
            shared <= CHANCE_REPEATS,
            f"{shared:.0%} of the smaller split's samples are in the other split too",
        )
        near = _near_share(data, _other(data))
        require(
            near <= CHANCE_REPEATS,
            f"{near:.0%} of this split's samples are almost equal to one of the other split",
        )

    def test_with_split_is_reversible(self) -> None:
        """The other split of the other split is this dataset."""
        data = self.component()
        back = _other(data).with_split(data.split)
        require(back == data, f"{data!r} became {back!r}")
        require(back.fingerprint == data.fingerprint, "its fingerprint changed")

    def test_recorded_facts_are_json_of_the_content(self) -> None:
        """`recorded` is an object of JSON, the same for equal options, without the names that
        run.json uses for other facts."""
        recorded = dict(self.component().recorded)
        try:
            read = json.loads(json.dumps(recorded, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise AssertionError(f"recorded cannot be written as JSON: {error}") from error
        require(read == recorded, f"recorded is {recorded!r}, and JSON gives back {read!r}")
        if used := sorted(recorded.keys() & RECORDED_ALREADY):
            raise AssertionError(f"recorded has '{used[0]}', a name that run.json uses already")
        again = dict(self.component().recorded)
        require(again == recorded, f"recorded is {recorded!r}, but {again!r} of equal options")

    def test_recalled_data_keep_options_and_examples(self) -> None:
        """`recalled` gives the same options, split, fingerprint and examples, with the facts of the
        train split and with {}, and leaves the dataset as it was."""
        data = self.component()
        before, content = dataclasses.replace(data), _content(data)
        for facts in (_train_facts(data), {}):
            found = data.recalled(facts)
            require(found == before, f"recalled({facts!r}) gives {found!r}, was {before!r}")
            require(data == before, f"recalled({facts!r}) changed the dataset to {data!r}")
            same = found.fingerprint == data.fingerprint and _content(found) == content
            require(same, f"recalled({facts!r}) changed the fingerprint or the examples")

    def test_recalled_data_encode_what_the_train_split_has(self) -> None:
        """With the facts of the train split, and with {}, `recalled` declares the same entries, and
        `encode` takes the values of its rows."""
        data = self.component().with_split("train")
        facts = _train_facts(data)
        batch = data.batch(_some(data))
        for given in (facts, {}):
            found = data.recalled(given)
            declared = (found.entries, found.takes, found.classes)
            require(
                declared == (data.entries, data.takes, data.classes),
                f"recalled({given!r}) declares other entries or classes",
            )
            for name in data.entries.keys() & set(data.takes) & batch.keys():
                for value in batch[name]:
                    row = {name: value.tolist()}
                    _require_encodes_as(data, found, row, f"recalled({given!r})")

    def test_missing_files_are_a_data_error_with_a_remedy(self) -> None:
        """Without its files, reading the dataset raises DataError, which names the option for their
        location."""
        data = self.missing()
        if data is None:
            skip("needs no files")
        try:
            data.length  # noqa: B018  # opens the files
        except DataError as error:
            require(
                "data." in str(error),
                f"the message names no option to set, such as data.root=...: {error}",
            )
            return
        except Exception as error:
            raise AssertionError(f"missing files raise {error!r}, should be DataError") from error
        raise AssertionError("missing files raise nothing")


def _rows(n: int) -> Rows:
    return Rows(0, "augmented", 0, range(n))


def _some(data: Dataset) -> list[int]:
    """Return a few indices between the first and the last, unordered."""
    last = data.length - 1
    return list(dict.fromkeys([last, 0, last // 2, last // 3, min(1, last)]))


def _other(data: Dataset) -> Dataset:
    """Return the other split; skip the check if there is none."""
    other = data.with_split("test" if data.split == "train" else "train")
    try:
        other.length  # noqa: B018  # opens the files
    except DataError as error:
        skip(f"has only the split '{data.split}': {error}")
    return other


def _train_facts(data: Dataset) -> dict[str, Any]:
    """Return what a run on `data` would record; skip the check without a train split."""
    train = data.with_split("train")
    try:
        train.length  # noqa: B018  # opens the files
    except DataError as error:
        skip(f"has no train split: {error}")
    return dict(train.recorded)


def _require_encodes_as(data: Dataset, other: Dataset, row: dict[str, Any], what: str) -> None:
    """Require that `other` encodes `row` as `data` does."""
    try:
        wanted = data.encode(row)
    except ComponentError:  # another check holds what the data themselves encode
        return
    try:
        found = other.encode(row)
    except ComponentError as error:
        raise AssertionError(
            f"{what} refuses '{next(iter(row))}' of a row of the train split: {error}"
        ) from error
    require(found.keys() == wanted.keys(), f"{what} encodes {sorted(found)}, not {sorted(wanted)}")
    for name, value in found.items():
        require_equal(value, wanted[name], f"'{name}' of a row, encoded after recalled")


def _examples(data: Dataset) -> set[bytes]:
    step = max(1, -(-data.length // COMPARED_SAMPLES))
    found: set[bytes] = set()
    indices = range(0, data.length, step)
    for first in range(0, len(indices), 512):
        x1 = data.batch(indices[first : first + 512])["x1"]
        found.update(row.numpy().tobytes() for row in x1)
    return found


def _content(data: Dataset) -> tuple[object, ...]:
    """Return what tells the samples of two datasets apart: their number and a few of them."""
    batch = data.batch(_some(data))
    return data.length, *((name, value.numpy().tobytes()) for name, value in sorted(batch.items()))


def _other_values(data: Dataset, option: str) -> Iterator[object]:
    """Yield other values of an option that is a number, a flag or one of several names."""
    value, hint = getattr(data, option), typing.get_type_hints(type(data)).get(option)
    if option == "split":
        return  # its fingerprint has a check of its own
    if typing.get_origin(hint) is Literal:
        yield from (choice for choice in typing.get_args(hint) if choice != value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, max(1, value // 2))
    elif isinstance(value, float):
        yield from (1.5 * value, value / 2, value + 0.5)


def _near_share(data: Dataset, other: Dataset) -> float:
    """Return the share of samples of `data` that are far nearer to one of `other` than the samples
    of `other` are to each other.
    """
    most = max(64, min(COMPARED_PAIRS, COMPARED_ELEMENTS // max(1, math.prod(data.shape))))
    indices = range(0, min(data.length, other.length), -(-data.length // most))[:most]
    if len(indices) < 2:
        return 0.0
    # the same indices of both, as a split that was changed a little keeps its order
    here, there = (
        torch.cat([split.batch([i])["x1"] for i in indices]).double().flatten(1)
        for split in (data, other)
    )
    between = torch.cdist(there, there).fill_diagonal_(math.inf).amin(1).median()
    return float((torch.cdist(here, there).amin(1) < NEAR * between).double().mean())


def _global_randomness() -> tuple[Any, ...]:
    numpy_state = [np.asarray(part).tobytes() for part in np.random.get_state()]
    return random.getstate(), numpy_state, torch.get_rng_state().numpy().tobytes()


class _OpenedFiles(threading.local):
    opened: list[str] | None = None


_thread = _OpenedFiles()


def _record_open(event: str, arguments: Sequence[Any]) -> None:
    if _thread.opened is not None and event == "open" and isinstance(arguments[0], str | bytes):
        name = arguments[0] if isinstance(arguments[0], str) else arguments[0].decode()
        if not name.endswith((".py", ".pyc", ".so")):
            _thread.opened.append(name)


@contextmanager
def _opened_files() -> Iterator[list[str]]:
    """Collect the files that this thread opens, except for modules."""
    if _record_open not in _hooked:  # an audit hook cannot be removed, so it is added once
        sys.addaudithook(_record_open)
        _hooked.append(_record_open)
    opened: list[str] = []
    _thread.opened = opened
    try:
        yield opened
    finally:
        _thread.opened = None


_hooked: list[Any] = []

"""Names that name splits: one rule for the folders, shards and archives of every reader.

A name has its words between digits, punctuation and capitals: `train2017`, `train-00000-of-00002`
and `train_64x64` have the word `train`; `trainA` has `train` and `a`.  A name with one split word
(WORDS) names that split; its other words are its rest: that of `cifar10-train` is `cifar`.

The entries of a folder (subfolders with images, or shards) are
* one set, if none names a split;
* splits, if each names a split and all have the same rest, as `train` and `val` do;
* one set, if some name a split with a rest of their own, as `train_station` does among classes;
* ambiguous otherwise, and refused: the option `splits` has to choose.

Validation words come before test words: where a set has both, its validation part is the test
split, since that part has labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path as FilePath
from typing import NamedTuple

from fmcore import DataError

__all__ = ["ambiguity", "find_pair", "group_by_part", "has_split_word", "is_split_word", "quote"]

WORDS = {
    "train": ("train", "training", "trainset", "trainval"),
    "validation": ("val", "valid", "validation", "valset", "dev", "devset", "eval", "evaluation"),
    "test": ("test", "testing", "testset"),
}
_PART_OF = {word: part for part, words in WORDS.items() for word in words}

LISTED = 4


class _Name(NamedTuple):
    part: str | None  # a key of WORDS
    word: str
    rest: tuple[str, ...]


def is_split_word(name: str) -> bool:
    """Whether `name`, of a folder, is a split word, with numbers or without."""
    found = _parse(name)
    return found.part is not None and not found.rest


def has_split_word(name: str) -> bool:
    """Whether `name` has one split word, alone or among others."""
    return _parse(name).part is not None


def _parse(name: str) -> _Name:
    """The split word of a file's stem or a folder's name, and its other words."""
    # Older shards of the hub have a hash after their numbers, whose letters are no words.
    text = re.sub(r"-\d+-of-\d+(-[0-9a-f]{16})?$", "", name)
    text = re.sub(r"\d+(x\d+)?(px)?", " ", text)
    words = [w.lower() for w in re.findall(r"[^\W\d_]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text))]
    found = [word for word in words if word in _PART_OF]
    if len(found) != 1:  # of `train_test` no split can be read
        return _Name(None, "", tuple(words))
    words.remove(found[0])
    return _Name(_PART_OF[found[0]], found[0], tuple(words))


def group_by_part(names: Sequence[str], where: FilePath) -> dict[str, list[str]] | None:
    """`names` by the key of WORDS that each names; None if they are one set.

    Raises DataError if they are ambiguous.
    """
    parsed = {name: _parse(name) for name in names}
    named = {name: own for name, own in parsed.items() if own.part is not None}
    rests = {own.rest for own in named.values()}
    if len(named) == len(parsed) and len(rests) <= 1:
        return _grouped(named, where) or None
    if () in rests or len(named) == len(parsed) or find_pair(names):
        others = [name for name in names if name not in named]
        reason = f"names of splits ({quote(named)})"
        reason += f" next to others ({quote(others)})" if others else " that do not match"
        raise ambiguity(where, reason)
    return None


def _grouped(named: dict[str, _Name], where: FilePath) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, own in named.items():
        found.setdefault(str(own.part), []).append(name)
    for names in found.values():
        if len({named[name].word for name in names}) > 1:
            raise ambiguity(where, f"{quote(names)} name one split by different words")
    return found


def find_pair(names: Iterable[str]) -> list[str]:
    """Two of `names` that are a train and another split of one rest; empty if there are none."""
    known: dict[tuple[tuple[str, ...], bool], str] = {}
    for name in names:
        own = _parse(name)
        if own.part is None:
            continue
        is_train = own.part == "train"
        if other := known.get((own.rest, not is_train)):
            return [other, name]
        known.setdefault((own.rest, is_train), name)
    return []


def ambiguity(where: FilePath, reason: str, inner: FilePath | None = None) -> DataError:
    """The error for names in `where` that the rule refuses, with the options to set.

    `inner` is a folder below `where` that has splits.
    """
    remedy = "set data.splits=none to read one set"
    if inner is not None and inner.is_dir():  # not so in an archive
        remedy = f"set data.root={inner}, or {remedy}"
    if where.is_dir():
        remedy += ", or name the splits, as in data.splits='{train: NAME, test: NAME}'"
    return DataError(f"the splits of {where} are ambiguous: {reason}; {remedy}")


def quote(names: Iterable[str]) -> str:
    """The first of `names`, for a message."""
    quoted = [f"'{name}'" for name in names]
    return ", ".join(quoted[:LISTED]) + (", ..." if len(quoted) > LISTED else "")

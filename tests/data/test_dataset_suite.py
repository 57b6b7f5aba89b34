"""Every check of the dataset suite fails for a dataset that breaks its law."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

from fmcore import ComponentError, ConditionSpec, DataError, Dataset, ImageDataset
from fmcore.testing import DatasetSuite, run_suite

NUMBERS = count()


@dataclass(frozen=True)
class Right(Dataset):
    """Twenty points a split, which obey the laws."""

    seed: int = 0
    shape = (3,)
    classes = 4
    length = 20

    @property
    def fingerprint(self):
        return f"{self.seed + (self.split == 'test'):016x}"

    @cached_property
    def points(self):
        seed = 2 * self.seed + (self.split == "test")
        return torch.randn(20, 3, generator=torch.Generator().manual_seed(seed))

    def batch(self, indices):
        rows = torch.as_tensor(indices)
        return {"x1": self.points[rows], "label": rows % 4}


@dataclass(frozen=True)
class Undeclared(Right):
    def batch(self, indices):
        return {**super().batch(indices), "angle": torch.zeros(len(indices))}


@dataclass(frozen=True)
class DeclaresAnotherShape(Undeclared):
    @property
    def entries(self):
        return {**super().entries, "angle": ConditionSpec((2,))}


@dataclass(frozen=True)
class DeclaresAnotherType(Undeclared):
    @property
    def entries(self):
        return {**super().entries, "angle": ConditionSpec((), "int64")}


@dataclass(frozen=True)
class EncodesOtherwise(Undeclared):
    @property
    def entries(self):
        return {**super().entries, "angle": ConditionSpec(())}

    def encode(self, given):
        return {name: value + 1 for name, value in super().encode(given).items()}


@dataclass(frozen=True)
class Eager(Right):
    def __post_init__(self):
        Path("/proc/self/status").read_text()


@dataclass(frozen=True)
class WrongShape(Right):
    shape = (4,)


@dataclass(frozen=True)
class Doubles(Right):
    def batch(self, indices):
        return {**super().batch(indices), "x1": super().batch(indices)["x1"].double()}


@dataclass(frozen=True)
class TooBright(ImageDataset):
    shape = (1, 2, 2)
    levels = 17
    length = 5

    @property
    def fingerprint(self):
        return "0" * 15 + str(int(self.split == "test"))

    def batch(self, indices):
        return {"x1": torch.full((len(indices), 1, 2, 2), 17, dtype=torch.uint8)}


@dataclass(frozen=True)
class OneClassTooMany(Right):
    classes = 3


@dataclass(frozen=True)
class OneLabelTooHigh(Right):
    def batch(self, indices):
        batch = super().batch(indices)
        return {**batch, "label": batch["label"].masked_fill(torch.as_tensor(indices) == 0, 4)}


@dataclass(frozen=True)
class Unlabelled(Right):
    def batch(self, indices):
        return {"x1": super().batch(indices)["x1"]}


@dataclass(frozen=True)
class ShortLabels(Right):
    def batch(self, indices):
        return {"x1": super().batch(indices)["x1"], "label": torch.zeros(1, dtype=torch.int64)}


@dataclass(frozen=True)
class GlobalNoise(Right):
    def batch(self, indices):
        np.random.rand()
        return super().batch(indices)


@dataclass(frozen=True)
class FreshDraws(Right):
    @cached_property
    def points(self):
        return torch.randn(20, 3, generator=torch.Generator().manual_seed(id(self)))


@dataclass(frozen=True)
class Sorted(Right):
    def batch(self, indices):
        return super().batch(sorted(indices))


@dataclass(frozen=True)
class Augmented(Right):
    """Each row moved by its position in the batch."""

    def batch(self, indices):
        batch = super().batch(indices)
        return {**batch, "x1": batch["x1"] + 0.1 * torch.arange(len(indices))[:, None]}


@dataclass(frozen=True)
class Noisy(Right):
    """Right: every row gets noise of its own, and its size is declared."""

    @property
    def sizes(self):
        return torch.arange(1, 21)

    def augmented(self, batch, rows):
        return {**batch, "x1": batch["x1"] + 0.1 * rows.normal(self.shape)}


@dataclass(frozen=True)
class NoisyByBatch(Right):
    def augmented(self, batch, rows):
        return {**batch, "x1": batch["x1"] - batch["x1"].mean(0)}


@dataclass(frozen=True)
class GloballyNoisy(Right):
    def augmented(self, batch, rows):
        return {**batch, "x1": batch["x1"] + torch.randn(3)}


@dataclass(frozen=True)
class Cropped(Right):
    def augmented(self, batch, rows):
        return {**batch, "x1": batch["x1"][:, :2]}


@dataclass(frozen=True)
class Unlabelling(Right):
    def augmented(self, batch, rows):
        return {"x1": batch["x1"]}


@dataclass(frozen=True)
class LeftAsLevels(ImageDataset):
    shape = (1, 2, 2)
    levels = 17
    length = 5

    @property
    def fingerprint(self):
        return "0" * 15 + str(int(self.split == "test"))

    def batch(self, indices):
        return {"x1": torch.full((len(indices), 1, 2, 2), 3, dtype=torch.uint8)}

    def augmented(self, batch, rows):
        return batch


@dataclass(frozen=True)
class OneSizeShort(Right):
    @property
    def sizes(self):
        return torch.ones(19, dtype=torch.int64)


@dataclass(frozen=True)
class Empty(Right):
    @property
    def sizes(self):
        return torch.arange(20)


@dataclass(frozen=True)
class ReadsEachOnce(Right):
    """Moves the rows of an index that comes twice."""

    def batch(self, indices):
        batch, rows = super().batch(indices), torch.as_tensor(indices)
        twice = (rows[:, None] == rows).sum(1, keepdim=True) > 1
        return {**batch, "x1": batch["x1"] + twice}


@dataclass(frozen=True)
class Lent(Right):
    """Returns the same batch object again."""

    @cached_property
    def kept(self):
        return {}

    def batch(self, indices):
        return self.kept.setdefault(tuple(indices), super().batch(indices))


@dataclass(frozen=True)
class OneFingerprint(Right):
    """The same for both splits."""

    @property
    def fingerprint(self):
        return f"{self.seed:016x}"


@dataclass(frozen=True)
class Words(Right):
    @property
    def fingerprint(self):
        return f"my data {self.seed} {self.split}"


@dataclass(frozen=True)
class Leaky(Right):
    """Its test split is its train split."""

    @cached_property
    def points(self):
        return Right(seed=self.seed).points


@dataclass(frozen=True)
class Elsewhere(Right):
    root: str = "here"

    @property
    def length(self):
        if self.root != "here":
            raise FileNotFoundError(self.root)
        return 20


@dataclass(frozen=True)
class Terse(Elsewhere):
    @property
    def length(self):
        if self.root != "here":
            raise DataError("no data")
        return 20


@dataclass(frozen=True)
class ForgetsAnOption(Right):
    """Its fingerprint ignores `scale`."""

    scale: float = 1.0

    def batch(self, indices):
        batch = super().batch(indices)
        return {**batch, "x1": self.scale * batch["x1"]}


@dataclass(frozen=True)
class AlmostLeaky(Right):
    """Its test split is its train split plus 1e-4."""

    @cached_property
    def points(self):
        return Right(seed=self.seed).points + 1e-4 * (self.split == "test")


@dataclass(frozen=True)
class OneWay(Right):
    """Each change of the split makes another dataset."""

    changes: int = 0

    def with_split(self, split):
        return replace(super().with_split(split), changes=self.changes + 1)


@dataclass(frozen=True)
class Recalling(Right):
    """Right: records the labels it has, and encodes those alone."""

    @property
    def recorded(self):
        return {"labels": sorted({index % 4 for index in range(self.length)})}

    def recalled(self, recorded):
        found = replace(self)
        found.__dict__["known"] = recorded.get("labels", range(4))
        return found

    def encode(self, given):
        if given.get("label") not in self.__dict__.get("known", range(4)):
            raise ComponentError("the train split has no such label")
        return super().encode(given)


@dataclass(frozen=True)
class RecordsATensor(Right):
    @property
    def recorded(self):
        return {"mean": self.points.mean()}


@dataclass(frozen=True)
class RecordsATuple(Right):
    @property
    def recorded(self):
        return {"labels": (0, 1, 2, 3)}


@dataclass(frozen=True)
class RecordsAnotherLength(Right):
    @property
    def recorded(self):
        return {"length": 19}


@dataclass(frozen=True)
class RecordsItsAddress(Right):
    """Another number for each instance."""

    @cached_property
    def number(self):
        return next(NUMBERS)

    @property
    def recorded(self):
        return {"number": self.number}


@dataclass(frozen=True)
class RecalledForgetsOptions(Recalling):
    seed: int = 1

    def recalled(self, recorded):
        return type(self)(seed=0, split=self.split)


@dataclass(frozen=True)
class RecalledForgetsTheSplit(Right):
    split: str = "test"

    def recalled(self, recorded):
        return replace(self, split="train")


@dataclass(frozen=True)
class RecalledChangesItself(Right):
    def recalled(self, recorded):
        object.__setattr__(self, "seed", 7)
        return self


@dataclass(frozen=True)
class RecalledReadsOtherData(Recalling):
    def recalled(self, recorded):
        found = super().recalled(recorded)
        found.__dict__["points"] = self.points + 1
        return found


@dataclass(frozen=True)
class RecalledRefusesOneLabel(Recalling):
    @property
    def recorded(self):
        return {"labels": [0, 1, 2]}


@dataclass(frozen=True)
class RecalledNeedsFacts(Recalling):
    """Knows no label of a run that recorded none."""

    def recalled(self, recorded):
        return super().recalled({"labels": [], **recorded})


@dataclass(frozen=True)
class RecalledEncodesOtherwise(Recalling):
    def encode(self, given):
        moved = 1 if "known" in self.__dict__ else 0
        return {name: (value + moved) % 4 for name, value in super().encode(given).items()}


@dataclass(frozen=True)
class RecalledDeclaresMore(Recalling):
    @property
    def takes(self):
        return (*super().takes, *(["text"] if "known" in self.__dict__ else []))


@dataclass(frozen=True)
class Duck:
    """Has all that a dataset has, and is none."""

    seed: int = 0
    split: str = "train"

    def __getattr__(self, name):
        return getattr(Right(seed=self.seed, split=self.split), name)

    def with_split(self, split):
        return replace(self, split=split)

    def recalled(self, recorded):
        return self


def outcome(data):
    class Suite(DatasetSuite):
        def component(self):
            return data()

    return {result.name: result for result in run_suite(Suite)}


@pytest.mark.parametrize("data", [Right, Noisy, Recalling])
def test_a_dataset_that_obeys_the_laws_passes(data):
    assert [result for result in outcome(data).values() if not result.passed] == []


AUGMENTED = "test_augmented_row_i_comes_from_row_i_and_its_numbers_alone"
POINTS = "test_augmented_batches_have_points_of_the_declared_shape"
CONDITIONS = "test_conditions_are_those_that_entries_declares"
RECORDED = "test_recorded_facts_are_json_of_the_content"
KEPT = "test_recalled_data_keep_options_and_examples"
KNOWN = "test_recalled_data_encode_what_the_train_split_has"


WRONG = [
    (Eager, "test_constructing_opens_no_file", "/proc/self/status"),
    (WrongShape, "test_batches_have_the_declared_shape_and_type", "should be (5, 4)"),
    (Doubles, "test_batches_have_the_declared_shape_and_type", "float64"),
    (TooBright, "test_batches_have_the_declared_shape_and_type", "reaches 17"),
    (OneClassTooMany, "test_labels_lie_below_classes", "should be in [0, 3)"),
    (OneLabelTooHigh, "test_labels_lie_below_classes", "should be in [0, 4)"),
    (Unlabelled, "test_labels_lie_below_classes", "no 'label'"),
    (ShortLabels, "test_labels_lie_below_classes", "1 rows for 5"),
    (Undeclared, CONDITIONS, "gives ['angle', 'label']"),
    (DeclaresAnotherShape, CONDITIONS, "declared (5, 2)"),
    (DeclaresAnotherType, CONDITIONS, "declared int64"),
    (EncodesOtherwise, CONDITIONS, "encoded from its numbers"),
    (GlobalNoise, "test_equal_options_give_equal_examples", "global"),
    (FreshDraws, "test_equal_options_give_equal_examples", "second dataset"),
    (Sorted, "test_row_i_comes_from_index_i_alone", "alone, and in a batch"),
    (Augmented, "test_row_i_comes_from_index_i_alone", "alone, and in a batch"),
    (ReadsEachOnce, "test_row_i_comes_from_index_i_alone", "with repeats"),
    (NoisyByBatch, AUGMENTED, "augmented alone, and in a batch"),
    (GloballyNoisy, AUGMENTED, "drew from a global random generator"),
    (Cropped, POINTS, "(5, 2) once augmented, was (5, 3)"),
    (Unlabelling, POINTS, "augmented gives ['x1'], and batch ['label', 'x1']"),
    (LeftAsLevels, POINTS, "torch.uint8 once augmented"),
    (OneSizeShort, "test_sizes_are_the_lengths_of_the_examples", "should be int64 (20,)"),
    (Empty, "test_sizes_are_the_lengths_of_the_examples", "go down to 0"),
    (Lent, "test_batches_share_no_memory", "zeroed"),
    (OneFingerprint, "test_fingerprint_identifies_the_content", "both splits"),
    (ForgetsAnOption, "test_fingerprint_depends_on_every_option", "scale=1.5 gives other"),
    (AlmostLeaky, "test_splits_share_no_example", "100% of this split's samples are almost"),
    (OneWay, "test_with_split_is_reversible", "changes=2"),
    (RecordsATensor, RECORDED, "cannot be written as JSON"),
    (RecordsATuple, RECORDED, "JSON gives back"),
    (RecordsAnotherLength, RECORDED, "'length', a name that run.json uses"),
    (RecordsItsAddress, RECORDED, "of equal options"),
    (RecalledForgetsOptions, KEPT, "seed=0"),
    (RecalledForgetsTheSplit, KEPT, "split='train'"),
    (RecalledChangesItself, KEPT, "seed=7"),
    (RecalledReadsOtherData, KEPT, "the fingerprint or the examples"),
    (RecalledRefusesOneLabel, KNOWN, "refuses 'label' of a row of the train split"),
    (RecalledNeedsFacts, KNOWN, "recalled({}) refuses 'label'"),
    (RecalledEncodesOtherwise, KNOWN, "encoded after recalled"),
    (RecalledDeclaresMore, KNOWN, "declares other entries"),
    (Duck, "test_is_a_frozen_dataclass", "Duck is not a Dataset"),
    (Words, "test_fingerprint_identifies_the_content", "hexadecimal"),
    (Leaky, "test_splits_share_no_example", "100%"),
    (Elsewhere, "test_missing_files_are_a_data_error_with_a_remedy", "FileNotFoundError"),
    (Terse, "test_missing_files_are_a_data_error_with_a_remedy", "names no option"),
]

FOLLOWS = {
    Doubles: {POINTS},
    LeftAsLevels: {"test_splits_share_no_example"},
    TooBright: {"test_splits_share_no_example"},
    OneClassTooMany: {CONDITIONS},
    Unlabelled: {CONDITIONS},
    ShortLabels: {CONDITIONS, AUGMENTED, "test_row_i_comes_from_index_i_alone"},
}
"""Checks that fail with the one meant."""


@pytest.mark.parametrize(("data", "check", "word"), WRONG)
def test_a_wrong_dataset_fails_the_check_of_its_law_and_no_other(data, check, word):
    results = outcome(data)
    failed = {name for name, result in results.items() if not result.passed}
    assert failed == {check} | FOLLOWS.get(data, set())
    assert word in results[check].message


def test_every_check_has_a_dataset_that_fails_it_alone():
    alone = {check for data, check, _ in WRONG if data not in FOLLOWS}
    assert alone == set(outcome(Right))

"""Interface of datasets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError, did_you_mean
from fmcore.interfaces.codec import Codec, Decoded
from fmcore.interfaces.condition import ConditionSpec, encoded
from fmcore.interfaces.levels import from_levels
from fmcore.interfaces.portrait import Portrait
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.space import Euclidean, Space

__all__ = ["Dataset", "ImageDataset", "Split"]

Split = Literal["train", "test"]
"""The part of a dataset: `train` is for training, `test` is held out."""


LISTED_NAMES = 20
"""Names of classes in a message."""


@dataclass(frozen=True)
class Dataset(ABC):
    """A finite set of examples in a fixed order.

    Laws:
    * `batch(indices)` is a pure function: equal indices give equal tensors, in that order, on the
      CPU, and row i depends on index i alone.  `x1` is `(batch, *shape)`; every other entry is a
      condition, declared in `entries` (`label`: int64, in [0, classes)).
    * `fingerprint` is a hash of the examples: equal data have equal fingerprints on any machine.
    * The constructor opens no file; the first access to the content may.  Missing data raise
      DataError, which names the package or download and the option to set; a split that the data do
      not have raises MissingSplitError.
    * The splits share no example.
    """

    kind: ClassVar[str] = "data"

    portrayed: ClassVar[int] = 64
    """How many samples, the first, `portray` is given at the end of a run."""

    split: Split = field(default="train", kw_only=True)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""

    @property
    def space(self) -> Space:
        """Where the points `x1` are: R^n by default.  Reading it opens no file.

        Tokens are int64 in a batch; a row of a product space is floating point.
        """
        return Euclidean()

    @property
    def classes(self) -> int:
        """The number of classes; 0 without labels.  Labels are class numbers below it."""
        return 0

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class, in order of its number; () for classes without names.

        Reading it opens no file that `classes` does not open.
        """
        return ()

    @final
    def class_number(self, label: int | str) -> int:
        """Return the number of a class given by its number or its name.

        Raises ComponentError for a name that is not in `class_names`; a number is not checked.
        """
        if isinstance(label, int):
            return label
        names = self.class_names
        if label in names:
            return names.index(label)
        if not names:
            numbers = f", from 0 to {self.classes - 1}" if self.classes else ""
            raise ComponentError(
                f"label '{label}': the classes of this dataset have no names: give a number"
                f"{numbers}"
            )
        more = f", ... ({len(names)} in all)" if len(names) > LISTED_NAMES else ""
        listed = ", ".join(names[:LISTED_NAMES])
        hint = did_you_mean(label, names)
        raise ComponentError(
            f"no class '{label}'{f'{hint} Classes' if hint else '; classes'}: {listed}{more}"
        )

    @final
    def label_text(self, number: int) -> str:
        """Return the name of a class, or `label N` for one without a name."""
        names = self.class_names
        return names[number] if 0 <= number < len(names) else f"label {number}"

    @property
    def entries(self) -> Mapping[str, ConditionSpec]:
        """The conditions that `batch` gives, by name: `label` where `classes` > 0.

        A dataset with others adds them to `super().entries`.  Reading it opens no file that
        `classes` does not open.
        """
        label = ConditionSpec((), "int64", droppable=True)
        return {"label": label} if self.classes else {}

    @property
    def takes(self) -> tuple[str, ...]:
        """The names that `encode` takes: the entries by default."""
        return tuple(self.entries)

    def encode(self, given: Mapping[str, Any]) -> dict[str, Tensor]:
        """Turn the values that a user gives for one sample into entries, `(1, *shape)` each; or
        those for several samples, a row for each.

        By default the values are numbers, nested lists or tensors of the entries' shapes; a label
        may be the name of a class.  Raises ComponentError for a name that is not in `takes`, and
        for values that do not fit.
        """
        entries, found = self.entries, {}
        for name, value in given.items():
            if name not in entries:
                hint = (
                    did_you_mean(name, entries) or f"; conditions: {', '.join(entries) or 'none'}"
                )
                raise ComponentError(f"{type(self).__name__} takes no condition '{name}'{hint}")
            if name == "label" and isinstance(value, str):
                value = self.class_number(value)
            found[name] = encoded(name, entries[name], value)
        label = found.get("label")
        if label is not None and self.classes and not 0 <= int(label) < self.classes:
            raise ComponentError(
                f"condition 'label' is {int(label)}, should be from 0 to {self.classes - 1}"
            )
        return found

    @property
    def levels(self) -> int | None:
        """The number of integer levels of a value of `x1`; None for continuous data, float32."""
        return None

    @property
    def pairs(self) -> bool:
        """Whether a batch has `x0` too, the noise or the point paired with each `x1`."""
        return False

    @property
    @abstractmethod
    def length(self) -> int:
        """The number of examples of this split."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A short hexadecimal hash of the content."""

    @property
    def sizes(self) -> Tensor | None:
        """The length of every example, `(length,)` int64 on the CPU, for batches of like length;
        None where all are alike.
        """
        return None

    @property
    def description(self) -> str:
        """The name of a known dataset with this content, in one line; empty if there is none."""
        return ""

    @property
    def recorded(self) -> Mapping[str, Any]:
        """What run.json records of this split besides its length and shape, as JSON values, such as
        the symbols of its texts; {} by default.
        """
        return {}

    def recalled(self, recorded: Mapping[str, Any]) -> Self:
        """Return the data of a run with these facts about its train split, for `encode` to refuse
        what training did not have.

        `recorded` is {} for a run that recorded none.  By default the data unchanged.
        """
        return self

    @classmethod
    def recognizes(cls, place: Path) -> bool:
        """Whether the file or folder `place` can be read with `root=place` as the only option.

        `fmcore data` finds the format of a path by it.  It must open no special file, such as a
        FIFO.
        """
        return False

    @abstractmethod
    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Return the examples at `indices`, each in [0, length): `x1` and its conditions."""

    def portray(
        self, x: Tensor, condition: Mapping[str, Tensor], decoded: Decoded | None = None
    ) -> list[Portrait]:
        """Return files that show the samples `x`, one for each or one for several; [] for none.

        `x` is as `batch` gives `x1`: levels of data with levels, else float32, `(batch, *shape)`,
        on the CPU.  `condition` holds the entries of these samples.  `decoded` is what a codec that
        only decodes makes of them, such as sounds of spectrograms; None without one.
        """
        return []

    def joined(
        self,
        x: Tensor,
        condition: Mapping[str, Tensor],
        decoded: Decoded | None,
        given: Mapping[str, Any],
    ) -> list[Portrait]:
        """Return files of which each holds all of the samples `x`, drawn for the rows of what
        `encode` made of `given`: the sentences of a text, one after the other.

        The arguments are those of `portray`.  By default the portraits of the samples.
        """
        return self.portray(x, condition, decoded)

    def augmented(self, batch: dict[str, Tensor], rows: Rows) -> dict[str, Tensor]:
        """Return a training batch of `batch`, as `batch(indices)` gave it, on any device: random
        crops, flips and other noise from `rows`.  Its `x1` is float32.

        Row i depends on row i of the batch and the random numbers of row i alone.  By default the
        batch itself.
        """
        return batch

    def latents(self, codec: Codec, indices: Sequence[int]) -> Tensor | None:
        """Return the latents by `codec` that are stored with the examples at `indices`, `(batch,
        *latent shape)` float32; None where none are, and they are encoded in each batch.
        """
        return None

    @final
    def with_split(self, split: Split) -> Self:
        """Return the dataset with the same options and this split."""
        return replace(self, split=split)


@dataclass(frozen=True)
class ImageDataset(Dataset):
    """Images `(channels, height, width)` as uint8 levels 0 .. levels - 1.

    `dequantize` is the map from levels to points of [-1, 1] (see `fmcore.interfaces.levels`).  With
    `flip`, `augmented` mirrors images left to right with probability 1/2.
    """

    dequantize: Literal["uniform", "none"] = field(default="uniform", kw_only=True)
    flip: bool = field(default=False, kw_only=True)

    @property
    @abstractmethod
    def levels(self) -> int:
        """The number of integer levels of a pixel: 256 for 8-bit images."""

    def portray(
        self, x: Tensor, condition: Mapping[str, Tensor], decoded: Decoded | None = None
    ) -> list[Portrait]:
        """Return a PNG of each image at its own size; the caption names its class."""
        labels = condition.get("label")
        captions = [""] * len(x) if labels is None else [self.label_text(int(n)) for n in labels]
        return [
            Portrait.picture(image, self.levels, caption)
            for image, caption in zip(x, captions, strict=True)
        ]

    def augmented(self, batch: dict[str, Tensor], rows: Rows) -> dict[str, Tensor]:
        """Mirror the images, where `flip` asks for it, and turn levels into points.

        Conditions that are images, of three dimensions, are mirrored with the image of their row.
        """
        if self.flip:
            mirrored = (rows.uniform(()) < 0.5)[:, None, None, None]
            images = ["x1", *(name for name, e in self.entries.items() if len(e.shape) == 3)]
            batch = batch | {k: torch.where(mirrored, batch[k].flip(-1), batch[k]) for k in images}
        return {**batch, "x1": from_levels(batch["x1"], self.levels, self.dequantize, rows)}

"""Recordings of speech with their texts: log-mel spectrograms conditioned on symbols."""

from __future__ import annotations

import hashlib
import math
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import (
    ComponentError,
    ConditionSpec,
    DataError,
    Dataset,
    Decoded,
    FmcoreWarning,
    Portrait,
)
from fmcore_audio.sounds import read_sound, sound_length
from fmcore_audio.spectrogram_data import MULTIPLE, MelOptions, mel_portraits
from fmcore_audio.text import LETTERS, FrontEnd, Symbols, sentences

__all__ = ["Clip", "Speech", "SpeechData", "is_held_out"]

KEPT = 4096
"""Spectrograms held in memory: about 200 MB."""

PAUSE_SECONDS = 0.25
"""The silence between the sentences of one file."""

HELD_OUT = 10
"""One text in so many is of the test split."""


@final
@dataclass(frozen=True)
class Clip:
    """A recording: its text, its length in samples, and where it is.

    `source` is a file, or the waveform itself; `name` is what messages call the clip.
    """

    text: str
    samples: int
    source: Path | Tensor
    name: str = ""

    def wave(self, rate: int) -> Tensor:
        """Return the waveform at `rate`, `(samples,)`."""
        return self.source if isinstance(self.source, Tensor) else read_sound(self.source, rate)


def is_held_out(text: str) -> bool:
    """Whether a text is of the test split: a hash of it decides, so equal texts are in one."""
    return hashlib.blake2b(text.encode(), digest_size=4).digest()[0] % HELD_OUT == 0


@dataclass(frozen=True)
class SpeechData(MelOptions, Dataset):
    """Spectrograms `x1`, `(batch, mels, frames)`, of spoken texts.

    Conditions: `text`, `(batch, max_text)` int64, the indices of its symbols and then 0; `mask`,
    `(batch, 1, frames)`, 1 in the frames that exist.  `max_seconds` decides the number of frames;
    longer clips, texts longer than `max_text` indices and clips with fewer frames than indices are
    left out: `left_out` counts them.

    `front_end` is how a text becomes symbols: its `characters`, of which `symbols` are all that a
    text may have; the phonemes of `cmudict`, where unknown words are spelt; or those of `espeak`,
    which reads numbers too.  With phonemes `words`, `(batch, 2 * max_text)` int64, keeps the
    letters of the text, for metrics and captions.

    A sample's own `text` is a string, or a list of them, a sample each; several sentences are a
    sample each too.  `pace` is the speed relative to what the network learnt.
    """

    max_seconds: Annotated[float, Gt(0)] = 8.0
    max_text: Annotated[int, Gt(0)] = 160
    symbols: str = LETTERS
    blank: bool = False
    front_end: FrontEnd = "characters"

    OWN: ClassVar[tuple[str, ...]] = ("text", "pace")

    WARNS: ClassVar[bool] = False
    """Whether clips that are left out are worth a warning: those of a user are."""

    @abstractmethod
    def clips(self) -> Sequence[Clip]:
        """Return the clips of this split, in a fixed order, however long."""

    @cached_property
    def alphabet(self) -> Symbols:
        """The symbols with their indices."""
        return Symbols(self.symbols, self.blank, self.front_end)

    @property
    def shape(self) -> tuple[int, ...]:
        frames = self.spec.frames(math.ceil(self.max_seconds * self.rate))
        return (self.mels, -(-frames // MULTIPLE) * MULTIPLE)

    @property
    def entries(self) -> Mapping[str, ConditionSpec]:
        found = {
            "text": ConditionSpec((self.max_text,), "int64"),
            "mask": ConditionSpec((1, self.shape[-1])),
        }
        if self.front_end != "characters":
            found["words"] = ConditionSpec((2 * self.max_text,), "int64", record=True)
        return found

    @property
    def takes(self) -> tuple[str, ...]:
        return self.OWN

    @cached_property
    def _usable(self) -> tuple[list[Clip], int]:
        """The clips that fit, and the number of those that do not."""
        every = self.clips()
        self.alphabet.learn(clip.text for clip in every)
        fits = [self._fits(clip) for clip in every]
        kept = [clip for clip, fit in zip(every, fits, strict=True) if fit]
        if not every:
            raise DataError(
                f"split '{self.split}' has no clips: one text in ten, by a hash of it, is of the "
                "test split, the others of the train split; add recordings"
            )
        if not kept:
            raise DataError(
                f"none of the {len(every)} clips of split '{self.split}' fits: set "
                f"data.max_seconds (now {self.max_seconds:g}) or data.max_text (now "
                f"{self.max_text}) higher"
            )
        if len(kept) < len(every) and self.WARNS:
            first = every[fits.index(False)]
            warnings.warn(
                f"{len(every) - len(kept)} of {len(every)} clips of split '{self.split}' are left "
                f"out, first that of {first.name}: they are longer than data.max_seconds, their "
                "texts are longer than data.max_text, or they have fewer frames than symbols",
                FmcoreWarning,
                stacklevel=2,
            )
        return kept, len(every) - len(kept)

    def _fits(self, clip: Clip) -> bool:
        try:
            symbols = len(self.alphabet.indices(clip.text))
        except ComponentError as error:
            raise DataError(
                f"{clip.name or 'a clip'}: {error}: correct the text, or set data.symbols"
            ) from error
        frames = self.spec.frames(clip.samples)
        if self.front_end != "characters" and len(clip.text) > 2 * self.max_text:
            return False
        # an alignment gives every symbol at least one frame
        return symbols <= min(frames, self.max_text) and frames <= self.shape[-1]

    @property
    def fitting(self) -> Sequence[Clip]:
        """The clips that fit: those of the indices of `batch`."""
        return self._usable[0]

    @property
    def left_out(self) -> int:
        """The number of clips of this split that do not fit."""
        return self._usable[1]

    @property
    def length(self) -> int:
        return len(self._usable[0])

    @property
    def sizes(self) -> Tensor:
        return torch.tensor([self.spec.frames(clip.samples) for clip in self._usable[0]])

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=8)
        facts = (self.split, self.spec, self.mean, self.std, self.shape, self.max_text)
        digest.update(repr((facts, self.symbols, self.blank, self.front_end)).encode())
        for clip in self._usable[0]:
            digest.update(f"{clip.text}/{clip.samples}/".encode())
            digest.update(_content(clip.source))
        return digest.hexdigest()

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        x1 = torch.zeros(len(indices), *self.shape)
        mask = torch.zeros(len(indices), 1, self.shape[-1])
        text = torch.zeros(len(indices), self.max_text, dtype=torch.int64)
        for row, index in enumerate(indices):
            mel = self.spectrogram(index)
            x1[row, :, : mel.shape[1]] = mel
            mask[row, :, : mel.shape[1]] = 1
            text[row] = self._padded(self._usable[0][index].text)
        spoken = self._letters([self._usable[0][index].text for index in indices])
        return {"x1": x1, "text": text, "mask": mask, **spoken}

    def _letters(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return the entry `words` of texts, as code points and then 0."""
        if self.front_end == "characters":
            return {}
        found = torch.zeros(len(texts), 2 * self.max_text, dtype=torch.int64)
        for row, text in zip(found, texts, strict=True):
            codes = torch.tensor([ord(c) for c in self.alphabet.normal(text)])
            row[: len(codes)] = codes[: len(row)]
        return {"words": found}

    def spectrogram(self, index: int) -> Tensor:
        """Return the normalised spectrogram of example `index`, `(mels, frames)`."""
        kept = self._spectrograms
        if index not in kept:
            if len(kept) >= KEPT:
                kept.pop(next(iter(kept)))
            kept[index] = self.normal(self._usable[0][index].wave(self.rate))
        return kept[index]

    @cached_property
    def _spectrograms(self) -> dict[int, Tensor]:
        return {}

    def statistics(self) -> tuple[float, float]:
        """Return the mean and the standard deviation of log-mel values of this split: the numbers
        for the options `mean` and `std`.
        """
        values = [self.spectrogram(i).double() * self.std + self.mean for i in range(self.length)]
        whole = torch.cat([mel.flatten() for mel in values])
        return float(whole.mean()), float(whole.std())

    def texts(self, condition: Mapping[str, Tensor]) -> list[str]:
        """Return the texts of rows of the condition."""
        if "words" in condition:
            return ["".join(chr(c) for c in row if c) for row in condition["words"].tolist()]
        return [self.alphabet.text(row) for row in condition["text"].tolist()]

    def encode(self, given: Mapping[str, Any]) -> dict[str, Tensor]:
        """Turn `text`, and `pace` in [0.2, 5], into entries, a row for each sentence."""
        other = given.keys() - {*self.OWN}
        text = given.get("text")
        if isinstance(text, bool | int | float):
            raise ComponentError(
                f"condition 'text' is {text!r}, should be a text: write numbers in words"
            )
        # the base class refuses other names, with a hint, and takes indices
        if other or not isinstance(text, str | list) or not _is_text(text):
            return super().encode(given)
        texts = [text] if isinstance(text, str) else text
        parts = [self._spoken(part) for whole in texts for part in sentences(whole) or [""]]
        for part in parts:
            self._require_known(part)
        rows = [self._padded(part) for part in parts]
        found = {"text": torch.stack(rows), "mask": torch.ones(len(rows), 1, self.shape[-1])}
        found |= self._letters(parts)
        if "pace" in given:
            pace = given["pace"]
            if not isinstance(pace, int | float) or not 0.2 <= pace <= 5:
                raise ComponentError(f"condition 'pace' is {pace!r}, should be from 0.2 to 5")
            found["pace"] = torch.full((len(rows),), float(pace))
        return found

    @property
    def recorded(self) -> Mapping[str, Any]:
        """The symbols of the texts of this split, sorted, and the number of clips left out."""
        clips, left_out = self._usable
        symbols = {symbol for clip in clips for symbol in self.alphabet.symbols(clip.text)}
        return {"symbols": sorted(symbols), "left_out": left_out}

    def recalled(self, recorded: Mapping[str, Any]) -> Self:
        """Return the data, whose `encode` refuses symbols that no text of the train split has."""
        if "symbols" not in recorded:
            return self
        found = replace(self)
        found.__dict__["_trained"] = frozenset(recorded["symbols"])
        return found

    @property
    def _known(self) -> frozenset[str]:
        """The symbols that a user's text may have."""
        found: frozenset[str] = self.__dict__.get("_trained", frozenset(self.alphabet.names))
        return found

    def _require_known(self, text: str) -> None:
        for symbol in self.alphabet.symbols(text):
            if symbol not in self._known:
                known = " ".join(map(repr, sorted(self._known)))
                raise ComponentError(
                    f"no text of the train split has the symbol {symbol!r} of '{text}'; symbols: "
                    f"{known}"
                )

    def _spoken(self, sentence: str) -> str:
        """Return the sentence without the mark at its end, where training had no such symbol."""
        end = sentence[-1:]
        return sentence[:-1] if end in set(".!?;") - self._known else sentence

    def _padded(self, text: str) -> Tensor:
        indices = self.alphabet.indices(text)
        if len(indices) > self.max_text:
            raise ComponentError(
                f"a sentence has {len(indices)} symbols, and data.max_text is {self.max_text}: end "
                f"sentences with a full stop, '{text[:40]}...'"
            )
        padded = torch.zeros(self.max_text, dtype=torch.int64)
        padded[: len(indices)] = torch.tensor(indices)
        return padded

    def portray(
        self, x: Tensor, condition: Mapping[str, Tensor], decoded: Decoded | None = None
    ) -> list[Portrait]:
        """Return the spectrogram of each sample, and its sound where the recipe has a codec."""
        return mel_portraits(self, x, condition, decoded, self.texts(condition))

    def joined(
        self,
        x: Tensor,
        condition: Mapping[str, Tensor],
        decoded: Decoded | None,
        given: Mapping[str, Any],
    ) -> list[Portrait]:
        """Return a sound of the sentences one after the other, with a short silence between them,
        and a picture of the first.
        """
        picture = self.portray(x[:1], condition)
        if decoded is None or decoded.rate is None:
            return picture
        silence = torch.zeros(round(PAUSE_SECONDS * decoded.rate))
        lengths = [decoded.values.shape[-1]] * len(x)
        if decoded.lengths is not None:
            lengths = decoded.lengths.tolist()
        spoken = [row[:n] for row, n in zip(decoded.values, lengths, strict=True)]
        parts = [part for sound in spoken for part in (silence, sound)][1:]
        return [Portrait.sound(torch.cat(parts), decoded.rate), *picture]


@final
@dataclass(frozen=True)
class Speech(SpeechData):
    """Recordings in the layout of LJ Speech: `root` holds metadata.csv and the folder wavs.

    A line of metadata.csv is NAME|TEXT or NAME|TEXT|NORMALISED TEXT, where the last counts; the
    sound is wavs/NAME.wav, or .flac, .ogg, .mp3.  One text in ten, by a hash of it, is of the test
    split.
    """

    root: Path = Path()

    WARNS: ClassVar[bool] = True

    SUFFIXES: ClassVar[tuple[str, ...]] = (".wav", ".flac", ".ogg", ".mp3", ".g722")

    def clips(self) -> Sequence[Clip]:
        table = self.root / "metadata.csv"
        if not table.is_file():
            raise DataError(
                f"{self.root} must hold metadata.csv and wavs/, as LJ Speech 1.1 does "
                "(keithito.com/LJ-Speech-Dataset): set data.root=FOLDER"
            )
        found = []
        for number, line in enumerate(_lines(table), 1):
            if not line.strip():
                continue
            name, *texts = line.split("|")
            if not texts:
                raise DataError(f"{table}, line {number}: should be NAME|TEXT, is '{line[:60]}'")
            if not texts[-1].strip():
                raise DataError(f"{table}, line {number}: the text of '{name}' is empty")
            if is_held_out(self.alphabet.normal(texts[-1])) != (self.split == "test"):
                continue
            file = self._sound(name, table, number)
            where = f"{table}, line {number}"
            found.append(Clip(texts[-1], sound_length(file, self.rate), file, where))
        return found

    def _sound(self, name: str, table: Path, number: int) -> Path:
        for suffix in self.SUFFIXES:
            file = self.root / "wavs" / f"{name}{suffix}"
            if file.is_file():
                return file
        raise DataError(f"{table}, line {number}: there is no wavs/{name}.wav in {self.root}")


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text(encoding="utf-8-sig").splitlines()  # spreadsheets write a mark first
    except UnicodeDecodeError as error:
        raise DataError(
            f"{table}: is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8"
        ) from error


def _is_text(given: str | list[Any]) -> bool:
    return isinstance(given, str) or (bool(given) and all(isinstance(x, str) for x in given))


def _content(source: Path | Tensor) -> bytes:
    """Return what identifies a recording: samples, or the size and the end of a file."""
    if isinstance(source, Tensor):
        return source.numpy().tobytes()
    size = source.stat().st_size
    with source.open("rb") as file:  # not all of it: a day of speech is 4 GB
        file.seek(max(0, size - 4096))
        return f"{size}/".encode() + file.read()

"""Texts as sequences of symbols."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, final

from fmcore import ComponentError
from fmcore_audio.pronunciation import (
    ARPABET,
    IPA,
    MARKS,
    cmudict_phonemes,
    espeak_phonemes,
    learn_espeak,
)

__all__ = ["LETTERS", "FrontEnd", "Symbols", "sentences"]

FrontEnd = Literal["characters", "cmudict", "espeak"]
"""How a text becomes symbols: its letters, or phonemes by a dictionary or by espeak-ng."""

LETTERS = " '-.,?!abcdefghijklmnopqrstuvwxyz"

PAUSE = re.compile(r"(?<=[.!?;])\s+")


@final
@dataclass(frozen=True)
class Symbols:
    """The symbols that texts may have; that of number i has the index i + 1, and 0 is padding.

    Texts are in lower case, with single spaces.  `table` holds the letters of the front end
    `characters`; those of phonemes have tables of their own.  `blank` puts one more symbol, of the
    last index, between all symbols and at both ends (Matcha-TTS, arXiv 2309.03199).
    """

    table: str = LETTERS
    blank: bool = False
    front_end: FrontEnd = "characters"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The symbols, in the order of their indices."""
        own = {"characters": tuple(self.table), "cmudict": MARKS + ARPABET, "espeak": MARKS + IPA}
        return own[self.front_end]

    @property
    def count(self) -> int:
        """The number of indices, with padding and the blank."""
        return len(self.names) + 1 + self.blank

    def normal(self, text: str) -> str:
        """Return `text` in lower case, with single spaces."""
        return " ".join(text.lower().split())

    def learn(self, texts: Iterable[str]) -> None:
        """Prepare the front end for `texts`, where many at once take less time."""
        if self.front_end == "espeak":
            learn_espeak(self.normal(text) for text in texts)

    def symbols(self, text: str) -> list[str]:
        """Return the letters or phonemes of `text`.

        Raises ComponentError for an empty text and for an unknown symbol.
        """
        text = self.normal(text)
        if not text:
            raise ComponentError("the text is empty")
        if self.front_end == "cmudict":
            return cmudict_phonemes(text)
        if self.front_end == "espeak":
            return espeak_phonemes(text)
        for place, symbol in enumerate(text):
            if symbol not in self.table:
                digits = "write numbers in words; " if symbol.isdigit() else ""
                raise ComponentError(
                    f"the text has the unknown symbol {symbol!r} at place {place + 1} of "
                    f"'{text}'; {digits}symbols: '{self.table}'"
                )
        return list(text)

    def indices(self, text: str) -> list[int]:
        """Return the indices of the symbols of `text`, and of blanks."""
        found = [self._index[symbol] for symbol in self.symbols(text)]
        if not self.blank:
            return found
        between = [self.count - 1] * (2 * len(found) + 1)
        between[1::2] = found
        return between

    @cached_property
    def _index(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.names, 1)}

    def text(self, indices: list[int]) -> str:
        """Return the symbols of `indices`, without padding and blanks: phonemes with a space
        between them, letters without.
        """
        between = " " if self.front_end == "cmudict" else ""
        return between.join(self.names[i - 1] for i in indices if 0 < i <= len(self.names))


def sentences(text: str) -> list[str]:
    """Return the sentences of `text`: it is cut after . ! ? ; before a space."""
    return [part for part in PAUSE.split(text.strip()) if part]

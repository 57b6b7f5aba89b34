"""Texts as sequences of symbols."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

from fmcore import ComponentError

__all__ = ["LETTERS", "Symbols", "sentences"]

LETTERS = " '-.,?!abcdefghijklmnopqrstuvwxyz"

PAUSE = re.compile(r"(?<=[.!?;])\s+")


@final
@dataclass(frozen=True)
class Symbols:
    """The symbols that texts may have; that of number i has the index i + 1, and 0 is padding.

    Texts are in lower case, with single spaces.  `blank` puts a padding symbol's twin, the index
    after the last symbol, between all symbols (Matcha-TTS, arXiv 2309.03199).
    """

    table: str = LETTERS
    blank: bool = False

    @property
    def count(self) -> int:
        """The number of indices, with padding and the blank."""
        return len(self.table) + 1 + self.blank

    def normal(self, text: str) -> str:
        """Return `text` in lower case, with single spaces."""
        return " ".join(text.lower().split())

    def indices(self, text: str) -> list[int]:
        """Return the indices of the symbols of `text`.

        Raises ComponentError for an empty text and for an unknown symbol.
        """
        text = self.normal(text)
        if not text:
            raise ComponentError("the text is empty")
        for place, symbol in enumerate(text):
            if symbol not in self.table:
                raise ComponentError(
                    f"the text has the unknown symbol {symbol!r} at place {place + 1} of "
                    f"'{text}'; symbols: '{self.table}'"
                )
        found = [self.table.index(symbol) + 1 for symbol in text]
        if not self.blank:
            return found
        between = [self.count - 1] * (2 * len(found) + 1)
        between[1::2] = found
        return between

    def text(self, indices: list[int]) -> str:
        """Return the text of `indices`, without padding and blanks."""
        return "".join(self.table[i - 1] for i in indices if 0 < i <= len(self.table))


def sentences(text: str) -> list[str]:
    """Return the sentences of `text`: it is cut after . ! ? ; before a space."""
    return [part for part in PAUSE.split(text.strip()) if part]

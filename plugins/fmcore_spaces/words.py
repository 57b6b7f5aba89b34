"""Words of a word list as rows of letters."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from fmcore import DataError, Dataset, Portrait, Space, Tokens

__all__ = ["Words"]

LETTERS = "abcdefghijklmnopqrstuvwxyz "
LENGTH = 8
DEFAULT = Path("/usr/share/dict/american-english")
HELD_OUT = 0.1


@final
@dataclass(frozen=True)
class Words(Dataset):
    """The words of 3 to 8 letters a-z of the list `root`, a word a line, as 8 of 27 tokens: the
    letters, and a blank after the end.

    `root` is by default the list of Debian's package wamerican, 35,577 words.  A tenth is held out.
    """

    portrayed: ClassVar[int] = 400

    root: Path | None = None
    mask: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        return (LENGTH,)

    @property
    def space(self) -> Space:
        return Tokens(len(LETTERS), mask=self.mask)

    @property
    def length(self) -> int:
        return len(self._words)

    @property
    def fingerprint(self) -> str:
        return hashlib.blake2b("\n".join(self._words).encode(), digest_size=8).hexdigest()

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return {"x1": self._tokens[torch.as_tensor(indices, dtype=torch.int64)]}

    def portray(
        self, x: Tensor, condition: Mapping[str, Tensor], decoded: Any = None
    ) -> list[Portrait]:
        """Return one text with the sampled words, eight a line."""
        words = ["".join(LETTERS[int(i)] for i in row).ljust(LENGTH + 1) for row in x.round()]
        lines = ["".join(words[i : i + 8]).rstrip() for i in range(0, len(words), 8)]
        return [Portrait.text(lines, "sampled words")]

    @cached_property
    def _words(self) -> list[str]:
        file = DEFAULT if self.root is None else Path(self.root)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"data 'words' needs a list of words, and {file} cannot be read: install Debian's "
                "package wamerican (apt install wamerican), or set data.root to a text file with a "
                "word a line"
            ) from error
        words = sorted(set(re.findall(r"^[a-z]{3,8}$", text, re.MULTILINE)))
        if not words:
            raise DataError(f"{file} holds no word of 3 to 8 letters a-z on a line of its own")
        return [word for word in words if _is_held_out(word) == (self.split == "test")]

    @cached_property
    def _tokens(self) -> Tensor:
        rows = [[LETTERS.index(c) for c in word.ljust(LENGTH)] for word in self._words]
        return torch.tensor(rows)


def _is_held_out(word: str) -> bool:
    hashed = hashlib.blake2b(f"words/{word}".encode(), digest_size=4).digest()
    return int.from_bytes(hashed, "big") / 2**32 < HELD_OUT

"""The levels of the handwritten digits as tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from torch import Tensor

from fmcore import Dataset, Portrait, Space, Tokens, create

__all__ = ["DigitsTokens"]

LEVELS = 17


@final
@dataclass(frozen=True)
class DigitsTokens(Dataset):
    """The images of data `digits`, `(1, 8, 8)`, with their 17 levels as tokens: 1,500 to train on,
    297 held out.
    """

    mask: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        return (1, 8, 8)

    @property
    def space(self) -> Space:
        return Tokens(LEVELS, mask=self.mask)

    @property
    def length(self) -> int:
        return self._digits.length

    @property
    def fingerprint(self) -> str:
        return hashlib.blake2b(
            f"tokens {self._digits.fingerprint}".encode(), digest_size=8
        ).hexdigest()

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return {"x1": self._digits.batch(indices)["x1"].long()}

    def portray(
        self, x: Tensor, condition: Mapping[str, Tensor], decoded: Any = None
    ) -> list[Portrait]:
        """Return a PNG of each image."""
        # the mask, which states on the way hold, looks white
        return [Portrait.picture(image.clamp(0, LEVELS - 1), LEVELS) for image in x]

    @cached_property
    def _digits(self) -> Dataset:
        return create("data", "digits", split=self.split)

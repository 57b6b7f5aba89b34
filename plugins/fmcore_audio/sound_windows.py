"""Windows of long sounds, and the sound of windows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["SoundWindows"]


@final
@dataclass(frozen=True)
class SoundWindows:
    """Windows of `size` samples, even, that overlap by half: the rows of one channel follow one
    another, and then those of the next channel.
    """

    size: int

    def count(self, samples: int) -> int:
        """Return the number of windows of one channel of `samples` samples."""
        return max(1, math.ceil((samples - self.size) / (self.size // 2)) + 1)

    def cut(self, sound: Tensor) -> Tensor:
        """Return the windows, `(rows, size)`, of `sound`, `(channels, samples)`; the last one of
        each channel is padded with zeros.
        """
        whole = (self.count(sound.shape[-1]) - 1) * (self.size // 2) + self.size
        padded = F.pad(sound, (0, whole - sound.shape[-1]))
        return padded.unfold(-1, self.size, self.size // 2).reshape(-1, self.size)

    def joined(self, rows: Tensor, channels: int, samples: int) -> Tensor:
        """Return the sound, `(channels, samples)`, of the windows `rows`, cross-faded.

        The squares of the weights add up to 1 everywhere: the windows are unrelated noise where
        they overlap, and weights that add up to 1 would lose half of its power there.
        """
        half = self.size // 2
        windows = rows.reshape(channels, -1, self.size)
        place = torch.arange(self.size) + 0.5
        power = torch.minimum(place, self.size - place)
        total = rows.new_zeros(channels, (windows.shape[1] - 1) * half + self.size)
        powers = rows.new_zeros(total.shape[1])
        for i in range(windows.shape[1]):
            own = slice(i * half, i * half + self.size)
            total[:, own] += windows[:, i] * power.sqrt()
            powers[own] += power
        return (total / powers.sqrt())[:, :samples]

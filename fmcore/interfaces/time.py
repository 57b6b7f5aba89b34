"""Interface of the distributions of training times, and the two that the core needs itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from fmcore.interfaces.options import Options
from fmcore.interfaces.time_sampling import stratified_times, uniform_times

__all__ = ["StratifiedTime", "Time", "UniformTime"]


class Time(Options, ABC):
    """A distribution on [0, 1] of training times, as fractions of a path's interval: 0 is the
    noise's end, 1 the data's.

    Laws:
    * `sample` draws from `generator` alone; the parts of a batch together have the distribution of
      the whole batch.
    * `density` is >= 0, integrates to 1 over [0, 1], and is the density of the samples.
    * Every eighth of [0, 1] gets at least a thousandth of the draws.
    """

    kind: ClassVar[str] = "time"

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)) -> Tensor:
        """Draw `(n,)` times in [0, 1], float32, on the CPU.

        This call draws part `part[0]` of `part[1]` equal parts of one batch, so that a stratified
        draw can cover the whole batch; independent draws ignore it.
        """

    @abstractmethod
    def density(self, t: Tensor) -> Tensor:
        """Return the density at `t` of any shape within [0, 1], in t's shape, dtype and device.

        It may be infinite at single points.
        """


@final
@dataclass(frozen=True)
class UniformTime(Time):
    """Independent times from U[0, 1).  Source: Lipman et al. 2023 (arXiv 2210.02747), eq. 5."""

    def sample(self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)) -> Tensor:
        return uniform_times(n, generator)

    def density(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)


@final
@dataclass(frozen=True)
class StratifiedTime(Time):
    """Uniform times, one in each of as many equal cells of [0, 1] as the batch has rows.

    Each time is uniform on [0, 1]; together they cover it evenly, which lowers the variance of the
    gradient.
    """

    def sample(self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)) -> Tensor:
        return stratified_times(n, generator, part)

    def density(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

"""The path that a network of diffusers was trained on, from its scheduler's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import final

from torch import Tensor

from fmcore import AffinePath, Coefficients
from fmcore_pretrained.scheduler import read_scheduler

__all__ = ["DiffusersPath"]


@final
@dataclass(frozen=True)
class DiffusersPath(AffinePath):
    """The path that the network in `folder` was trained on: `discrete_vp` with its betas, or
    `linear` for a scheduler of flow matching.

    scheduler_config.json is `folder` itself, or in it, in its subfolder `scheduler`, or next to it.
    Raises DataError if the file is missing or its path is not known.
    """

    folder: FilePath

    def __post_init__(self) -> None:
        super().__post_init__()
        self.inner  # noqa: B018  # reads the file, so that the recipe's check reports errors

    @cached_property
    def inner(self) -> AffinePath:
        """The path that the file describes."""
        return read_scheduler(FilePath(self.folder).expanduser()).path

    @property
    def t_min(self) -> float:
        return self.inner.t_min

    @property
    def t_max(self) -> float:
        return self.inner.t_max

    def coefficients(self, t: Tensor) -> Coefficients:
        return self.inner.coefficients(t)

"""The path of a network of diffusers, as the configuration of its scheduler tells it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import final

from torch import Tensor

from fmcore import AffinePath, Coefficients
from fmcore_pretrained.scheduler import trained_as

__all__ = ["DiffusersPath"]


@final
@dataclass(frozen=True)
class DiffusersPath(AffinePath):
    """The path that the network in `folder` was trained along: `discrete_vp` with its betas, or
    `linear` for a scheduler of flow matching.

    `folder` holds scheduler_config.json, in itself, in `scheduler` or beside it; or it is that
    file.
    """

    folder: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self.inner  # noqa: B018  # a wrong folder is an error of the recipe

    @cached_property
    def inner(self) -> AffinePath:
        """The path without its folder."""
        return trained_as(FilePath(self.folder).expanduser()).path

    @property
    def t_min(self) -> float:
        return self.inner.t_min

    @property
    def t_max(self) -> float:
        return self.inner.t_max

    def coefficients(self, t: Tensor) -> Coefficients:
        return self.inner.coefficients(t)

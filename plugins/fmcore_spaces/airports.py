"""Airports as points of the sphere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from fmcore import DataError, Dataset, Portrait, Space
from fmcore_spaces.sphere import Sphere
from fmcore_spaces.sphere_map import sphere_map

__all__ = ["Airports"]

HELD_OUT = 0.1
"""The share of the airports that are held out: those whose code has the lowest hash."""


@final
@dataclass(frozen=True)
class Airports(Dataset):
    """The 7,884 airports with an IATA code of the package `airportsdata`, as unit vectors `(3,)`;
    the last axis is the north pole.

    A tenth is held out.  Source: Mike Borsetti's airportsdata, MIT licence.
    """

    portrayed: ClassVar[int] = 4096

    @property
    def shape(self) -> tuple[int, ...]:
        return (3,)

    @property
    def space(self) -> Space:
        return Sphere()

    @property
    def length(self) -> int:
        return len(self._points)

    @property
    def fingerprint(self) -> str:
        # of the coordinates, not of unit vectors: the last bit of a sine differs between machines
        text = repr([row[1:] for row in self._rows])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return {"x1": self._points[torch.as_tensor(indices, dtype=torch.int64)]}

    def portray(
        self, x: Tensor, condition: Mapping[str, Tensor], decoded: Any = None
    ) -> list[Portrait]:
        """Return one map of the sphere with the samples and the airports."""
        return [sphere_map(x, self._points[: self.portrayed])]

    @cached_property
    def _rows(self) -> list[tuple[bytes, str, float, float]]:
        try:
            import airportsdata
        except ImportError as error:
            raise DataError(
                "data 'airports' comes with the package airportsdata, which is not installed: "
                "pip install airportsdata"
            ) from error
        known = airportsdata.load("IATA")
        # several codes may name one place; a copy in both splits would not be held out
        places = {(row["lat"], row["lon"]): code for code, row in sorted(known.items())}
        rows = sorted((_hash(c), c, float(lat), float(lon)) for (lat, lon), c in places.items())
        held_out = round(HELD_OUT * len(rows))
        return rows[:held_out] if self.split == "test" else rows[held_out:]

    @cached_property
    def _points(self) -> Tensor:
        degrees = torch.tensor([row[2:] for row in self._rows], dtype=torch.float64)
        latitude, longitude = torch.deg2rad(degrees).unbind(1)
        across = latitude.cos()
        axes = [across * longitude.cos(), across * longitude.sin(), latitude.sin()]
        return torch.stack(axes, 1).float()


def _hash(code: str) -> bytes:
    return hashlib.blake2b(f"airports/{code}".encode(), digest_size=8).digest()

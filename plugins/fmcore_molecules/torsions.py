"""Backbone torsions of proteins as points of a torus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from fmcore import Dataset, Portrait, Space, create
from fmcore_molecules.geometry import torsions_of
from fmcore_molecules.pdb import Segment, digest, is_held_out, read_segments
from fmcore_molecules.ramachandran import ramachandran

__all__ = ["Torsions"]


@final
@dataclass(frozen=True)
class Torsions(Dataset):
    """The angles phi and psi of residues with both neighbours, `(2,)` in [-pi, pi).

    `root` is a folder of PDB files (.pdb, .pdb.gz, .ent) or a .tar.gz archive of them; by default
    the installed package MDAnalysisTests.  Whole chains are held out, `held_out` of them, since
    neighbouring residues are alike.
    """

    portrayed: ClassVar[int] = 4096

    root: Path | None = None
    held_out: Annotated[float, Gt(0), Lt(1)] = 0.2

    @property
    def shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def space(self) -> Space:
        return create("space", "torus")

    @property
    def length(self) -> int:
        return len(self._angles)

    @property
    def fingerprint(self) -> str:
        return digest(self._segments, "torsions 1")

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return {"x1": self._angles[torch.as_tensor(indices, dtype=torch.int64)]}

    def portray(
        self, x: Tensor, condition: Mapping[str, Tensor], decoded: Any = None
    ) -> list[Portrait]:
        """Return one Ramachandran plot of the samples and of the data."""
        return [ramachandran(x, self._angles, "Ramachandran plot")]

    @cached_property
    def _segments(self) -> tuple[Segment, ...]:
        test = self.split == "test"
        segments = read_segments(self.root)
        return tuple(s for s in segments if is_held_out(s.chain, self.held_out) == test)

    @cached_property
    def _angles(self) -> Tensor:
        found = [torsions_of(segment.atoms)[:, :2] for segment in self._segments]
        angles = torch.cat(found) if found else torch.empty(0, 2)
        return angles[angles.isfinite().all(1)]

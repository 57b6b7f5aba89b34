"""Fragments of the chains of PDB files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from fmcore_molecules.fragments import Fragments, Member
from fmcore_molecules.pdb import read_segments

__all__ = ["Peptides"]


@final
@dataclass(frozen=True)
class Peptides(Fragments):
    """Fragments of all chains under `root`, which is that of data `torsions`.

    Whole chains are held out.  With `receptor`, the other chains of a file are the receptor of
    each, and whole files are held out.
    """

    def members(self) -> Iterator[Member]:
        segments = read_segments(self.root)
        for own in segments:
            if not self.receptor:
                yield Member(own, (), own.chain)
                continue
            others = (s for s in segments if s.file == own.file and s.letter != own.letter)
            yield Member(own, tuple(others), own.file)

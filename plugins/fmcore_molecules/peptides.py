"""Fragments of the chains of PDB files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from fmcore_molecules.fragments import Fragments, Member
from fmcore_molecules.pdb import Segment, read_segments

__all__ = ["Peptides"]


@final
@dataclass(frozen=True)
class Peptides(Fragments):
    """All fragments of `residues` neighbouring residues of the chains under `root`, one row each.

    Parts: `position`, the CA atoms around their centre, in units of 3.17 Å; `frame`, the rotation
    of each residue; `torsion`, its phi, psi and omega; `residue`, its amino acid.  Training turns
    each fragment by a random rotation.  Whole chains are held out, a share of `held_out`.

    `freeze` gives a part of the fragment as a condition (`frozen`) in a share of `freeze_share` of
    the training rows: `structure` all but the amino acids, so that samples under `sample.condition:
    test` are sequences for given structures, or `sequence` the amino acids.

    `receptor` > 0 gives the condition `receptor`, `(receptor, 14)`: position, frame, amino acid and
    existence of the residues of other chains of the file whose CA is within 10 Å of one of the
    fragment; of more the nearest.  Positions are then from the centre of these residues, which
    `origin` records in Å.  Fragments without such a residue are left out, and whole files are held
    out.  `root` is that of data `torsions`.
    """

    def members(self) -> Iterator[Member]:
        segments = read_segments(self.root)
        files: dict[str, list[Segment]] = defaultdict(list)
        for segment in segments:
            files[segment.file].append(segment)
        for own in segments:
            if self.receptor:
                others = (s for s in files[own.file] if s.letter != own.letter)
                yield Member(own, tuple(others), own.file)
            else:
                yield Member(own, (), own.chain)

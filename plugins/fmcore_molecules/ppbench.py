"""The protein-peptide complexes of PPFlow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import final

from fmcore import DataError
from fmcore_molecules.fragments import Fragments, Member
from fmcore_molecules.pdb import Segment, read_segments

__all__ = ["PPBench"]

PEPTIDE, RECEPTOR = ("peptide.pdb", "receptor.pdb")
"""The files of one complex."""

DOWNLOAD = (
    "PPBench2024 is on Google Drive, linked from the page of PPFlow "
    "(github.com/EDAPINENUT/ppflow): download and unpack it, and set data.root to its folder, in "
    f"which each complex is a folder with {PEPTIDE} and {RECEPTOR}. recipes/peptides.yaml trains "
    "the same flow on fragments of a package"
)


@final
@dataclass(frozen=True)
class PPBench(Fragments):
    """Fragments of the peptides of PPBench2024, as rows of data 'peptides'; with `receptor` in the
    pockets of their receptors.

    `root` is the unpacked folder: each complex is a folder with `peptide.pdb` and `receptor.pdb`.
    Whole complexes are held out.  The other options are those of data 'peptides'.

    Source: Lin et al. 2024 (arXiv 2405.06642).
    """

    def members(self) -> Iterator[Member]:
        for name, files in self._complexes().items():
            if self.receptor and RECEPTOR not in files:
                raise DataError(
                    f"data 'ppbench': {self.root}/{name} has no {RECEPTOR} with a whole residue: "
                    "remove the folder, or set data.receptor=0"
                )
            others = tuple(files.get(RECEPTOR, ())) if self.receptor else ()
            for own in files[PEPTIDE]:
                yield Member(own, others, name)

    def _complexes(self) -> dict[str, dict[str, list[Segment]]]:
        """Return the segments of each complex by folder and file."""
        if self.root is None or not Path(self.root).is_dir():
            place = "no folder is given" if self.root is None else f"{self.root} is no folder"
            raise DataError(f"data 'ppbench': {place}. {DOWNLOAD}")
        found: dict[str, dict[str, list[Segment]]] = defaultdict(lambda: defaultdict(list))
        for segment in read_segments(self.root):
            file = PurePosixPath(segment.file)
            found[str(file.parent)][file.name].append(segment)
        complexes = {name: files for name, files in found.items() if PEPTIDE in files}
        if not complexes:
            raise DataError(f"data 'ppbench': {self.root} holds no file {PEPTIDE}. {DOWNLOAD}")
        return complexes

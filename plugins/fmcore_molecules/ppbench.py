"""The protein-peptide complexes of PPFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, final

from annotated_types import Gt, Le
from torch import Tensor

from fmcore import DataError, Dataset, Product
from fmcore_molecules.peptides import Peptides, product_of

__all__ = ["PPBench"]


@final
@dataclass(frozen=True)
class PPBench(Dataset):
    """The peptides of PPBench2024 as rows of data 'peptides': fragments of `residues` residues.

    `root` is a folder with the set's PDB files of the peptides, unpacked; every chain in it is
    read, so leave the receptors out.  Source: Lin et al. 2024 (arXiv 2405.06642).
    """

    root: Path | None = None
    residues: Annotated[int, Gt(2), Le(64)] = 8

    @property
    def space(self) -> Product:
        return product_of(self.residues)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.space.size,)

    @property
    def length(self) -> int:
        return self._fragments.length

    @property
    def fingerprint(self) -> str:
        return self._fragments.fingerprint

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return self._fragments.batch(indices)

    @property
    def _fragments(self) -> Peptides:
        if self.root is None or not Path(self.root).exists():
            place = "no folder is given" if self.root is None else f"{self.root} does not exist"
            raise DataError(
                f"data 'ppbench': {place}. PPBench2024 is on Google Drive, linked from the page of "
                "PPFlow (github.com/EDAPINENUT/ppflow): download and unpack it, and set "
                "data.root to its folder. recipes/peptides.yaml trains the same flow on fragments "
                "of a package"
            )
        return Peptides(root=self.root, residues=self.residues, split=self.split)

"""Write backbones as PDB files."""

from __future__ import annotations

from torch import Tensor

from fmcore_molecules.pdb import ATOMS, RESIDUES

__all__ = ["pdb_text"]


def pdb_text(atoms: Tensor, residues: Tensor) -> str:
    """Return the PDB text of a chain A: `atoms` are N, CA and C in Å, `(n, 3, 3)`, `residues` the
    indices of the amino acids, `(n,)`.
    """
    lines: list[str] = []
    for i, (places, residue) in enumerate(zip(atoms.tolist(), residues.tolist(), strict=True)):
        for name, (x, y, z) in zip(ATOMS, places, strict=True):
            number = len(lines) + 1
            lines.append(
                f"ATOM  {number:5d}  {name:<3s} {RESIDUES[residue]} A{i + 1:4d}    "
                f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           {name[0]}  "
            )
    return "\n".join([*lines, "TER", "END", ""])

"""Write backbones as PDB files."""

from __future__ import annotations

from string import ascii_uppercase

from torch import Tensor

from fmcore_molecules.pdb import ATOMS, RESIDUES

__all__ = ["pdb_text"]


def pdb_text(*chains: tuple[Tensor, Tensor]) -> str:
    """Return the PDB text of the chains A, B, ...: of each its atoms N, CA and C in Å, `(n, 3, 3)`,
    and the indices of its amino acids, `(n,)`.
    """
    lines: list[str] = []
    number = 0
    for letter, (atoms, residues) in zip(ascii_uppercase, chains, strict=False):
        for i, (places, residue) in enumerate(zip(atoms.tolist(), residues.tolist(), strict=True)):
            for name, (x, y, z) in zip(ATOMS, places, strict=True):
                number += 1
                lines.append(
                    f"ATOM  {number:5d}  {name:<3s} {RESIDUES[residue]} {letter}{i + 1:4d}    "
                    f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           {name[0]}  "
                )
        lines.append("TER")
    return "\n".join([*lines, "END", ""])

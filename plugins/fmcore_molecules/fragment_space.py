"""The product space of fragments of proteins: position, frame, torsions, amino acid."""

from __future__ import annotations

from fmcore import Euclidean, Product, Tokens, create
from fmcore_molecules.pdb import RESIDUES

__all__ = ["PARTS", "SCALE", "product_of"]

PARTS = ("position", "frame", "torsion", "residue")
"""The parts of a row, in its order."""

SCALE = 3.17
"""Å for one unit of position: the standard deviation of a coordinate of a fragment of 8."""


def product_of(length: int) -> Product:
    """Return the space of fragments of `length` residues."""
    return Product(
        {
            "position": Euclidean(),
            "frame": create("space", "so3"),
            "torsion": create("space", "torus"),
            "residue": Tokens(len(RESIDUES), mask=True),
        },
        {
            "position": (length, 3),
            "frame": (length, 3, 3),
            "torsion": (length, 3),
            "residue": (length,),
        },
    )

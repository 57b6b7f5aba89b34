"""Proteins: torsions and fragments of PDB files, networks and metrics of them."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_datasets(register: Register) -> None:
    """Register the data of proteins."""
    register(
        "torsions", "fmcore_molecules.torsions:Torsions", summary="backbone torsions of PDB files"
    )

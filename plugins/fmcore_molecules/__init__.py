"""Proteins: torsions and fragments of PDB files, networks and metrics of them."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_couplings(register: Register) -> None:
    """Register the couplings of proteins."""
    register("aligned", "fmcore_molecules.aligned:Aligned", summary="noise turned to its fragment")


@hookimpl
def register_datasets(register: Register) -> None:
    """Register the data of proteins."""
    register("torsions", "fmcore_molecules.torsions:Torsions", summary="phi and psi of PDB files")
    register("peptides", "fmcore_molecules.peptides:Peptides", summary="fragments of PDB files")
    register(
        "ppbench", "fmcore_molecules.ppbench:PPBench", summary="peptides of PPFlow, to download"
    )


@hookimpl
def register_metrics(register: Register) -> None:
    """Register the metrics of proteins."""
    register(
        "torsion_jsd",
        "fmcore_molecules.torsion_jsd:TorsionJSD",
        summary="divergence of Ramachandran histograms, nats",
    )
    register("structure", "fmcore_molecules.structure:Structure", summary="geometry of fragments")


@hookimpl
def register_models(register: Register) -> None:
    """Register the networks of proteins."""
    register("frames", "fmcore_molecules.frames:Frames", summary="transformer over residue frames")

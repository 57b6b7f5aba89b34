"""Conditions of fragments from the files and the letters that a user gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fmcore import ComponentError, DataError, Product
from fmcore_molecules.fragment_space import SCALE
from fmcore_molecules.geometry import frames_of, torsions_of
from fmcore_molecules.pdb import Segment, read_file, unknown_residues
from fmcore_molecules.receptor import REACH, nearest, pocket

__all__ = ["given_frozen", "given_receptor"]

LETTERS = "ARNDCQEGHILKMFPSTWYV"
"""The one-letter codes of RESIDUES."""

LISTED = 5
"""Residues in a message."""


def given_receptor(given: Mapping[str, Any], size: int) -> dict[str, Tensor]:
    """Return the entries `receptor` and `origin` of the file `receptor`, and of its chain `chain`
    as the bound peptide.

    Raises ComponentError for a file without protein, with unknown residues or too many.
    """
    file = Path(given["receptor"]).expanduser()
    segments = _segments("receptor", file)
    unknown = unknown_residues(file)
    if unknown:
        listed = ", ".join(unknown[:LISTED]) + (", ..." if len(unknown) > LISTED else "")
        raise ComponentError(
            f"condition 'receptor': {file} holds {len(unknown)} residues that are none of the 20 "
            f"amino acids: {listed}: rename them in the file (MSE to MET), or remove them"
        )
    chain = given.get("chain")
    others = [s for s in segments if chain is None or s.letter != str(chain)]
    if chain is not None and len(others) == len(segments):
        raise ComponentError(f"condition 'chain': {file} has {_chains(segments)}, not {chain!r}")
    if not others:
        raise ComponentError(
            f"condition 'receptor': {file} has no chain but {chain!r}, which is the peptide: leave "
            "out condition.chain, or give the file of the complex"
        )
    atoms, residues = torch.cat([s.atoms for s in others]), torch.cat([s.residues for s in others])
    if chain is not None:
        bound = torch.cat([s.atoms[:, 1] for s in segments if s.letter == str(chain)])
        near = nearest(bound, atoms, size)
        if not len(near):
            raise ComponentError(
                f"condition 'receptor': no residue of {file} is within {REACH:g} Å of chain "
                f"{chain!r}"
            )
        atoms, residues = atoms[near], residues[near]
    if len(atoms) > size:
        raise ComponentError(
            f"condition 'receptor': {file} has {len(atoms)} residues, and the network reads "
            f"{size}: keep those of the pocket, or name the chain of a bound peptide by "
            "condition.chain"
        )
    rows, origin = pocket(atoms, residues, size, SCALE)
    return {"receptor": rows[None], "origin": origin[None]}


def given_frozen(
    given: Mapping[str, Any], space: Product, origin: Tensor | None
) -> dict[str, Tensor]:
    """Return the entries `frozen` and `frozen_values` of a `sequence` or a `structure`; {} without
    both.  A structure's positions are from `origin`, `(1, 3)` in Å, or from its own centre.

    Raises ComponentError for a sequence or a chain of another length.
    """
    count = space.shapes["residue"][0]
    if "sequence" in given:
        parts = {"residue": _tokens(given["sequence"], count).float()}
    elif "structure" in given:
        parts = _structure(given, count, origin)
    else:
        return {}
    zeros = {name: torch.zeros(1, *shape) for name, shape in space.shapes.items()}
    frozen = zeros | {name: torch.ones_like(part)[None] for name, part in parts.items()}
    values = zeros | {name: part[None] for name, part in parts.items()}
    return {"frozen": space.join(frozen).bool(), "frozen_values": space.join(values)}


def _tokens(sequence: Any, count: int) -> Tensor:
    text = str(sequence).upper()
    unknown = sorted(set(text) - set(LETTERS))
    if unknown or len(text) != count:
        what = f"'{unknown[0]}' is no amino acid" if unknown else f"it has {len(text)} letters"
        raise ComponentError(
            f"condition 'sequence' is {text!r}: {what}; give {count} of the letters {LETTERS}"
        )
    return torch.tensor([LETTERS.index(letter) for letter in text])


def _structure(given: Mapping[str, Any], count: int, origin: Tensor | None) -> dict[str, Tensor]:
    file = Path(str(given["structure"])).expanduser()
    segments = _segments("structure", file)
    chain = given.get("chain")
    own = [s for s in segments if chain is None or s.letter == str(chain)]
    if not own:
        raise ComponentError(f"condition 'chain': {file} has {_chains(segments)}, not {chain!r}")
    if len(own) > 1 or len(own[0].residues) != count + 2:
        lengths = ", ".join(str(len(s.residues)) for s in own)
        raise ComponentError(
            f"condition 'structure': {file} has parts of {lengths} residues without gaps: give one "
            f"of {count + 2}, the {count} of a sample and one on each side, which determine the "
            "first phi and the last psi"
        )
    atoms = own[0].atoms
    frames, places = frames_of(atoms[1:-1])
    centre = places.mean(0) if origin is None else origin[0]
    torsions = torsions_of(atoms)[1:-1]
    return {"position": (places - centre) / SCALE, "frame": frames, "torsion": torsions}


def _segments(name: str, file: Path) -> tuple[Segment, ...]:
    try:
        return read_file(file)
    except DataError as error:
        raise ComponentError(f"condition '{name}': {error}") from error


def _chains(segments: tuple[Segment, ...]) -> str:
    letters = sorted({s.letter for s in segments})
    return f"the chain{'s' if len(letters) > 1 else ''} {', '.join(letters)}"

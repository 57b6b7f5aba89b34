"""Fragments of proteins as points of a product space: position, frame, torsions, amino acid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, final

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor

from fmcore import (
    ConditionSpec,
    Dataset,
    Euclidean,
    Portrait,
    Product,
    Rows,
    Tokens,
    create,
)
from fmcore_molecules.geometry import atoms_of_frames, atoms_of_torsions, frames_of, torsions_of
from fmcore_molecules.pdb import RESIDUES, Segment, digest, is_held_out, read_segments
from fmcore_molecules.pdb_files import pdb_text
from fmcore_molecules.ramachandran import ramachandran
from fmcore_molecules.trace import traces

__all__ = ["PARTS", "SCALE", "Peptides", "product_of"]

PARTS = ("position", "frame", "torsion", "residue")
"""The parts of a row, in its order."""

SCALE = 3.17
"""Å for one unit of position: the standard deviation of a coordinate of a fragment of 8."""

FILES = 8
"""Samples that are written as PDB files."""


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


@final
@dataclass(frozen=True)
class Peptides(Dataset):
    """All fragments of `residues` neighbouring residues of the chains under `root`, one row each.

    Parts: `position`, the CA atoms around their centre, in units of 3.17 Å; `frame`, the rotation
    of each residue; `torsion`, its phi, psi and omega; `residue`, its amino acid.  Training turns
    each fragment by a random rotation.  Whole chains are held out, a share of `held_out`.

    `freeze: structure` gives all parts but the amino acids as a condition (`frozen`) in a share of
    `freeze_share` of the training rows, so that samples under `sample.condition: test` are
    sequences for given structures.  `root` is that of data `torsions`.
    """

    portrayed: ClassVar[int] = 1024

    root: Path | None = None
    residues: Annotated[int, Gt(2), Le(64)] = 8
    held_out: Annotated[float, Gt(0), Lt(1)] = 0.06
    freeze: Literal["none", "structure"] = "none"
    freeze_share: Annotated[float, Ge(0), Le(1)] = 0.25

    @property
    def space(self) -> Product:
        return product_of(self.residues)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.space.size,)

    @property
    def entries(self) -> Mapping[str, ConditionSpec]:
        if self.freeze == "none":
            return super().entries
        frozen = {
            "frozen": ConditionSpec(self.shape, "bool"),
            "frozen_values": ConditionSpec(self.shape),
        }
        return {**super().entries, **frozen}

    @property
    def length(self) -> int:
        return len(self._rows)

    @property
    def fingerprint(self) -> str:
        return digest(self._segments, "peptides 1", self.residues, self.freeze)

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        x1 = self._rows[torch.as_tensor(indices, dtype=torch.int64)]
        return {"x1": x1, **self._frozen(x1)}

    def augmented(self, batch: dict[str, Tensor], rows: Rows) -> dict[str, Tensor]:
        """Turn each fragment by a uniform rotation; freeze the structure of some."""
        space = self.space
        turn = space.parts["frame"].uniform(rows, (3, 3), torch.float32)
        parts = space.split(batch["x1"])
        parts["position"] = parts["position"] @ turn.mT
        parts["frame"] = turn[:, None] @ parts["frame"]
        x1 = space.join(parts)
        given = self._frozen(x1)
        if given:
            kept = rows.uniform(()) < self.freeze_share
            given["frozen"] = given["frozen"] & kept[:, None]
        return {**batch, "x1": x1, **given}

    def portray(
        self, x: Tensor, condition: Mapping[str, Tensor], decoded: Any = None
    ) -> list[Portrait]:
        """Return PDB files of the first samples, each from its frames and from its torsions alone,
        a Ramachandran plot and a picture of the traces.
        """
        parts = self.space.split(x)
        atoms = atoms_of_frames(parts["frame"], SCALE * parts["position"])
        letters = parts["residue"].round().long().clamp(0, len(RESIDUES) - 1)
        found = []
        for i in range(min(FILES, len(x))):
            folded = atoms_of_torsions(parts["torsion"][i])
            for which, own in (("frames", atoms[i]), ("torsions", folded)):
                text = pdb_text(own, letters[i])
                found.append(Portrait(text.encode(), "pdb", f"sample {i}, from its {which}"))
        real = self.space.split(self._rows)["torsion"][:, 1:-1, :2].flatten(0, 1)
        inner = parts["torsion"][:, 1:-1, :2].flatten(0, 1)
        return [*found, ramachandran(inner, real, "Ramachandran plot"), traces(atoms[:FILES])]

    def _frozen(self, x1: Tensor) -> dict[str, Tensor]:
        """Return the condition that freezes all parts but the amino acids; {} without `freeze`."""
        if self.freeze == "none":
            return {}
        sizes = {name: torch.ones_like(part) for name, part in self.space.split(x1).items()}
        sizes["residue"] = torch.zeros_like(sizes["residue"])
        return {"frozen": self.space.join(sizes).bool(), "frozen_values": x1}

    @cached_property
    def _segments(self) -> tuple[Segment, ...]:
        test = self.split == "test"
        segments = read_segments(self.root)
        return tuple(s for s in segments if is_held_out(s.chain, self.held_out) == test)

    @cached_property
    def _rows(self) -> Tensor:
        found = [self._fragments(segment) for segment in self._segments]
        whole = [rows for rows in found if len(rows)]
        return torch.cat(whole) if whole else torch.empty(0, self.space.size)

    def _fragments(self, segment: Segment) -> Tensor:
        n = self.residues
        # the ends of a chain have no phi or no psi
        torsions = torsions_of(segment.atoms)[1:-1]
        atoms, letters = segment.atoms[1:-1], segment.residues[1:-1]
        if len(letters) < n:
            return torch.empty(0, self.space.size)
        frames, positions = frames_of(atoms)
        windows = positions.unfold(0, n, 1).movedim(-1, 1)
        centred = (windows - windows.mean(1, keepdim=True)) / SCALE
        return self.space.join(
            {
                "position": centred,
                "frame": frames.unfold(0, n, 1).movedim(-1, 1),
                "torsion": torsions.unfold(0, n, 1).movedim(-1, 1),
                "residue": letters.unfold(0, n, 1),
            }
        )

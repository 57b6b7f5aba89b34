"""Datasets of fragments of proteins, alone or in the pocket of a receptor."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, final

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor

from fmcore import ComponentError, ConditionSpec, DataError, Dataset, Portrait, Product, Rows
from fmcore.errors import did_you_mean
from fmcore_molecules.fragment_space import SCALE, product_of
from fmcore_molecules.geometry import atoms_of_frames, atoms_of_torsions, frames_of, torsions_of
from fmcore_molecules.given_files import given_frozen, given_receptor
from fmcore_molecules.pdb import RESIDUES, Segment, digest, is_held_out
from fmcore_molecules.pdb_files import pdb_text
from fmcore_molecules.ramachandran import ramachandran
from fmcore_molecules.receptor import ROW, Receptor, nearest, pocket
from fmcore_molecules.trace import traces

__all__ = ["Fragments", "Member"]

FILES = 8
"""Samples that are written as PDB files."""


@final
@dataclass(frozen=True)
class Member:
    """A segment whose fragments are examples, the segments of other chains around it, and the name
    by whose hash both are held out.
    """

    segment: Segment
    others: tuple[Segment, ...]
    name: str


@dataclass(frozen=True)
class Fragments(Dataset):
    """All fragments of `residues` neighbouring residues of the segments that `members` gives; the
    options are explained in data 'peptides'.
    """

    portrayed: ClassVar[int] = 1024
    OWN: ClassVar[tuple[str, ...]] = ("chain", "sequence", "structure")
    """What `encode` takes besides the entries."""

    root: Path | None = None
    residues: Annotated[int, Gt(2), Le(64)] = 8
    held_out: Annotated[float, Gt(0), Lt(1)] = 0.06
    freeze: Literal["none", "structure", "sequence"] = "none"
    freeze_share: Annotated[float, Ge(0), Le(1)] = 0.25
    receptor: Annotated[int, Ge(0), Le(1024)] = 0

    @abstractmethod
    def members(self) -> Iterator[Member]:
        """Yield the segments of both splits, in a fixed order.

        Raises DataError where there is nothing to read.
        """

    @property
    @final
    def space(self) -> Product:
        return product_of(self.residues)

    @property
    @final
    def shape(self) -> tuple[int, ...]:
        return (self.space.size,)

    @property
    @final
    def entries(self) -> Mapping[str, ConditionSpec]:
        found = dict(super().entries)
        if self.freeze != "none":
            found["frozen"] = ConditionSpec(self.shape, "bool")
            found["frozen_values"] = ConditionSpec(self.shape)
        if self.receptor:
            found["receptor"] = ConditionSpec((self.receptor, ROW), droppable=True)
            found["origin"] = ConditionSpec((3,), record=True)
        return found

    @property
    @final
    def length(self) -> int:
        return len(self._rows["x1"])

    @property
    @final
    def fingerprint(self) -> str:
        # each segment once: one may be the receptor of several
        read = {id(s): s for m in self._members for s in (m.segment, *m.others)}
        pockets = (self.receptor,) if self.receptor else ()
        return digest(tuple(read.values()), "peptides 1", self.residues, self.freeze, *pockets)

    @final
    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        batch = {name: rows[chosen] for name, rows in self._rows.items()}
        return {**batch, **self._frozen(batch["x1"])}

    @final
    def augmented(self, batch: dict[str, Tensor], rows: Rows) -> dict[str, Tensor]:
        """Turn each fragment and its receptor by a uniform rotation; freeze a part of some."""
        space = self.space
        turn = space.parts["frame"].uniform(rows, (3, 3), torch.float32).to(batch["x1"].device)
        parts = space.split(batch["x1"])
        parts["position"] = parts["position"] @ turn.mT
        parts["frame"] = turn[:, None] @ parts["frame"]
        x1 = space.join(parts)
        made = {"x1": x1, **self._frozen(x1)}
        if "frozen" in made:
            kept = rows.uniform(()) < self.freeze_share
            made["frozen"] = made["frozen"] & kept[:, None]
        if self.receptor:
            made["receptor"] = Receptor.of(batch["receptor"]).turned(turn).rows()
        return {**batch, **made}

    @property
    @final
    def takes(self) -> tuple[str, ...]:
        own = {"chain": self.receptor > 0 or self.freeze == "structure"}
        own |= {name: self.freeze == name for name in ("sequence", "structure")}
        return (*self.entries, *(name for name, taken in own.items() if taken))

    @final
    def encode(self, given: Mapping[str, Any]) -> dict[str, Tensor]:
        """Turn the files `receptor` and `structure` and the `sequence` of a user into entries.

        `receptor` is a PDB file of the pocket; or of a complex, where `chain` names the chain of a
        bound peptide.  `structure` is a PDB file with a chain of `residues` + 2 residues, or its
        chain `chain`; `sequence` has one letter for each residue.
        """
        for name in given.keys() - set(self.takes):
            hint = did_you_mean(name, self.takes) or f"; conditions: {', '.join(self.takes)}"
            raise ComponentError(f"{type(self).__name__} takes no condition '{name}'{hint}")
        files = {k for k in ("receptor", "structure") if isinstance(given.get(k), str)}
        own = {k: v for k, v in given.items() if k in files or k in self.OWN}
        if "chain" in own and not files:
            raise ComponentError(
                "condition 'chain' names a chain of the file 'receptor' or 'structure': give it"
            )
        found = super().encode({k: v for k, v in given.items() if k not in own})
        if "receptor" in own:
            found |= given_receptor(own, self.receptor)
        return found | given_frozen(own, self.space, found.get("origin"))

    @final
    def portray(
        self, x: Tensor, condition: Mapping[str, Tensor], decoded: Any = None
    ) -> list[Portrait]:
        """Return PDB files of the first samples, each from its frames and from its torsions alone,
        a Ramachandran plot and a picture of the traces.

        Files from frames hold the receptor as chain B, at the places of its own file.
        """
        parts = self.space.split(x)
        atoms = atoms_of_frames(parts["frame"], SCALE * parts["position"])
        letters = parts["residue"].round().long().clamp(0, len(RESIDUES) - 1)
        found = []
        for i in range(min(FILES, len(x))):
            origin, others = _surroundings(condition, i)
            folded = atoms_of_torsions(parts["torsion"][i])
            texts = {
                "frames": pdb_text((atoms[i] + origin, letters[i]), *others),
                "torsions": pdb_text((folded, letters[i])),
            }
            for which, text in texts.items():
                found.append(Portrait(text.encode(), "pdb", f"sample {i}, from its {which}"))
        known = self.space.split(self._rows["x1"])
        real = known["torsion"][:, 1:-1, :2].flatten(0, 1)
        inner = parts["torsion"][:, 1:-1, :2].flatten(0, 1)
        return [*found, ramachandran(inner, real, "Ramachandran plot"), traces(atoms[:FILES])]

    def _frozen(self, x1: Tensor) -> dict[str, Tensor]:
        """Return the condition that freezes a part; {} without `freeze`."""
        if self.freeze == "none":
            return {}
        parts = self.space.split(x1)
        frozen = {
            name: torch.full_like(part, float((name == "residue") == (self.freeze == "sequence")))
            for name, part in parts.items()
        }
        return {"frozen": self.space.join(frozen).bool(), "frozen_values": x1}

    @cached_property
    def _members(self) -> tuple[Member, ...]:
        test = self.split == "test"
        return tuple(m for m in self.members() if is_held_out(m.name, self.held_out) == test)

    @cached_property
    def _rows(self) -> dict[str, Tensor]:
        found = [rows for m in self._members if len((rows := self._fragments(m))["x1"])]
        if found:
            return {name: torch.cat([rows[name] for rows in found]) for name in found[0]}
        if self.receptor and self._members:
            raise DataError(
                f"{self.root}: no fragment of split '{self.split}' has a residue of another chain "
                "within 10 Å: data.receptor needs files of complexes"
            )
        return {"x1": torch.empty(0, self.space.size)}

    def _fragments(self, member: Member) -> dict[str, Tensor]:
        n = self.residues
        # the ends of a chain have no phi or no psi
        torsions = torsions_of(member.segment.atoms)[1:-1]
        atoms, letters = member.segment.atoms[1:-1], member.segment.residues[1:-1]
        if len(letters) < n or (self.receptor and not member.others):
            return {"x1": torch.empty(0, self.space.size)}
        frames, positions = frames_of(atoms)
        windows = positions.unfold(0, n, 1).movedim(-1, 1)
        kept = torch.ones(len(windows), dtype=torch.bool)
        pockets: dict[str, Tensor] = {}
        origins = windows.mean(1)
        if self.receptor:
            kept, pockets = self._pockets(windows, member.others)
            origins = pockets["origin"]
        x1 = self.space.join(
            {
                "position": (windows[kept] - origins[:, None]) / SCALE,
                "frame": frames.unfold(0, n, 1).movedim(-1, 1)[kept],
                "torsion": torsions.unfold(0, n, 1).movedim(-1, 1)[kept],
                "residue": letters.unfold(0, n, 1)[kept],
            }
        )
        return {"x1": x1, **pockets}

    def _pockets(
        self, windows: Tensor, others: tuple[Segment, ...]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return which of the fragments with the CA atoms `windows`, `(count, n, 3)`, have a
        pocket, and the pockets of these.
        """
        atoms = torch.cat([s.atoms for s in others])
        residues = torch.cat([s.residues for s in others])
        found = [nearest(window, atoms, self.receptor) for window in windows]
        rows = [
            pocket(atoms[near], residues[near], self.receptor, SCALE) for near in found if len(near)
        ]
        kept = torch.tensor([len(near) > 0 for near in found])
        if not rows:
            return kept, {
                "receptor": torch.empty(0, self.receptor, ROW),
                "origin": torch.empty(0, 3),
            }
        receptor, origin = zip(*rows, strict=True)
        return kept, {"receptor": torch.stack(receptor), "origin": torch.stack(origin)}


def _surroundings(
    condition: Mapping[str, Tensor], i: int
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Return the origin of sample i in Å and the atoms and amino acids of its receptor, if any."""
    if "receptor" not in condition or "origin" not in condition:
        return torch.zeros(3), []
    origin = condition["origin"][i].float().cpu()
    rows = Receptor.of(condition["receptor"][i : i + 1].float().cpu())
    exists = rows.exists[0]
    if not bool(exists.any()):  # dropped
        return torch.zeros(3), []
    atoms = atoms_of_frames(rows.frame[0][exists], SCALE * rows.position[0][exists])
    return origin, [(atoms + origin, rows.residue[0][exists])]

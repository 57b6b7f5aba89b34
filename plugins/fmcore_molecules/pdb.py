"""Backbones of proteins, read from PDB files.

Read are the atoms N, CA and C of ATOM lines, at the first alternative location.  A chain is cut
where the bond from C to the next N is longer than 1.8 Å, which means that residues are missing.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from fmcore import DataError

__all__ = [
    "ATOMS",
    "RESIDUES",
    "Segment",
    "digest",
    "is_held_out",
    "read_file",
    "read_segments",
    "unknown_residues",
]

RESIDUES = (
    "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE",
    "LEU", "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL",
)  # fmt: skip
"""The amino acids, in the order of their tokens."""

ATOMS = ("N", "CA", "C")

LONGEST_BOND = 1.8
"""In Å: a peptide bond is 1.33 Å long, the next residue but one over 3 Å away."""

SUFFIXES = (".pdb", ".pdb.gz", ".ent", ".ent.gz")

BROKEN = ("1mr1D_failing.pdb.gz", "wrong_hydrogens.pdb.gz")
"""Files of MDAnalysisTests that are wrong on purpose."""

ADVICE = (
    "get the test files of MDAnalysis (60 MB, PDB entries, CC0) with `pip download --no-deps "
    "--no-binary :all: MDAnalysisTests==2.11.0` and set data.root to the archive "
    "mdanalysistests-2.11.0.tar.gz, or set data.root to a folder of .pdb or .pdb.gz files"
)

LARGEST = 64_000_000
"""Bytes of one PDB file, unpacked: a larger one is no entry of the PDB format."""


@final
@dataclass(frozen=True)
class Segment:
    """A part of a chain without gaps: `atoms` are the positions of N, CA and C in Å, `(n, 3, 3)`
    float32, `residues` the amino acids, `(n,)` int64 indices of RESIDUES.  `chain` names the file,
    by its path in the folder, and the chain: FILE:LETTER.
    """

    chain: str
    atoms: Tensor
    residues: Tensor

    @property
    def file(self) -> str:
        return self.chain.rpartition(":")[0]

    @property
    def letter(self) -> str:
        return self.chain.rpartition(":")[2]


@lru_cache(maxsize=4)
def read_segments(root: Path | None) -> tuple[Segment, ...]:
    """Return the segments of all chains under `root`: a folder, or a .tar.gz archive; by default
    the installed package MDAnalysisTests.

    Raises DataError where there is nothing to read, with the download that has it.
    """
    place = _default_root() if root is None else Path(root)
    segments: list[Segment] = []
    for name, text in _files(place):
        segments += _segments_of(name, text)
    if not segments:
        raise DataError(f"{place} holds no protein chain: {ADVICE}")
    return tuple(segments)


def read_file(file: Path) -> tuple[Segment, ...]:
    """Return the segments of one PDB file.

    Raises DataError for a file that cannot be read and for one without a whole residue.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    text = _text(content, str(file))
    segments = tuple(_segments_of(file.name, text))
    if not segments:
        raise DataError(
            f"{file} holds no amino acid with the atoms N, CA and C in ATOM lines: give a PDB file "
            "of proteins"
        )
    return segments


def unknown_residues(file: Path) -> list[str]:
    """Return the residues of `file` whose names are not those of the 20 amino acids and that have a
    CA atom in an ATOM line, as `CHAIN:NAME NUMBER`.
    """
    lines = _text(file.read_bytes(), str(file)).splitlines()
    atoms = [line for line in lines if line.startswith("ATOM") and line[12:16].strip() == "CA"]
    unknown = [line for line in atoms if line[17:20] not in RESIDUES]
    return [f"{line[21].strip()}:{line[17:20].strip()} {line[22:27].strip()}" for line in unknown]


def is_held_out(chain: str, share: float) -> bool:
    """Return whether a chain is in the test split: a function of its name."""
    return int(_hash(f"chain/{chain}")[:8], 16) / 16**8 < share


def digest(segments: tuple[Segment, ...], *options: object) -> str:
    """Return a hash of the segments' coordinates, in the thousandths of Å of the files, and of the
    options.
    """
    found = hashlib.blake2b(repr(options).encode(), digest_size=8)
    for segment in segments:
        found.update(segment.chain.encode())
        found.update((segment.atoms.double() * 1000).round().int().numpy().tobytes())
        found.update(segment.residues.numpy().tobytes())
    return found.hexdigest()


def _default_root() -> Path:
    spec = find_spec("MDAnalysisTests")
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"no PDB files are given: {ADVICE}")
    return Path(spec.submodule_search_locations[0]) / "data" / "dssp"


def _files(place: Path) -> Iterator[tuple[str, str]]:
    """Yield the names and the texts of the PDB files under `place`, sorted by name."""
    if place.is_dir():
        found = sorted(f for f in place.rglob("*") if f.name.endswith(SUFFIXES) and f.is_file())
        for file in found:
            if file.name not in BROKEN:
                yield file.relative_to(place).as_posix(), _text(file.read_bytes(), str(file))
        return
    if not place.exists():
        raise DataError(f"{place} does not exist: {ADVICE}")
    try:
        with tarfile.open(place) as archive:
            members = sorted((m for m in archive if m.isfile()), key=lambda m: m.name)
            chosen = [m for m in members if m.name.endswith(SUFFIXES)]
            # the archive of MDAnalysis has files of many kinds; these are whole chains
            chosen = [m for m in chosen if "/data/dssp/" in m.name] or chosen
            for member in chosen:
                name = Path(member.name).name
                content = archive.extractfile(member)
                if name not in BROKEN and content is not None and member.size <= LARGEST:
                    yield name, _text(content.read(), f"{place}: {member.name}")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{place} is no archive of PDB files ({error}): {ADVICE}") from error


def _text(content: bytes, name: str) -> str:
    if name.endswith(".gz"):
        try:
            unpacked = zlib.decompressobj(wbits=31)
            content = unpacked.decompress(content, LARGEST)
        except (zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{name} is corrupt: {error}") from error
    return content.decode("latin-1")


def _segments_of(name: str, text: str) -> Iterator[Segment]:
    residues: dict[tuple[str, str], dict[str, tuple[float, float, float]]] = {}
    names: dict[tuple[str, str], str] = {}
    for line in text.splitlines():
        if line.startswith("ENDMDL"):  # of several models of one protein, the first
            break
        atom = line[12:16].strip()
        if not line.startswith("ATOM") or atom not in ATOMS or line[16] not in " A":
            continue
        key = (line[21], line[22:27])
        try:
            position = (float(line[30:38]), float(line[38:46]), float(line[46:54]))
        except ValueError as error:
            raise DataError(f"{name}: no coordinates in the line {line.strip()!r}") from error
        residues.setdefault(key, {}).setdefault(atom, position)
        names.setdefault(key, line[17:20])
    run: list[tuple[str, str]] = []
    for key, atoms in residues.items():
        whole = len(atoms) == len(ATOMS) and names[key] in RESIDUES
        if run and (not whole or key[0] != run[-1][0] or _apart(residues[run[-1]], atoms)):
            yield _segment(name, run, residues, names)
            run = []
        if whole:
            run.append(key)
    if run:
        yield _segment(name, run, residues, names)


def _apart(
    before: dict[str, tuple[float, float, float]], after: dict[str, tuple[float, float, float]]
) -> bool:
    square = sum((a - b) ** 2 for a, b in zip(before["C"], after["N"], strict=True))
    return bool(square > LONGEST_BOND**2)


def _segment(
    name: str,
    run: list[tuple[str, str]],
    residues: dict[tuple[str, str], dict[str, tuple[float, float, float]]],
    names: dict[tuple[str, str], str],
) -> Segment:
    atoms = torch.tensor([[residues[key][atom] for atom in ATOMS] for key in run])
    tokens = torch.tensor([RESIDUES.index(names[key]) for key in run])
    return Segment(f"{name}:{run[0][0].strip()}", atoms, tokens)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

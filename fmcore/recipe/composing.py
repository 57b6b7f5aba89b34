"""A recipe file with everything that it extends, merged into one tree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fmcore.errors import RecipeError
from fmcore.recipe.faults import Faults
from fmcore.recipe.finding import find, shown
from fmcore.recipe.merging import merge
from fmcore.recipe.nodes import Block, Leaf, Mark, Node
from fmcore.recipe.yaml_text import MAX_BYTES, read_bytes

__all__ = ["chain", "composed"]

MAX_CHAIN = 20


def composed(file: Path, faults: Faults) -> Block:
    """The file on top of what it extends, that on top of what it extends, and so on."""
    merged: Node | None = None
    for _, block in reversed(chain(file, faults)):
        merged = block if merged is None else merge(merged, block)
    return merged if isinstance(merged, Block) else Block(Mark(shown(file), 1, 1), {})


def chain(file: Path, faults: Faults) -> list[tuple[Path, Block]]:
    """The file and its bases, the file first, each without its `extends`."""
    found: list[tuple[Path, Block]] = []
    seen: list[Path] = []
    here: Path | None = file
    while here is not None:
        seen.append(here.resolve())
        block = _read(here, faults)
        base = block.entries.get("extends")
        found.append(
            (
                here,
                replace(block, entries={k: v for k, v in block.entries.items() if k != "extends"}),
            )
        )
        here = None if base is None else _base(base, here, seen, faults)
    return found


def _base(node: Node, file: Path, seen: list[Path], faults: Faults) -> Path | None:
    if not isinstance(node, Leaf) or not isinstance(node.value, str) or not node.value:
        faults.add(
            node.mark, "`extends` names one file or recipe, as in `extends: _base/adm64.yaml`"
        )
        return None
    try:
        base = find(node.value, file.parent)
    except RecipeError as error:
        raise RecipeError(f"{node.mark}: {error}") from None
    if base.resolve() in seen:
        loop = " -> ".join(shown(f) for f in [*seen[seen.index(base.resolve()) :], base.resolve()])
        raise RecipeError(f"{node.mark}: a recipe cannot extend itself: {loop}")
    if len(seen) >= MAX_CHAIN:
        raise RecipeError(f"{node.mark}: more than {MAX_CHAIN} recipes extend one another")
    return base


def _read(file: Path, faults: Faults) -> Block:
    source = shown(file)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"{source}: cannot be read: {error.strerror}") from None
    node = read_bytes(data, source, faults)
    if node is None:
        raise RecipeError(f"{source}:1:1: the recipe is empty")
    if not isinstance(node, Block):
        raise RecipeError(f"{node.mark}: a recipe is a mapping of sections, as in `path: ot`")
    return node

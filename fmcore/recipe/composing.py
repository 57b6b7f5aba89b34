"""A recipe file with everything that it extends, merged into one tree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import final

from fmcore.errors import RecipeError
from fmcore.recipe.faults import Faults
from fmcore.recipe.finding import find, shown
from fmcore.recipe.merging import merge
from fmcore.recipe.nodes import Block, Leaf, Mark, Node
from fmcore.recipe.yaml_text import MAX_BYTES, read_bytes

__all__ = ["Layer", "chain", "composed"]

MAX_CHAIN = 20


@final
@dataclass(frozen=True)
class Layer:
    """One file: its own sections, and what it says it extends."""

    file: Path
    block: Block
    extends: Leaf | None = None


def composed(file: Path, faults: Faults) -> Block:
    """The file on top of what it extends, that on top of what it extends, and so on."""
    blocks: list[Node] = [layer.block for layer in chain(file, faults)]
    merged = reduce(merge, reversed(blocks))
    return merged if isinstance(merged, Block) else Block(Mark(shown(file), 1, 1), {})


def chain(file: Path, faults: Faults) -> list[Layer]:
    """The file and its bases, the file first."""
    layers: list[Layer] = []
    here: Path | None = file
    while here is not None:
        block = _read(here, faults)
        extends = _extends(block, faults)
        own = {key: child for key, child in block.entries.items() if key != "extends"}
        layers.append(Layer(here, replace(block, entries=own), extends))
        here = None if extends is None else _base(extends, layers)
    return layers


def _extends(block: Block, faults: Faults) -> Leaf | None:
    node = block.entries.get("extends")
    if node is None or (isinstance(node, Leaf) and isinstance(node.value, str) and node.value):
        return node
    hint = "as in `extends: _base/adm64.yaml`"
    faults.add(node.mark, f"`extends` names one file or recipe, {hint}")
    return None


def _base(extends: Leaf, layers: list[Layer]) -> Path:
    try:
        base = find(extends.value, layers[-1].file.parent)
    except RecipeError as error:
        raise RecipeError(f"{extends.mark}: {error}") from None
    seen = [layer.file.resolve() for layer in layers]
    if base.resolve() in seen:
        loop = [*seen[seen.index(base.resolve()) :], base.resolve()]
        names = " -> ".join(shown(file) for file in loop)
        raise RecipeError(f"{extends.mark}: a recipe cannot extend itself: {names}")
    if len(layers) >= MAX_CHAIN:
        raise RecipeError(f"{extends.mark}: more than {MAX_CHAIN} recipes extend one another")
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

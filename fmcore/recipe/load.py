"""A recipe file with everything that it extends, merged into one tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import reduce
from os import PathLike
from pathlib import Path
from typing import Any, final

from fmcore.errors import RecipeError
from fmcore.recipe.catalog import SUFFIXES, find, shown
from fmcore.recipe.merging import merge
from fmcore.recipe.nodes import Block, Faults, Leaf, Mark, Node, plain
from fmcore.recipe.overrides import layer
from fmcore.recipe.recipe import Recipe, resolved
from fmcore.recipe.schema import default_node
from fmcore.recipe.yaml import MAX_BYTES, read_bytes

__all__ = ["Layer", "chain", "composed", "copy_recipe", "load_recipe", "read_values"]

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


def copy_recipe(source: str, to: str | PathLike[str], force: bool = False) -> list[Path]:
    """Copy a recipe, by name or file, to a file or into a folder; returns the files written.

    Bases keep their place relative to it; one that is there already with the same content is left.
    Raises RecipeError, before anything is written, if a file is in the way and not `force`.
    """
    file = find(source)
    faults = Faults()
    layers = chain(file, faults)
    faults.raise_any()
    copies = {t: data for t, data in _copies(layers, _target(file, Path(to))) if _differs(t, data)}
    standing = [target for target in copies if target.exists()]
    if standing and not force:
        names = ", ".join(shown(target) for target in standing)
        raise RecipeError(f"{names}: there is a file already; use --force to replace it")
    for target, data in copies.items():
        _write(target, data)
    return list(copies)


def _target(file: Path, to: Path) -> Path:
    if to.is_dir():
        return to / file.name
    if to.suffix not in SUFFIXES:
        raise RecipeError(f"'{to}' is neither a folder that exists nor a name that ends in .yaml")
    return to


def _copies(layers: list[Layer], target: Path) -> list[tuple[Path, bytes]]:
    """Where each file of the chain goes; a base that is extended by its name stays where it is."""
    root = target.parent.resolve()
    copies = []
    for inherited in layers:
        copies.append((target, inherited.file.read_bytes()))
        base = inherited.extends
        if base is None or not Path(inherited.file.parent, base.value).is_file():
            break
        target = target.parent / base.value
        if not target.resolve().is_relative_to(root):
            raise RecipeError(
                f"{base.mark}: '{base.value}' lies outside the recipe's folder, so that a copy "
                "would not find it; copy the files by hand"
            )
    return copies


def _differs(target: Path, data: bytes) -> bool:
    return not target.is_file() or target.read_bytes() != data


def _write(target: Path, data: bytes) -> None:
    """Write aside and move: a full disk leaves what was there."""
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise RecipeError(f"{shown(target)}: cannot be written: {error.strerror}") from None


def load_recipe(
    source: str | PathLike[str] | Mapping[str, Any],
    overrides: Iterable[str] = (),
    *,
    name: str | None = None,
    partial: bool = False,
) -> Recipe:
    """The recipe of a file, of a shipped or registered name, or of a mapping, with `key=value`
    overrides.

    `partial=True` lets `???` values stand: they are listed in `Recipe.missing`, and what needs them
    cannot be built. Raises RecipeError with every fault, each with its place.
    """
    faults = Faults()
    if isinstance(source, Mapping):
        tree, path = default_node(source, Mark("recipe"), literal=False), None
    else:
        path = find(source)
        tree = composed(path, faults)
    tree = merge(tree, layer(overrides, faults))
    return resolved(name or (path.stem if path else "recipe"), path, tree, faults, partial)


def read_values(file: Path) -> dict[str, Any]:
    """Return the values of a complete recipe, such as a run's, without looking up components.

    Raises RecipeError for a file that is not a YAML mapping.
    """
    faults = Faults()
    values: dict[str, Any] = plain(_read(file, faults))
    faults.raise_any()
    return values

"""Load a recipe file with everything that it extends, and copy one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import reduce
from os import PathLike
from pathlib import Path
from typing import Any, final

from fmcore.errors import REMEDIES, RecipeError
from fmcore.recipe.catalog import SUFFIXES, current_folder, display_path, find_recipe
from fmcore.recipe.merging import merge
from fmcore.recipe.nodes import (
    COMMAND_LINE,
    Diagnostics,
    MappingNode,
    Mark,
    Node,
    ScalarNode,
    to_python,
)
from fmcore.recipe.options import to_node
from fmcore.recipe.overrides import parse_overrides
from fmcore.recipe.recipe import Recipe, resolve
from fmcore.recipe.yaml import MAX_BYTES, read_bytes

__all__ = [
    "Layer",
    "compose",
    "copy_recipe",
    "load_layers",
    "load_recipe",
    "overridden_options",
    "read_values",
]

MAX_LAYERS = 20


@final
@dataclass(frozen=True)
class Layer:
    """One file: its own sections, and the value of its `extends`."""

    file: Path
    block: MappingNode
    extends: ScalarNode | None = None


def load_recipe(
    source: str | PathLike[str] | Mapping[str, Any],
    overrides: Iterable[str] = (),
    *,
    name: str | None = None,
    partial: bool = False,
) -> Recipe:
    """Return the recipe of a file, of an installed name or of a mapping, with `key=value`
    overrides.

    `partial=True` accepts `???`: such keys are in `Recipe.missing`, and components that need them
    cannot be built.  Raises RecipeError with every error, each with its place.
    """
    diagnostics = Diagnostics()
    if isinstance(source, Mapping):
        mark = Mark("recipe", folder=current_folder())
        tree, path = to_node(source, mark, literal=False), None
    else:
        path = find_recipe(source)
        tree = compose(path, diagnostics)
    tree = merge(tree, parse_overrides(overrides, diagnostics))
    return resolve(name or (path.stem if path else "recipe"), path, tree, diagnostics, partial)


def compose(file: Path, diagnostics: Diagnostics) -> MappingNode:
    """Return the file merged into the one that it extends, that into the next, and so on."""
    blocks: list[Node] = [layer.block for layer in load_layers(file, diagnostics)]
    merged = reduce(merge, reversed(blocks))
    return (
        merged
        if isinstance(merged, MappingNode)
        else MappingNode(Mark(display_path(file), 1, 1), {})
    )


def load_layers(file: Path, diagnostics: Diagnostics) -> list[Layer]:
    """Return the file and its bases, the file first."""
    layers: list[Layer] = []
    current: Path | None = file
    while current is not None:
        block = _read(current, diagnostics)
        extends = _check_extends(block, diagnostics)
        own = {key: child for key, child in block.entries.items() if key != "extends"}
        layers.append(Layer(current, replace(block, entries=own), extends))
        current = None if extends is None else _find_base(extends, layers)
    return layers


def _check_extends(block: MappingNode, diagnostics: Diagnostics) -> ScalarNode | None:
    node = block.entries.get("extends")
    if node is None or (
        isinstance(node, ScalarNode) and isinstance(node.value, str) and node.value
    ):
        return node
    hint = "as in `extends: _base/adm64.yaml`"
    diagnostics.add(node.mark, f"`extends` names one file or recipe, {hint}")
    return None


def _find_base(extends: ScalarNode, layers: list[Layer]) -> Path:
    try:
        base = find_recipe(extends.value, layers[-1].file.parent)
    except RecipeError as error:
        raise RecipeError(f"{extends.mark}: {error}") from None
    seen = [layer.file.resolve() for layer in layers]  # two names may link to one file
    if base.resolve() in seen:
        loop = [*seen[seen.index(base.resolve()) :], base.resolve()]
        names = " -> ".join(display_path(file) for file in loop)
        raise RecipeError(f"{extends.mark}: a recipe cannot extend itself: {names}")
    if len(layers) >= MAX_LAYERS:
        raise RecipeError(f"{extends.mark}: more than {MAX_LAYERS} recipes extend one another")
    return base


def _read(file: Path, diagnostics: Diagnostics) -> MappingNode:
    source = display_path(file)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)  # one more, by which read_bytes sees the excess
    except OSError as error:
        raise RecipeError(f"{source}: cannot be read: {error.strerror}") from None
    node = read_bytes(data, source, diagnostics, str(file.absolute().parent))
    if node is None:
        raise RecipeError(f"{source}:1:1: the recipe is empty")
    if not isinstance(node, MappingNode):
        raise RecipeError(f"{node.mark}: a recipe is a mapping of sections, as in `path: ot`")
    return node


def copy_recipe(source: str, to: str | PathLike[str], force: bool = False) -> list[Path]:
    """Copy a recipe, by name or file, to a file or into a folder; return the files written.

    Bases keep their place relative to it.  Existing files with the same content are not written.
    Raises RecipeError, before anything is written, if another file exists and not `force`.
    """
    file = find_recipe(source)
    diagnostics = Diagnostics()
    layers = load_layers(file, diagnostics)
    diagnostics.raise_any()
    planned = _plan_copies(layers, _target(file, Path(to)))
    copies = {target: data for target, data in planned if _differs(target, data)}
    existing = [target for target in copies if target.exists()]
    if existing and not force:
        names = ", ".join(display_path(target) for target in existing)
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


def _plan_copies(layers: list[Layer], target: Path) -> list[tuple[Path, bytes]]:
    """Return the target and content of each file; a base that is extended by name is not copied."""
    root = target.parent.resolve()
    copies = []
    for layer in layers:
        copies.append((target, layer.file.read_bytes()))
        base = layer.extends
        if base is None or not Path(layer.file.parent, base.value).is_file():
            break  # an installed recipe is found by its name from everywhere
        target = target.parent / base.value
        if not target.resolve().is_relative_to(root):
            raise RecipeError(
                f"{base.mark}: '{base.value}' is outside the recipe's folder, so that a copy "
                "would not find it; copy the files by hand"
            )
    return copies


def _differs(target: Path, data: bytes) -> bool:
    return not target.is_file() or target.read_bytes() != data


def _write(target: Path, data: bytes) -> None:
    """Write to a temporary file and move it: a full disk leaves the old file."""
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        reason = REMEDIES.get(error.errno or 0, error.strerror)
        raise RecipeError(f"{display_path(target)}: cannot be written: {reason}") from None


def read_values(file: Path) -> dict[str, Any]:
    """Return the values of a complete recipe, such as a run's, without looking up components.

    Raises RecipeError for a file that is not a YAML mapping.
    """
    diagnostics = Diagnostics()
    values: dict[str, Any] = to_python(_read(file, diagnostics))
    diagnostics.raise_any()
    return values


def overridden_options(recipe: Recipe) -> list[str]:
    """Return the options that the command line changed.

    Bounds are not among them, nor values that the recipe requires from the command line.
    """
    keys = [k for k, origin in recipe.origins.items() if origin == str(COMMAND_LINE)]
    keys = [k for k in keys if k.partition(".")[0] != "expect"]
    if not keys or not recipe.values["expect"] or recipe.path is None:
        return keys
    required = load_recipe(recipe.path, partial=True).missing
    return [k for k in keys if not any(k == r or k.startswith(f"{r}.") for r in required)]

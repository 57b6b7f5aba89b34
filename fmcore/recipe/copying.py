"""Copy a recipe with the files that it extends, so that the copy works where it lies."""

from __future__ import annotations

from contextlib import suppress
from os import PathLike
from pathlib import Path

from fmcore.errors import RecipeError
from fmcore.recipe.composing import Layer, chain
from fmcore.recipe.faults import Faults
from fmcore.recipe.finding import SUFFIXES, find, shown

__all__ = ["copy_recipe"]


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
    for layer in layers:
        copies.append((target, layer.file.read_bytes()))
        base = layer.extends
        if base is None or not Path(layer.file.parent, base.value).is_file():
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

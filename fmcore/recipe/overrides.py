"""`key=value` of the command line as a layer to lay on a recipe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fmcore.errors import RecipeError
from fmcore.recipe.merging import merge
from fmcore.recipe.nodes import COMMAND_LINE, Block, Faults, Items, Leaf, Node
from fmcore.recipe.yaml import MAX_DEPTH, read_text

__all__ = ["layer"]


def layer(overrides: Iterable[str], faults: Faults) -> Block:
    """One layer of all overrides.  Order matters between equal keys only: the last one counts."""
    pairs = [pair for text in overrides if (pair := _split(text, faults)) is not None]
    # `path=vp` beneath `path.beta_min=0.2`, in whichever order they were typed
    pairs.sort(key=lambda pair: len(pair[0]))
    found: Node = Block(COMMAND_LINE, {})
    for parts, value in pairs:
        for part in reversed(parts):
            value = Block(COMMAND_LINE, {part: value})
        found = merge(found, value)
    return found if isinstance(found, Block) else Block(COMMAND_LINE, {})


def _split(text: str, faults: Faults) -> tuple[list[str], Node] | None:
    key, equals, value = text.partition("=")
    parts = key.split(".")
    if not equals or not all(parts) or len(parts) > MAX_DEPTH:
        faults.add(COMMAND_LINE, f"'{text[:60]}' is not of the form key=value, as in train.lr=1e-4")
    elif parts[0] == "extends":
        faults.add(COMMAND_LINE, "`extends` belongs in a recipe file; name that recipe instead")
    else:
        return parts, value_of(value)
    return None


def value_of(text: str) -> Node:
    """What was typed, as YAML reads it, or text if it cannot; the schema has the last word."""
    quiet = Faults()
    try:
        node = read_text(text, "command line", quiet)
    except RecipeError:
        node = None
    else:
        node = Leaf(COMMAND_LINE, None) if node is None else node
    if node is None or len(quiet):
        node = Leaf(COMMAND_LINE, text)
    quoted = text[:1] in ("'", '"')
    if isinstance(node, Leaf) and isinstance(node.value, str) and not quoted:
        node = replace(node, value=text)  # a plain scalar would end at " #"
    return _unplaced(replace(node, text=text))


def _unplaced(node: Node) -> Node:
    """The node without lines and columns, which mean nothing in an argument."""
    node = replace(node, mark=COMMAND_LINE, key=None)
    if isinstance(node, Block):
        return replace(node, entries={k: _unplaced(v) for k, v in node.entries.items()})
    if isinstance(node, Items):
        return replace(node, items=tuple(_unplaced(v) for v in node.items))
    return node

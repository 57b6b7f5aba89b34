"""Parse `key=value` of the command line into a layer to merge into a recipe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fmcore.errors import RecipeError
from fmcore.recipe.catalog import current_folder
from fmcore.recipe.merging import merge
from fmcore.recipe.nodes import (
    COMMAND_LINE,
    Diagnostics,
    MappingNode,
    Mark,
    Node,
    ScalarNode,
    SequenceNode,
)
from fmcore.recipe.typed_words import find_split_words
from fmcore.recipe.yaml import MAX_DEPTH, read_text

__all__ = ["parse_overrides", "parse_value", "require_list"]


def parse_overrides(overrides: Iterable[str], diagnostics: Diagnostics) -> MappingNode:
    """Return one layer of all overrides.  The last one of equal keys counts."""
    require_list(overrides)
    words, faults = find_split_words(list(overrides))
    for fault in faults:
        diagnostics.add(COMMAND_LINE, fault)
    pairs = [pair for text in words if (pair := _split(text, diagnostics)) is not None]
    # `path=vp` goes beneath `path.beta_min=0.2`, in whichever order they were typed; the sort is
    # stable, so that the last of equal keys stays last
    pairs.sort(key=lambda pair: len(pair[0]))
    layer: Node = MappingNode(COMMAND_LINE, {})
    for parts, value in pairs:
        for part in reversed(parts):
            value = MappingNode(COMMAND_LINE, {part: value})
        layer = merge(layer, value)
    return layer if isinstance(layer, MappingNode) else MappingNode(COMMAND_LINE, {})


def require_list(overrides: Iterable[str]) -> None:
    """Raise RecipeError for one text, which Python would read letter by letter."""
    if isinstance(overrides, str):
        raise RecipeError(f"overrides are a list of texts: [{overrides[:60]!r}], not a text alone")


def _split(text: str, diagnostics: Diagnostics) -> tuple[list[str], Node] | None:
    key, equals, value = text.partition("=")
    parts = key.split(".")
    if not equals or not all(parts) or len(parts) > MAX_DEPTH:
        message = f"'{text[:60]}' is not of the form key=value, as in train.lr=1e-4"
        diagnostics.add(COMMAND_LINE, message)
    elif parts[0] == "extends":
        message = "`extends` belongs in a recipe file; name that recipe instead"
        diagnostics.add(COMMAND_LINE, message)
    else:
        return parts, parse_value(value)
    return None


def parse_value(text: str) -> Node:
    """Return typed text as YAML reads it, or as text where it is not YAML.

    The node keeps the text, from which the option's type decides: `data.root=1e5` is a path.
    """
    discarded = Diagnostics()
    try:
        node = read_text(text, COMMAND_LINE.source, discarded)
    except RecipeError:
        node = None
    else:
        node = ScalarNode(COMMAND_LINE, None) if node is None else node
    if node is None or len(discarded):
        node = ScalarNode(COMMAND_LINE, text)
    quoted = text[:1] in ("'", '"')
    if isinstance(node, ScalarNode) and isinstance(node.value, str) and not quoted:
        node = replace(node, value=text)  # in YAML, " #" begins a comment
    return _without_places(replace(node, text=text), replace(COMMAND_LINE, folder=current_folder()))


def _without_places(node: Node, mark: Mark) -> Node:
    """Return the node without lines and columns, which mean nothing in an argument."""
    node = replace(node, mark=mark, key=None)
    if isinstance(node, MappingNode):
        entries = {key: _without_places(child, mark) for key, child in node.entries.items()}
        return replace(node, entries=entries)
    if isinstance(node, SequenceNode):
        return replace(node, items=tuple(_without_places(child, mark) for child in node.items))
    return node

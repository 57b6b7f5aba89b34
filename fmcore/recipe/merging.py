"""Merge one layer of a recipe into another: all rules of composition.

    mappings        merge, key by key; an empty one, `{}`, clears
    lists           are replaced; on the command line, an index selects an item
    other values    are replaced
    components      a mapping whose `name` changes is replaced completely

The last rule keeps options of one component from reaching another.
"""

from __future__ import annotations

from dataclasses import replace

from fmcore.recipe.nodes import (
    COMMAND_LINE,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    to_index,
)
from fmcore.recipe.typed_words import unclosed

__all__ = ["merge"]


def merge(base: Node, over: Node) -> Node:
    """Return `base` with `over` merged into it; neither changes.

    A component may be written as its bare name, so text over or under a mapping counts as the
    mapping's `name`.
    """
    if isinstance(base, MappingNode) and _is_text(over) and not unclosed(over):
        named = MappingNode(over.mark, {"name": over}, key=over.key)
        # text that is no name, `train: x`, replaces the mapping, and its type refuses it
        return merge(base, named) if _same_name(base, named) else over
    if not isinstance(over, MappingNode) or over.clears:
        return over
    if isinstance(base, SequenceNode):
        return _merge_by_index(base, over)
    if _is_text(base) and "name" not in over.entries:
        base = MappingNode(base.mark, {"name": base}, key=base.key)
    if not isinstance(base, MappingNode) or not _same_name(base, over):
        return over
    entries = dict(base.entries)
    for key, value in over.entries.items():
        entries[key] = merge(entries[key], value) if key in entries else value
    # `path.beta_min=1` makes a mapping that was written nowhere: errors belong to the file's
    from_key = over.mark == COMMAND_LINE and over.text is None
    mark = base.mark if from_key else over.mark
    # that a mapping clears must survive another merge: merging is associative
    return MappingNode(mark, entries, key=over.key or base.key, text=over.text, clears=base.clears)


def _is_text(node: Node) -> bool:
    return isinstance(node, ScalarNode) and isinstance(node.value, str)


def _same_name(base: MappingNode, over: MappingNode) -> bool:
    """Return whether `over` has the name of `base`, or none."""
    old, new = base.entries.get("name"), over.entries.get("name")
    if not isinstance(old, ScalarNode) or not isinstance(new, ScalarNode):
        return True
    return bool(old.value == new.value)


def _merge_by_index(base: SequenceNode, over: MappingNode) -> Node:
    """Return the list with items changed or appended; `over` where an index is beyond its end."""
    items = list(base.items)
    for key, value in over.entries.items():
        index = to_index(key)
        if index is None or index > len(items):
            return over  # which the type then refuses, with its place
        items[index:] = [
            merge(items[index], value) if index < len(items) else value,
            *items[index + 1 :],
        ]
    return replace(base, items=tuple(items)) if over.entries else over

"""One layer of a recipe over another: the whole rule of composition.

    mappings        merge, key by key
    lists           are replaced; on the command line an index reaches into one
    other values    are replaced
    components      a block whose `name` changes is replaced whole

so that no option of another component lingers.
"""

from __future__ import annotations

from dataclasses import replace

from fmcore.recipe.nodes import COMMAND_LINE, Block, Items, Leaf, Node

__all__ = ["merge"]


def merge(base: Node, over: Node) -> Node:
    """`base` with `over` laid on it; neither is changed.

    A component may be written as its bare name, so text over or under a mapping is taken as the
    mapping's `name`.
    """
    if isinstance(base, Block) and _is_text(over):
        named = Block(over.mark, {"name": over}, key=over.key)
        return merge(base, named) if _same_name(base, named) else over
    if not isinstance(over, Block):
        return over
    if isinstance(base, Items):
        return _by_index(base, over)
    if _is_text(base) and "name" not in over.entries:
        base = Block(base.mark, {"name": base}, key=base.key)
    if not isinstance(base, Block) or not _same_name(base, over):
        return over
    entries = dict(base.entries)
    for key, value in over.entries.items():
        entries[key] = merge(entries[key], value) if key in entries else value
    made_of_parts = over.mark == COMMAND_LINE and over.text is None  # as `path.beta_min=1` makes it
    place = base.mark if made_of_parts else over.mark
    return Block(place, entries, key=over.key or base.key, text=over.text)


def _is_text(node: Node) -> bool:
    return isinstance(node, Leaf) and isinstance(node.value, str)


def _same_name(base: Block, over: Block) -> bool:
    """Whether `over` says nothing of another name than `base` has."""
    old, new = base.entries.get("name"), over.entries.get("name")
    if not isinstance(old, Leaf) or not isinstance(new, Leaf):
        return True
    return bool(old.value == new.value)


def _by_index(base: Items, over: Block) -> Node:
    """The list with items changed or added at its end; `over` where an index reaches further."""
    items = list(base.items)
    for key, value in over.entries.items():
        index = int(key) if key.isdecimal() and len(key) < 6 else len(items) + 1
        if index > len(items):
            return over
        items[index:] = [
            merge(items[index], value) if index < len(items) else value,
            *items[index + 1 :],
        ]
    return replace(base, items=tuple(items)) if over.entries else over

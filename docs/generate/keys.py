"""The page docs/reference/recipes.md: every section, component and option, by signature."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

from fmcore.recipe import sections
from fmcore.recipe.dump import to_yaml_line
from fmcore.recipe.nodes import Mark, to_python
from fmcore.recipe.options import Option, to_node
from fmcore.recipe.schema import list_options
from fmcore.registry import Entry, registry
from fmcore.registry.entry import import_target
from fmcore.registry.kinds import KINDS

__all__ = ["recipe_page"]

HEAD = """\
# Recipes: every key

Generated from the code by `python docs/generate`. [Recipes](../recipes.md) explains how a recipe is
written; this page lists every section, component and option. The type, range and default of an
option are those of the constructor's argument.
"""

PLACES = {
    "Sections": "A recipe",
    "Bound": "A bound, as in `expect: {nll: {max: 4}}`",
}
"""The headings of settings whose section has another name than their class."""

SPECIAL = re.compile(r"(?<=\w)\*(?=\w)|<")


def recipe_page() -> str:
    """Return the page: sections, then components by kind."""
    named = (getattr(sections, name) for name in sections.__all__)
    settings = [section for section in named if inspect.isclass(section)]  # and no Literal
    settings.sort(key=_place)
    parts = [HEAD, "\n## Sections\n", *map(_settings, settings)]
    for kind in KINDS:
        parts += [f"\n## {kind.capitalize()}\n", *map(_component, registry().entries(kind))]
    return "".join(parts)


def _place(section: type) -> int:
    """Return the line of its class in the file; the whole recipe comes first."""
    return -1 if section is sections.Sections else inspect.getsourcelines(section)[1]


def _settings(section: type) -> str:
    name = PLACES.get(section.__name__, f"`{section.__name__.lower()}`")
    return f"\n### {name}\n\n{_doc(section)}\n{_table(list_options(section))}"


def _component(entry: Entry) -> str:
    target = import_target(entry.target_text)  # not `load`, which refuses missing requirements
    stop = "" if entry.summary.endswith(".") else "."
    summary = f"{entry.summary[:1].upper()}{entry.summary[1:]}{stop} " if entry.summary else ""
    needs = f" Needs {', '.join(f'`{need}`' for need in entry.needs)}." if entry.needs else ""
    head = f"\n### {entry.kind} `{entry.name}`\n\n{summary}Plugin `{entry.plugin}`.{needs}\n"
    doc = _doc(target)
    own = list_options(target, KINDS[entry.kind].given)
    return head + (f"\n{doc}\n" if doc else "") + (_table(own) if own else "\nNo options.\n")


def _table(own: Sequence[Option]) -> str:
    rows = [(f"`{o.name}`", _value(o), _default(o)) for o in own]
    return "\n" + _rows([("key", "value", "default"), ("---", "---", "---"), *rows])


def _value(option: Option) -> str:
    return _cell(option.type_text).replace("a mapping of options", "a mapping, as below")


def _rows(rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _default(option: Option) -> str:
    if option.given:
        return "the data's"
    if option.required:
        return "required"
    value: Any = to_python(to_node(option.default, Mark("default")))
    return f"`{_cell(to_yaml_line(value))}`" if not _is_settings(option) else "as below"


def _is_settings(option: Option) -> bool:
    return dataclasses.is_dataclass(option.default) and not hasattr(option.default, "kind")


def _doc(target: type) -> str:
    """Return the docstring as Markdown; "" for the signature that a dataclass generates instead."""
    doc = inspect.getdoc(target) or ""
    if doc.startswith(f"{target.__name__}("):
        return ""
    return "\n".join(_line(line) for line in doc.splitlines())


def _line(line: str) -> str:
    """Escape `*` and `<` outside code, which Markdown would read as emphasis and a tag."""
    if re.match(r"    |>>>", line):
        return line
    parts = re.split(r"(`[^`]*`)", re.sub(r"(?<=\S)  +", " ", line))
    return "".join(part if part[:1] == "`" else SPECIAL.sub(r"\\\g<0>", part) for part in parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

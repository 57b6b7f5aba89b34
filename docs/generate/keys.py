"""docs/reference/recipes.md: every section, component and option, read from the signatures."""

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

Made from the code by `python docs/generate`. [The manual](../recipes.md) says how a recipe is put
together; this page lists what can stand in one. An option has the type, range and default of the
constructor's argument.
"""

PLACES = {
    "Sections": "A recipe",
    "Guidance": "`sample.guidance`",
    "Bound": "A bound, as in `expect: {nll: {max: 4}}`",
}
"""Where settings stand that are not a section of their class's name."""

SPECIAL = re.compile(r"(?<=\w)\*(?=\w)|<")


def recipe_page() -> str:
    """The page: the sections first, then the components by kind."""
    settings = [section for name in sections.__all__ if (section := getattr(sections, name))]
    settings.sort(key=_place)
    parts = [HEAD, "\n## Sections\n", *map(_settings, settings)]
    for kind in KINDS:
        parts += [f"\n## {kind.capitalize()}\n", *map(_component, registry().entries(kind))]
    return "".join(parts)


def _place(section: type) -> int:
    """Where its class stands in the file, the whole recipe first."""
    return -1 if section is sections.Sections else inspect.getsourcelines(section)[1]


def _settings(section: type) -> str:
    name = PLACES.get(section.__name__, f"`{section.__name__.lower()}`")
    return f"\n### {name}\n\n{_doc(section)}\n{_table(list_options(section))}"


def _component(entry: Entry) -> str:
    target = import_target(entry.target_text)  # what it needs may be missing here
    stop = "" if entry.summary.endswith(".") else "."
    told = f"{entry.summary[:1].upper()}{entry.summary[1:]}{stop} " if entry.summary else ""
    needs = f" Needs {', '.join(f'`{need}`' for need in entry.needs)}." if entry.needs else ""
    head = f"\n### {entry.kind} `{entry.name}`\n\n{told}Plugin `{entry.plugin}`.{needs}\n"
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
    """The docstring as Markdown; none for the signature that a dataclass puts in its place."""
    doc = inspect.getdoc(target) or ""
    if doc.startswith(f"{target.__name__}("):
        return ""
    return "\n".join(_line(line) for line in doc.splitlines())


def _line(line: str) -> str:
    """Code stays code; elsewhere `a*b` is no emphasis and `<n>` no tag."""
    if re.match(r"    |>>>", line):
        return line
    parts = re.split(r"(`[^`]*`)", re.sub(r"(?<=\S)  +", " ", line))
    return "".join(part if part[:1] == "`" else SPECIAL.sub(r"\\\g<0>", part) for part in parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

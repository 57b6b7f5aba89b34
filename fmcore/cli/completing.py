"""What a shell offers for each argument.  Imports no torch: it is asked at every press of a key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from fmcore.cli.completion_schema import outline, outline_of
from fmcore.cli.keys import SECTIONS, Chosen, continuations
from fmcore.recipe.catalog import catalogue
from fmcore.registry import registry
from fmcore.registry.hooks import HOOKS
from fmcore.registry.kinds import KINDS

__all__ = [
    "axis_keys",
    "benchmark_targets",
    "component_names",
    "data_sources",
    "override_keys",
    "path_words",
    "recipe_names",
    "recipe_words",
    "run_folders",
    "setting_keys",
]

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

MOST_RUNS = 20
AXES = "fmcore.benchmark.axes:Axes"
FILE: CompletionItem = CompletionItem("", type="file")
"""Files as well, where none of the words fits."""


def recipe_names(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Recipes that have a name, and files."""
    from fmcore.cli.recipes.ls import description

    found = [CompletionItem(r.name, help=description(r.file)) for r in catalogue()]
    return [*_beginning(found, incomplete), FILE]


def recipe_words(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Recipes, and what may be overridden in the one that was named."""
    words = ctx.params.get("words") or ()
    named = [word for word in words if "=" not in word]
    keys = continuations(incomplete, outline(SECTIONS), _chosen(named, words)) if named else ()
    return [*_items(keys), *recipe_names(ctx, parameter, incomplete)]


def override_keys(section: str = "") -> Complete:
    """Keys of a recipe, or of one `section` of it, and their values."""

    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        typed = ctx.params.get("overrides") or ()
        options = outline(SECTIONS)
        if not section:
            chosen = Chosen(ctx.params.get("recipe"), typed)
            return _items(continuations(incomplete, options, chosen))
        recipe = ctx.params.get("run")
        chosen = Chosen(Path(recipe, "recipe.yaml") if recipe else None, typed, within=section)
        inside = outline(options[section].inside)
        return _items(continuations(incomplete, inside, chosen))

    return complete


def component_names(*kinds: str) -> Complete:
    """Registered components of `kinds`, of the one `--kind` given, or of all."""

    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        asked = ctx.params.get("kind")
        among = [asked] if asked else kinds or dict.fromkeys(HOOKS.values())
        entries = [entry for kind in among for entry in registry().entries(kind)]
        found = [CompletionItem(e.name, help=f"{e.kind}: {e.summary}") for e in entries]
        return _beginning(found, incomplete)

    return complete


def data_sources(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Data sets by name, and files."""
    return [*component_names("data")(ctx, parameter, incomplete), FILE]


def setting_keys(kind: str, holder: str) -> Complete:
    """Options of the component that the argument `holder` names."""

    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        asked = ctx.params.get("kind") or kind
        # Before the value of an option, click leaves the arguments unsorted.
        name = ctx.params.get(holder) or next(iter(ctx.args), None)
        kinds = [asked] if asked else dict.fromkeys(HOOKS.values())
        entries = [e for each in kinds for e in registry().entries(each) if e.name == name]
        own = outline_of(entries[0]) if entries and entries[0].kind != "recipe" else {}
        return _items(continuations(incomplete, own, Chosen()))

    return complete


def path_words(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Paths, options of those that were named, and recipes."""
    name, dot, rest = incomplete.partition(".")
    for entry in registry().entries("path") if dot else ():
        if entry.name == name:
            keys = continuations(rest, outline_of(entry), Chosen())
            return _items(f"{name}.{key}" for key in keys)
    return [*component_names("path")(ctx, parameter, incomplete), FILE]


def run_folders(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The newest runs below `runs`, and folders."""
    found = sorted(Path("runs").glob("*/*/recipe.yaml"), key=_age)[:MOST_RUNS]
    items = [CompletionItem(str(file.parent)) for file in found]
    return [*_beginning(items, incomplete), CompletionItem("", type="dir")]


def _age(file: Path) -> float:
    try:
        return -file.stat().st_mtime
    except OSError:  # gone meanwhile
        return 0.0


def _chosen(named: list[str], words: Iterable[str]) -> Chosen:
    return Chosen(named[-1], [word for word in words if "=" in word])


def _items(words: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words]


def _beginning(items: Iterable[CompletionItem], incomplete: str) -> list[CompletionItem]:
    return [item for item in items if item.value.startswith(incomplete)]


def benchmark_targets(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The closed-form problems, a recipe, or a run."""
    known = _beginning([CompletionItem("closed-form")], incomplete)
    recipes = recipe_names(ctx, parameter, incomplete)
    return [*known, *recipes, *run_folders(ctx, parameter, incomplete)]


def axis_keys(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The axes of a benchmark, and a recipe's own keys where one is measured; after a comma, one
    more name of a component.
    """
    axes = outline(AXES)
    axis, equals, values = incomplete.partition("=")
    if not equals:
        own = [f"{name}=" for name in axes if name.startswith(axis)]
        target = ctx.params.get("target") or "closed-form"
        if target != "closed-form" and not Path(target).is_dir():
            chosen = Chosen(target, ctx.params.get("axes") or ())
            own += [k for k in continuations(axis, outline(SECTIONS), chosen) if k not in own]
        return _items(own)
    kind = axis if axis in KINDS else "metric" if axis == "metrics" else ""
    before, comma, last = values.rpartition(",")
    names = registry().names(kind) if kind else []
    return _items(f"{axis}={before}{comma}{n}" for n in names if n.startswith(last))

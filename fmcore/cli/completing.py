"""The completions of each argument.  Imports no torch: a shell waits for them at a key press."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from fmcore.cli.completion_schema import read_component_options, read_options
from fmcore.cli.keys import SECTIONS, TypedWords, complete_key
from fmcore.recipe.catalog import list_recipes
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

MAX_RUNS = 20
AXES = "fmcore.benchmark.axes:Axes"  # read, not imported: it needs torch
FILE: CompletionItem = CompletionItem("", type="file")
"""Tells the shell to complete file names too."""


def recipe_names(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete recipes that have a name, and files."""
    from fmcore.cli.recipes.ls import description

    found = [CompletionItem(r.name, help=description(r.file)) for r in list_recipes()]
    return [*_beginning(found, incomplete), FILE]


def recipe_words(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete recipes, and the keys of the one that was typed."""
    words = ctx.params.get("words") or ()
    named = [word for word in words if "=" not in word]
    keys = complete_key(incomplete, read_options(SECTIONS), _select(named, words)) if named else ()
    return [*_items(keys), *recipe_names(ctx, parameter, incomplete)]


def override_keys(section: str = "") -> Complete:
    """Complete keys of a recipe, or of one `section` of it, and their values."""

    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        typed = ctx.params.get("overrides") or ()
        options = read_options(SECTIONS)
        if not section:
            words = TypedWords(ctx.params.get("recipe"), typed)
            return _items(complete_key(incomplete, options, words))
        run = ctx.params.get("run")
        words = TypedWords(Path(run, "recipe.yaml") if run else None, typed, section)
        inside = read_options(options[section].settings)
        return _items(complete_key(incomplete, inside, words))

    return complete


def component_names(*kinds: str) -> Complete:
    """Complete registered components of `kinds`, of the given `--kind`, or of all kinds."""

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
    """Complete datasets by name, and files."""
    return [*component_names("data")(ctx, parameter, incomplete), FILE]


def setting_keys(kind: str, holder: str) -> Complete:
    """Complete options of the component that the argument `holder` names."""

    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        asked = ctx.params.get("kind") or kind
        # while the value of an option is completed, click has not assigned the arguments yet
        name = ctx.params.get(holder) or next(iter(ctx.args), None)
        kinds = [asked] if asked else dict.fromkeys(HOOKS.values())
        entries = [e for each in kinds for e in registry().entries(each) if e.name == name]
        own = read_component_options(entries[0]) if entries and entries[0].kind != "recipe" else {}
        return _items(complete_key(incomplete, own, TypedWords()))

    return complete


def path_words(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete paths, the options of a typed one, and recipe files."""
    name, dot, rest = incomplete.partition(".")
    for entry in registry().entries("path") if dot else ():
        if entry.name == name:
            keys = complete_key(rest, read_component_options(entry), TypedWords())
            return _items(f"{name}.{key}" for key in keys)
    return [*component_names("path")(ctx, parameter, incomplete), FILE]


def run_folders(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the newest runs in `runs`, and folders."""
    found = sorted(Path("runs").glob("*/*/recipe.yaml"), key=_age)[:MAX_RUNS]
    items = [CompletionItem(str(file.parent)) for file in found]
    return [*_beginning(items, incomplete), CompletionItem("", type="dir")]


def _age(file: Path) -> float:
    try:
        return -file.stat().st_mtime
    except OSError:  # deleted since glob listed it
        return 0.0


def _select(named: list[str], words: Iterable[str]) -> TypedWords:
    return TypedWords(named[-1], [word for word in words if "=" in word])


def _items(words: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words]


def _beginning(items: Iterable[CompletionItem], incomplete: str) -> list[CompletionItem]:
    return [item for item in items if item.value.startswith(incomplete)]


def benchmark_targets(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the closed-form problems, recipes and runs."""
    known = _beginning([CompletionItem("closed-form")], incomplete)
    recipes = recipe_names(ctx, parameter, incomplete)
    return [*known, *recipes, *run_folders(ctx, parameter, incomplete)]


def axis_keys(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the axes of a benchmark, the keys of a recipe that is measured, and after a comma
    another component of the axis.
    """
    axes = read_options(AXES)
    axis, equals, values = incomplete.partition("=")
    if not equals:
        own = [f"{name}=" for name in axes if name.startswith(axis)]
        target = ctx.params.get("target") or "closed-form"
        if target != "closed-form" and not Path(target).is_dir():
            words = TypedWords(target, ctx.params.get("axes") or ())
            keys = complete_key(axis, read_options(SECTIONS), words)
            own += [key for key in keys if key not in own]
        return _items(own)
    kind = axis if axis in KINDS else "metric" if axis == "metrics" else ""
    before, comma, last = values.rpartition(",")
    names = registry().names(kind) if kind else []
    return _items(f"{axis}={before}{comma}{n}" for n in names if n.startswith(last))

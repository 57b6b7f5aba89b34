"""Rules that concern several sections of a recipe."""

from __future__ import annotations

from collections.abc import Iterator

from fmcore.errors import PluginError, did_you_mean
from fmcore.recipe.nodes import (
    MISSING,
    Diagnostics,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    lookup,
)
from fmcore.registry import registry
from fmcore.registry.entry import Entry

__all__ = ["check_sections"]


def check_sections(recipe: MappingNode, diagnostics: Diagnostics) -> None:
    """Add the contradictions between the sections of a complete recipe."""
    metrics = lookup(recipe, ("evaluate", "metrics"))
    if metrics is not None and not isinstance(metrics, SequenceNode):
        return  # `???`, or a reference to it: nothing is known yet
    measured = list(_list_metrics(metrics))
    _check_samples(recipe, measured, diagnostics)
    _check_expectations(recipe, [entry.name for _, entry in measured], diagnostics)


def _list_metrics(metrics: SequenceNode | None) -> Iterator[tuple[Node, Entry]]:
    for node in metrics.items if metrics is not None else ():
        name = lookup(node, ("name",))
        if isinstance(name, ScalarNode) and name.value != MISSING:
            yield name, registry().entry("metric", str(name.value))


def _check_samples(
    recipe: MappingNode, measured: list[tuple[Node, Entry]], diagnostics: Diagnostics
) -> None:
    """Refuse a metric of samples in a recipe that draws none."""
    sample = recipe.entries["sample"]
    if not isinstance(sample, ScalarNode) or sample.value is not None:
        return
    for node, entry in measured:
        try:
            consumes = entry.load().consumes
        except PluginError:  # reported where its options are validated
            continue
        if consumes == "samples":
            diagnostics.add(
                node.mark,
                f"evaluate: metric '{entry.name}' measures samples, and the recipe has no section "
                "'sample'; add one, as in `sample: {solver: dopri5}`, or remove the metric",
            )


def _check_expectations(recipe: MappingNode, metrics: list[str], diagnostics: Diagnostics) -> None:
    """Refuse a bound on a result that no metric of `evaluate` has.

    A metric with several results begins their names with its own: `fid`, `fid_infinity`.
    """
    expect = recipe.entries["expect"]
    for name, node in expect.entries.items() if isinstance(expect, MappingNode) else ():
        if any(name == metric or name.startswith(f"{metric}_") for metric in metrics):
            continue
        hint = did_you_mean(name, metrics) or f"; measured: {', '.join(metrics) or 'nothing'}"
        diagnostics.add(node.origin, f"expect.{name}: no metric of evaluate has this result{hint}")

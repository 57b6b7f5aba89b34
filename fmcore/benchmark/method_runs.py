"""Runs of several methods with several seeds on one recipe: the rows of the paper's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from fmcore.benchmark.sweep import SweepRun, sweep
from fmcore.errors import ComponentError, did_you_mean
from fmcore.recipe.recipe import Recipe

__all__ = ["MethodRun", "how_made", "require_metrics", "require_names", "run_methods"]


@final
@dataclass(frozen=True)
class MethodRun:
    """One method with one seed: its run folder, and its results or the message of its failure."""

    method: str
    seed: int
    folder: Path
    results: Mapping[str, Any]
    failure: str = ""


def run_methods(
    recipe: Recipe,
    out: Path,
    overrides: Mapping[str, Sequence[str]],
    titles: Mapping[str, str],
    seeds: Sequence[int],
    *,
    jobs: int | None = None,
    engine: str = "process",
    device: str | None = None,
    quiet: bool = False,
    emit: Callable[[str], None] = print,
) -> list[MethodRun]:
    """Make or resume the run `out/METHOD/seed-N` of each method and seed, and return them in the
    order of the methods, then of the seeds.

    `overrides` and `titles` are by method.  A failed run has a message, and the others continue.
    """
    plan = [(method, seed) for seed in seeds for method in overrides]
    groups = [
        [
            SweepRun(
                f"{titles[method]}, seed {seed}",
                recipe.override([*overrides[method], f"seed={seed}"]),
                out / method / f"seed-{seed}",
            )
        ]
        for method, seed in plan
    ]
    results = sweep(groups, jobs=jobs, engine=engine, device=device, quiet=quiet, emit=emit)
    runs = [
        MethodRun(method, seed, result.run.folder, result.results, result.failure)
        for (method, seed), (result,) in zip(plan, results, strict=True)
    ]
    order = list(overrides)
    return sorted(runs, key=lambda run: (order.index(run.method), run.seed))


def require_names(names: Iterable[str], known: Iterable[str]) -> None:
    """Raise ComponentError for a method that is not known."""
    known = list(known)
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or ";"
            raise ComponentError(f"no method '{name}'{hint} methods: {', '.join(known)}")


def require_metrics(recipe: Recipe) -> None:
    """Raise ComponentError for a recipe without metrics."""
    if not recipe.values["evaluate"]:
        raise ComponentError(
            f"recipe '{recipe.name}' has no metrics, which are the columns of the table: "
            "add some, as in evaluate='{metrics: [nll, nfe]}'"
        )


def how_made(recipe: Recipe, runs: Sequence[MethodRun]) -> str:
    """Return how the runs were made, in a sentence."""
    train = recipe.values["train"] or {}
    seeds = ", ".join(str(seed) for seed in sorted({run.seed for run in runs}))
    over = "mean ± standard deviation over seeds" if "," in seeds else "seed"
    return (
        f"{recipe.name}: {train.get('steps')} steps of {train.get('batch_size')}, one "
        f"network for all; {over} {seeds}."
    )

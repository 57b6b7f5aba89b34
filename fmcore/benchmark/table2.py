"""The paper's Table 2 on a recipe of super-resolution: a regression and a flow, any seeds.

Each method and seed is a run in `out/METHOD/seed-N`, so the same command resumes and finished runs
are reused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from fmcore.benchmark.method_runs import (
    MethodRun,
    how_made,
    require_metrics,
    require_names,
    run_methods,
)
from fmcore.benchmark.run_tables import spread_text
from fmcore.errors import ComponentError
from fmcore.recipe.recipe import Recipe
from fmcore.report.latex import PREAMBLE, latex_table
from fmcore.report.markdown import markdown_table
from fmcore.report.numbers import MARK_NOTE, is_flawed
from fmcore.runs.files import write_json, write_text

__all__ = ["METHODS", "Table2", "table2"]


@final
@dataclass(frozen=True)
class Method:
    """A row of Table 2: its name, the overrides that select it, and the paper's numbers by metric;
    no overrides for a row that fmcore does not train.
    """

    title: str
    overrides: tuple[str, ...] | None
    paper: Mapping[str, float]


def _method(title: str, overrides: tuple[str, ...] | None, *numbers: float) -> Method:
    return Method(title, overrides, dict(zip(("fid", "isc", "psnr", "ssim"), numbers, strict=True)))


METHODS: Mapping[str, Method] = {
    # Near t = 0 xt is noise without information, and one step of Euler ends at the prediction.
    "regression": _method(
        "Regression",
        (
            "path=linear",
            "objective={name: data, time: {name: power, power: 0.1}}",
            "sample.solver={name: euler, nfe: 1}",
        ),
        15.2,
        121.1,
        27.9,
        0.801,
    ),
    "sr3": _method("SR3", None, 5.2, 180.1, 26.4, 0.762),
    "flow": _method("FM, OT path", (), 3.4, 200.8, 24.7, 0.747),
}
"""Source: Table 2, ImageNet 64x64 to 256x256.  `flow` is the recipe as it is."""

HEADS = {"fid": "FID", "isc": "IS", "psnr": "PSNR", "ssim": "SSIM"}
PAPER_SIZE = (256, 4)
"""Image size and factor of the paper's experiment."""


@final
@dataclass(frozen=True)
class Table2:
    """The runs in order of methods, then seeds."""

    recipe: Recipe
    runs: Sequence[MethodRun]

    @property
    def is_papers(self) -> bool:
        """Whether the recipe's data are those of the paper's table."""
        data = self.recipe.values["data"]
        return (data["of"].get("image_size"), data["factor"]) == PAPER_SIZE

    @property
    def metrics(self) -> list[str]:
        """The metrics, in the recipe's order."""
        return list(dict.fromkeys(name for run in self.runs for name in run.results))

    @property
    def failures(self) -> list[str]:
        """A line for every failed run."""
        return [f"{r.method}, seed {r.seed}: {r.failure}" for r in self.runs if r.failure]

    @property
    def notes(self) -> list[str]:
        """The data of the paper's columns, the meaning of the mark, and the failures."""
        flawed = any(is_flawed(result) for run in self.runs for result in run.results.values())
        own = [] if self.is_papers else ["The paper's columns are of ImageNet, 64x64 to 256x256."]
        return [*own, *([MARK_NOTE] if flawed else []), *self.failures]

    @property
    def how(self) -> str:
        """How the runs were made, in a sentence."""
        return how_made(self.recipe, self.runs)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return heads and rows: the metrics of these runs, and the paper's numbers."""
        heads = ["method", *(f"ours: {HEADS.get(m, m)}" for m in self.metrics)]
        heads += [f"paper: {title}" for title in HEADS.values()]
        return heads, [self._row(name) for name in METHODS]

    def markdown(self) -> str:
        """Return the table and how it was made."""
        return "\n\n".join([markdown_table(*self.table()), self.how, *self.notes]) + "\n"

    def latex(self) -> str:
        """Return the table as LaTeX."""
        return f"{PREAMBLE}\n\n{latex_table(*self.table(), self.how, 'superresolution')}\n"

    def json(self) -> dict[str, Any]:
        """Return the runs and the paper's numbers for other programs."""
        return {
            "recipe": self.recipe.values,
            "cells": [{**vars(run), "folder": str(run.folder)} for run in self.runs],
            "paper": {name: dict(method.paper) for name, method in METHODS.items()},
        }

    def _row(self, name: str) -> list[str]:
        own = [run.results for run in self.runs if run.method == name]
        row = [METHODS[name].title]
        for metric in self.metrics:
            found = [results[metric] for results in own if metric in results]
            row.append(spread_text(found) or ("failed" if own else ""))
        return row + [f"{METHODS[name].paper[key]:g}" for key in HEADS]


def table2(
    recipe: Recipe,
    out: Path,
    *,
    methods: Sequence[str] = ("regression", "flow"),
    seeds: Sequence[int] = (0,),
    jobs: int | None = None,
    engine: str = "process",
    device: str | None = None,
    quiet: bool = False,
    emit: Callable[[str], None] = print,
) -> Table2:
    """Train or resume every method and seed, then write table2.md, .tex and .json into `out`.

    Raises ComponentError for an unknown method, and for a recipe that is not one of
    super-resolution or has no metrics.
    """
    trained = {name: method for name, method in METHODS.items() if method.overrides is not None}
    require_names(methods, trained)
    if recipe.values["data"]["name"] != "super_resolution":
        raise ComponentError(
            f"recipe '{recipe.name}' has data '{recipe.values['data']['name']}', and Table 2 is of "
            "super_resolution: try digits_superres, fashion_superres or imagenet256_superres"
        )
    require_metrics(recipe)
    finished = Table2(
        recipe,
        run_methods(
            recipe,
            out,
            {name: trained[name].overrides or () for name in methods},
            {name: trained[name].title for name in methods},
            seeds,
            jobs=jobs,
            engine=engine,
            device=device,
            quiet=quiet,
            emit=emit,
        ),
    )
    write_text(out / "table2.md", finished.markdown())
    write_text(out / "table2.tex", finished.latex())
    write_json(out / "table2.json", finished.json())
    return finished

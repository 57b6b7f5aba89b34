"""The paper's Table 1 on the data of a recipe: five methods, one network, one budget, any seeds.

Each method and seed is a run in `out/METHOD/seed-N`, so the same command resumes and finished runs
are reused.  The figures are measured on these runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fmcore.benchmark.figure_options import FigureOptions, checkpoint_overrides
from fmcore.benchmark.method_runs import MethodRun, require_metrics, require_names, run_methods
from fmcore.benchmark.sweep import check_engine
from fmcore.benchmark.table1_figures import FigureRun, measure_figures
from fmcore.benchmark.table1_methods import METHODS
from fmcore.benchmark.table1_page import write_table1_page
from fmcore.benchmark.table1_panels import FIGURES, figure_panels, notes_on
from fmcore.benchmark.table1_tables import FigureData, Table1, panel_table
from fmcore.recipe.recipe import Recipe
from fmcore.report.plots.method_curves import STYLES, save_panels
from fmcore.runs.files import write_json, write_text

__all__ = ["table1"]


def table1(
    recipe: Recipe,
    out: Path,
    *,
    methods: Sequence[str] = tuple(METHODS),
    seeds: Sequence[int] = (0,),
    figures: FigureOptions | None = None,
    jobs: int | None = None,
    engine: str = "process",
    device: str | None = None,
    quiet: bool = False,
    emit: Callable[[str], None] = print,
) -> Table1:
    """Train or resume every method and seed, then write table1.md, .tex, .json and .html into
    `out`; with `figures` also measure and draw the figures.

    A failed run is a line below the table, and the others continue.  `jobs` and `engine` are those
    of `sweep`.  Raises ComponentError for an unknown method, and for a recipe without metrics, and
    RecipeError for an unknown engine.
    """
    check_engine(engine)
    require_names(methods, METHODS)
    require_metrics(recipe)
    if figures is not None:
        figures.resolve(recipe)  # so that wrong options are refused before anything is trained
    checkpoints = checkpoint_overrides(recipe)
    runs = run_methods(
        recipe,
        out,
        {method: [*METHODS[method].overrides, *checkpoints] for method in methods},
        {method: METHODS[method].title for method in methods},
        seeds,
        jobs=jobs,
        engine=engine,
        device=device,
        quiet=quiet,
        emit=emit,
    )
    data = None if figures is None else _figure_data(figures, recipe, runs, out, device, quiet)
    finished = Table1(recipe, runs, data)
    _write(finished, out)
    return finished


def _figure_data(
    options: FigureOptions,
    recipe: Recipe,
    runs: Sequence[MethodRun],
    out: Path,
    device: str | None,
    quiet: bool,
) -> FigureData:
    finished = [FigureRun(run.method, run.seed, run.folder) for run in runs if not run.failure]
    rows = measure_figures(options, recipe, finished, out, device=device, quiet=quiet)
    settings = options.resolve(recipe)
    distance = (settings["metric"] or "").partition("(")[0]
    return FigureData(figure_panels(rows, distance), settings, notes_on(rows))


def _write(table: Table1, out: Path) -> None:
    write_text(out / "table1.md", table.markdown())
    write_text(out / "table1.tex", table.latex())
    write_json(out / "table1.json", table.json())
    titles = {method: METHODS[method].title for method in table.methods}
    # by all methods, so that a method looks the same whichever others are in the figure
    styles = dict(zip(METHODS, STYLES, strict=False))
    data = table.figures or FigureData()
    for name, panels in data.panels.items():
        how = f"{table.how[:-1]}; {data.captions[name]}"
        save_panels(out / f"{name}.png", panels, titles, styles, how)
    write_table1_page(
        out / "table1.html",
        title=f"Table 1 on {table.recipe.name}",
        table=table.table(),
        how=table.how,
        warnings=table.notes,
        figures=[
            (FIGURES[name], data.captions[name], [(panel, panel_table(panel)) for panel in panels])
            for name, panels in data.panels.items()
        ],
        names=titles,
        styles=styles,
        notes=data.notes,
    )

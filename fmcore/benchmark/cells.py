"""The cells of a benchmark: one value of every axis, identified by a hash."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from fmcore.benchmark.axes import Axes, ComponentSpec, Grid
from fmcore.errors import ComponentError
from fmcore.interfaces.solver import Solver

__all__ = ["Cell", "Setting", "cells", "digest"]


@final
@dataclass(frozen=True)
class Setting:
    """All of a cell but its solver.  Rows are compared within one setting."""

    problem: str
    dim: int | None
    path: ComponentSpec | None
    seed: int
    samples: int
    batch: int
    dtype: str

    def keys(self) -> dict[str, Any]:
        """Return the setting's columns."""
        path = "" if self.path is None else str(self.path)
        return {**vars(self), "path": path, "batch": self.batch or self.samples}


@final
@dataclass(frozen=True)
class Cell:
    """One solver, with its grid and its budget or tolerance, in one setting.

    `grid`, `nfe`, `tol` are None where the solver does not take them or its options fix them.
    """

    setting: Setting
    solver: ComponentSpec
    grid: Grid | None
    nfe: int | None
    tol: float | None

    def keys(self) -> dict[str, Any]:
        """Return the columns that identify the cell."""
        grid = self.grid if self.grid is None or isinstance(self.grid, str) else list(self.grid)
        return {
            **self.setting.keys(),
            "solver": str(self.solver),
            "grid": None if grid is None else str(grid),
            "nfe": self.nfe,
            "tol": self.tol,
        }

    def make_solver(self) -> Solver:
        """Create the solver.  Raises ComponentError for an unusable budget or grid, and for a
        stochastic solver, whose samples do not converge to the end points of the ODE.
        """
        options: dict[str, Any] = {}
        if self.grid is not None:
            options["grid"] = self.grid if isinstance(self.grid, str) else list(self.grid)
        if self.nfe is not None:
            options["nfe"] = self.nfe
        if self.tol is not None:
            options |= {"rtol": self.tol, "atol": self.tol}
        made: Solver = self.solver.make(**options)
        if made.stochastic:
            raise ComponentError(
                f"solver '{self.solver}' is stochastic, so its samples do not converge to the end "
                "points of the ODE, from which errors are measured: use a deterministic solver, or "
                "compare samples with `fmcore evaluate`"
            )
        return made


def cells(axes: Axes, problem: str | None = None) -> list[Cell]:
    """Return the product of the axes, setting by setting; `problem` is the name of a run's.

    A fixed solver is combined with every nfe and grid, an adaptive one with every tol.
    """
    return [
        Cell(setting, solver, grid, nfe, tol)
        for setting in _settings(axes, problem)
        for solver in axes.solver
        for grid, nfe, tol in _variants(solver, axes)
    ]


def digest(facts: Mapping[str, Any]) -> str:
    """Return a short hash of `facts` as JSON."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _settings(axes: Axes, problem: str | None) -> Iterator[Setting]:
    problems = axes.problem if problem is None else (problem,)
    dims = axes.dim if problem is None else (None,)
    paths = axes.path or (None,)
    rest = (axes.seed, axes.samples, axes.batch, axes.dtype)
    for values in itertools.product(problems, dims, paths, *rest):
        setting = Setting(*values)
        batch = 0 if setting.batch >= setting.samples else setting.batch
        yield dataclasses.replace(setting, batch=batch)


def _variants(
    solver: ComponentSpec, axes: Axes
) -> Iterator[tuple[Grid | None, int | None, float | None]]:
    own_times = isinstance(solver.options.get("grid"), list)
    for grid in axes.grid if solver.takes("grid") else (None,):
        explicit = own_times or isinstance(grid, tuple)  # the times fix the number of steps
        for nfe in axes.nfe if solver.takes("nfe") and not explicit else (None,):
            for tol in axes.tol if solver.takes("tol") else (None,):
                yield grid, nfe, tol

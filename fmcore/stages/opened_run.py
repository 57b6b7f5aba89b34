"""A run as Python sees it: its folder, and what can be read from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import torch

from fmcore.flow.field import Field
from fmcore.interfaces.html import html_table
from fmcore.recipe.recipe import Recipe
from fmcore.report.numbers import value_text
from fmcore.runs.emit import warnings_to_stderr
from fmcore.runs.folder import RunFolder
from fmcore.runs.samples import Shards
from fmcore.stages.components import Components
from fmcore.stages.evaluate import check_expectations, missed_bounds
from fmcore.stages.weights import trained_field

__all__ = ["Run", "open_run"]


@final
@dataclass(frozen=True, repr=False)
class Run:
    """A run: its folder, and what can be read from it.

    Nothing is read before it is asked for.  A run can be given where a function takes its folder.
    """

    folder: RunFolder
    _built: Components | None = None

    def __fspath__(self) -> str:
        return str(self.folder.root)

    def __repr__(self) -> str:
        return f"Run({str(self.folder.root)!r})"

    def _repr_html_(self) -> str:
        results = {name: value_text(result) for name, result in self.results.items()}
        rows = {
            "recipe": self.recipe.name,
            "steps": max(self.folder.checkpoints.steps(), default=0),
        }
        return html_table(repr(self), rows | results)

    @property
    def recipe(self) -> Recipe:
        """The complete recipe of the run."""
        return self.folder.recipe()

    # a property that keeps its value: results and samples can be read without the run's plugins
    @cached_property
    def components(self) -> Components:
        """The components of the recipe.  Raises RecipeError or ComponentError if one is missing."""
        return self._built or Components.of(self.recipe)

    @property
    def results(self) -> dict[str, Any]:
        """The value, error and provenance of each metric; {} before `evaluate`."""
        return self.folder.results()

    def field(self, weights: str = "ema", device: str = "cpu") -> Field:
        """Return the trained velocity field, in evaluation mode."""
        return trained_field(self.components, self.folder, weights, device)[0]

    def nfe(self) -> list[int]:
        """Return the NFE of every sample that is kept."""
        counts = [t["nfe"] for _, t in Shards.on_disk(self.folder.samples).all()]
        return [int(n) for n in torch.cat(counts)]

    def samples(self, n: int | None = None) -> torch.Tensor:
        """Return the first `n` samples, or all that are on disk: uint8 levels of images, else
        float32 points, `(n, *shape)`.

        Raises RunError for more than `sample.keep_on_disk` left on disk.
        """
        shards = Shards.on_disk(self.folder.samples)
        return shards.first(shards.kept()[-1].stop if n is None else n)["x"]

    def check_expectations(self) -> None:
        """Raise ExpectationError if a result is outside the recipe's `expect:` bounds.

        A recipe with options of the command line is another experiment than the one that the bounds
        were written for: there, each missed bound is a warning.
        """
        overridden = self.folder.facts().get("overridden")
        if not overridden:
            check_expectations(self.components, self.results)
            return
        for line in missed_bounds(self.components, self.results):
            self.folder.log(
                f"warning: {line}; expected for the recipe without {', '.join(overridden)}"
            )


def open_run(root: str | os.PathLike[str]) -> Run:
    """Return the run in the folder `root`; nothing is computed, and files are read when needed.

    Raises RunError if the folder holds no run.
    """
    return Run(RunFolder.open(Path(root), warnings_to_stderr))

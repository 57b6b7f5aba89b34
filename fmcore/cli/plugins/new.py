"""`fmcore plugins new`: create a distribution with one working component, to be edited."""

from __future__ import annotations

import keyword
import re
import shutil
import sys
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import final

import click

from fmcore.errors import REMEDIES, PluginError
from fmcore.registry import registry
from fmcore.registry.kinds import KINDS
from fmcore.testing import SUITES

__all__ = ["new"]

SUMMARIES = {
    "path": "straight, with exponentially growing speed",
    "source": "Laplace noise",
    "coupling": "pairs in the order of their means",
    "objective": "the velocity, with more weight on one end",
    "model": "a small residual network",
    "solver": "order 3, 3 NFE a step",
    "guidance": "towards the origin",
    "operator": "differences between neighbours",
    "metric": "distance between means",
    "data": "points on a figure eight",
    "space": "phases, numbers on a circle",
    "time": "a triangular density",
    "optimizer": "RMSprop with a smaller rate for biases",
    "lr_schedule": "the inverse root of the step",
    "callback": "the size of the weights",
    "codec": "examples divided by a scale",
    "extractor": "colours in each part of an image",
}
"""The summary of each kind's component."""

GIVEN = {"model": ", shape=self.shape", "solver": ", steps=16"}
"""Required options, in the component's test."""

RECIPE = {
    "data": "{name: toy, figure: two_moons}",
    "path": "ot",
    "coupling": "independent",
    "objective": "flow_matching",
    "model": "{name: mlp, width: 64, depth: 3}",
    "solver": "{name: midpoint, nfe: 40}",
    "metric": "nfe",
    "train": "{steps: 500, batch_size: 256, lr: 2.0e-3}",
    "guidance": "",
    "codec": "",
}
"""The other components of the plugin's recipe."""

OF_TRAINING = {"optimizer": "optimizer", "lr_schedule": "lr_schedule", "callback": "callbacks"}
"""The key in the section `train` of the kinds that have one there."""


@click.command(short_help="Create a plugin, ready to install and test.")
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(list(KINDS)), required=True, help="The kind of its component."
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The new folder; by default NAME, in the current folder.",
)
def new(name: str, kind: str, out: Path | None) -> None:
    """Create the plugin NAME with one working component of KIND, its tests and a recipe.

    It installs and passes its tests unchanged; then edit the component.

    \b
      fmcore plugins new my-path --kind path
    """
    plan = Plan(name, kind)
    plan.check()
    folder = Path(name) if out is None else out
    _write(folder, plan.files())
    click.echo(
        f"{folder}\n\n"
        f"  cd {folder}\n"
        '  pip install -e ".[test]"\n'
        "  pytest\n"
        f"  fmcore plugins show {plan.component} --kind {kind}\n"
        "  fmcore run recipe.yaml\n\n"
        f"The {kind} is in {plan.package}/{kind}.py."
    )


@final
@dataclass(frozen=True)
class Plan:
    """The files of a new plugin, from its name and kind."""

    distribution: str
    kind: str

    @property
    def package(self) -> str:
        """The import name."""
        return re.sub(r"[-.]+", "_", self.distribution).lower()

    @property
    def component(self) -> str:
        """The name in recipes."""
        return self.package

    def check(self) -> None:
        """Raise PluginError if the name is not valid, or names another module or plugin."""
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*([-_.][A-Za-z0-9]+)*", self.distribution):
            raise PluginError(
                f"'{self.distribution}' cannot name a distribution: use letters and digits, "
                "in parts joined by - _ or ., as in my-path"
            )
        reserved = keyword.iskeyword(self.package) or self.package in sys.stdlib_module_names
        if reserved or self.package in ("fmcore", "tests", "torch"):
            raise PluginError(
                f"'{self.package}' is a keyword or another module's name; choose another name"
            )
        if any(plugin.name == self.package for plugin in registry().plugins):
            raise PluginError(f"a plugin called '{self.package}' is installed; choose another name")

    def files(self) -> dict[str, str]:
        """Return the text of each file, by its path in the distribution."""
        words = self._words()
        templates = {
            "pyproject.toml": "pyproject.toml",
            "README.md": "README.md",
            "recipe.yaml": "recipe.yaml",
            f"{self.package}/__init__.py": "hooks.py",
            f"{self.package}/{self.kind}.py": f"{self.kind}.py",
            f"tests/test_{self.kind}.py": "test.py",
        }
        return {file: _filled(template, words) for file, template in templates.items()}

    def _words(self) -> dict[str, str]:
        return self._recipe() | {
            "distribution": self.distribution,
            "package": self.package,
            "module": self.kind,
            "component": self.component,
            "class_name": "".join(part.capitalize() for part in self.package.split("_")),
            "kind": self.kind,
            "hook": KINDS[self.kind].hook,
            "suite": SUITES[self.kind],
            "summary": SUMMARIES[self.kind],
            "given": GIVEN.get(self.kind, ""),
            "fmcore_version": version("fmcore-flow"),
        }

    def _recipe(self) -> dict[str, str]:
        """Return the sections of the recipe, with this component in its place."""
        if self.kind == "source":
            return RECIPE | {"path": f"{{name: ot, source: {self.component}}}"}
        if self.kind == "space":
            # data say where their points are; pairs are the ones that take it as an option
            data = f"{{name: pairs, file: pairs.safetensors, points: {self.component}}}"
            fitting = {"path": "geodesic", "coupling": "reflow", "metric": "nll"}
            return RECIPE | fitting | {"data": data}
        if self.kind == "codec":
            return RECIPE | {"codec": f"\ncodec: {self.component}"}
        if self.kind == "extractor":
            metric = f"{{name: frechet_distance, extractor: {self.component}}}"
            return RECIPE | {"metric": metric, "data": "digits"}
        if self.kind == "solver":
            return RECIPE | {"solver": f"{{name: {self.component}, nfe: 40}}"}
        if self.kind == "time":
            return RECIPE | {"objective": f"{{name: flow_matching, time: {self.component}}}"}
        if self.kind in OF_TRAINING:
            value = f"[{self.component}]" if self.kind == "callback" else self.component
            own = f"{OF_TRAINING[self.kind]}: {value}}}"
            return RECIPE | {"train": f"{RECIPE['train'][:-1]}, {own}"}
        if self.kind == "guidance":
            return RECIPE | {"guidance": f", guidance: [{self.component}]"}
        if self.kind == "operator":  # an option of posterior guidance
            guidance = f"[{{name: mmps, operator: {self.component}}}]"
            return RECIPE | {"guidance": f", guidance: {guidance}, condition: test"}
        return RECIPE | {self.kind: self.component}


def _filled(template: str, words: dict[str, str]) -> str:
    text = (resources.files("fmcore.cli.templates") / f"{template}.tmpl").read_text("utf-8")
    return Template(text).substitute(words)


def _write(folder: Path, files: dict[str, str]) -> None:
    """Write `files` into `folder`, which must be new or empty.  On an error, remove them all."""
    existed = folder.exists()
    if existed and (not folder.is_dir() or any(folder.iterdir())):
        raise PluginError(f"{folder} exists and is not empty; choose another folder with --out")
    try:
        for name, text in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if existed:
            folder.mkdir(exist_ok=True)
        if isinstance(error, OSError):
            reason = REMEDIES.get(error.errno or 0, error.strerror)
            raise PluginError(f"{folder} cannot be written: {reason}") from error
        raise

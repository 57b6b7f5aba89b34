"""A user's script, read by mypy alone: fmcore's public face has types, and complains of misuse."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_type

import torch
from torch import Tensor

import fmcore
from fmcore import AffinePath, Coefficients, Dataset, Objective, Path, Solver, VectorField
from fmcore.testing import PathSuite, run_suite


@dataclass(frozen=True)
class Mine(AffinePath):
    """A path of the user's own."""

    power: float = 1.0

    def coefficients(self, t: Tensor) -> Coefficients:
        return Coefficients(
            alpha=t, sigma=1 - t, d_alpha=torch.ones_like(t), d_sigma=-torch.ones_like(t)
        )


class TestMine(PathSuite):
    """The kit's suite, subclassed."""

    def component(self) -> Mine:
        return Mine()


path = fmcore.create("path", "ot", sigma_min=1e-4)
assert_type(path, Path)
assert_type(fmcore.create("data", "toy"), Dataset)
assert_type(fmcore.create("objective", "flow_matching"), Objective)
solver = fmcore.create("solver", "midpoint", nfe=20)
assert_type(solver, Solver)
model = fmcore.create("model", "mlp", shape=(2,))
assert_type(model, VectorField)

sample = path.sample(torch.zeros(4, 2), torch.ones(4, 2), torch.rand(4))
assert_type(sample.ut, Tensor)
field = fmcore.Field(model, path, fmcore.create("objective", "flow_matching"))
problem = fmcore.Problem(field, fmcore.noise_of(path.prior(), range(4), (2,), seed=0))
assert_type(solver.solve(problem).x, Tensor)
assert_type(solver.solve(problem).stats.nfe, Tensor)
assert_type(fmcore.log_prob(field, sample.x1, path=path).log_prob, Tensor)

recipe = fmcore.load_recipe("digits", ["train.steps=5"])
assert_type(recipe, fmcore.Recipe)
assert_type(fmcore.run(recipe, out="runs/x").results, dict[str, Any])
assert_type(fmcore.run(recipe).field(), fmcore.Field)
run = fmcore.open_run("runs/x")
assert_type(run, fmcore.Run)
assert_type(run.recipe, fmcore.Recipe)
assert_type(run.samples(), Tensor)
assert_type(fmcore.sample(run, ["count=8"], to="runs/y"), fmcore.Run)
assert_type(fmcore.evaluate("runs/x", ["count=8"]).results, dict[str, Any])
points = fmcore.from_levels(
    torch.zeros(1, 1, 8, 8, dtype=torch.uint8), 17, "uniform", fmcore.Rows(0, "levels", 0, [0])
)
assert_type(fmcore.to_levels(points, 17, "uniform"), Tensor)
assert_type(run_suite(TestMine)[0].passed, bool)
options: Mapping[str, object] = recipe.values

fmcore.to_levels(points, 17, "unifrom")  # type: ignore[arg-type]
fmcore.load_recipe(3)  # type: ignore[arg-type]
fmcore.log_prob(field, sample.x1, pth=path)  # type: ignore[call-arg]
fmcore.Problem(field)  # type: ignore[call-arg]
solver.solve(sample)  # type: ignore[arg-type]
fmcore.misspelt  # type: ignore[attr-defined]  # noqa: B018

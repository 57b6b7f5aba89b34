"""Compiled steps: the same numbers, and nothing compiled again for another grid."""

from __future__ import annotations

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from fmcore import ComponentError, Problem, create
from fmcore.registry import registry
from fmcore.solving import Augmentation, FixedSolver
from fmcore.solving.backends.compiled import CompiledSteps


def field(x, t):
    return torch.sin(x) * (1 - t.unsqueeze(-1))


@pytest.mark.parametrize("name", ["midpoint", "rk4", "unipc", "euler_maruyama"])
def test_another_grid_compiles_nothing_again(name):
    path = create("path", "cosine")
    counter = CompileCounter()
    steps = CompiledSteps(field, backend=counter)
    x0 = torch.linspace(-1, 1, 12).reshape(4, 3)
    compiled = []
    for options in ({"steps": 6}, {"steps": 9}, {"steps": 6, "grid": "lambda"}):
        solver = create("solver", name, **options)
        problem = Problem(field, x0, path=path)
        found = steps.execute(solver.plan(path=path), problem)
        torch.testing.assert_close(found.x, solver.solve(problem).x, rtol=1e-4, atol=1e-5)
        compiled.append(counter.frame_count)
    assert compiled[0] == compiled[1] == compiled[2]
    assert 1 <= compiled[0] <= 5  # unipc: the first two steps, those between, the last two


@pytest.mark.slow
def test_every_solvers_step_compiles_whole_and_serves_other_grids():
    path, x0 = create("path", "cosine"), torch.linspace(-1, 1, 12).reshape(4, 3)
    for entry in registry().entries("solver"):
        if not issubclass(entry.load(), FixedSolver):
            continue
        counter = CompileCounter()
        steps = CompiledSteps(field, backend=counter)  # with fullgraph=True
        compiled = []
        for count, bend in ((8, 1.0), (11, 1.0), (11, 1.2)):
            grid = [0.1 + 0.8 * (i / count) ** bend for i in range(count)] + [0.9]
            solver = create("solver", entry.name, grid=grid)
            problem = Problem(field, x0, 0.1, 0.9, path=path)
            found = steps.execute(solver.plan(0.1, 0.9, path), problem)
            wanted = solver.solve(problem).x
            torch.testing.assert_close(found.x, wanted, rtol=1e-4, atol=1e-5, msg=entry.name)
            compiled.append(counter.frame_count)
        assert compiled == compiled[:1] * 3, entry.name


def test_compiled_steps_refuse_what_they_cannot_do():
    steps = CompiledSteps(field, backend="eager")
    plan, x0 = create("solver", "euler", steps=2).plan(), torch.zeros(2, 3)
    with pytest.raises(ComponentError, match="another field"):
        steps.execute(plan, Problem(lambda x, t: x, x0))
    with pytest.raises(ComponentError, match="neither divergences nor gradients"):
        steps.execute(plan, Problem(field, x0, augmentation=Augmentation()))

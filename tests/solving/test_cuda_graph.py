"""Steps recorded over memory that stays: what a graph does, shown by running it again, and on a
GPU by CUDA's own graphs.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from fmcore import ComponentError, Field, Problem, create
from fmcore.solving.backends.cuda_graph import MAX_SHAPES, MIN_TABLE_ROWS, GraphedSteps
from fmcore.solving.backends.kernels import chain
from fmcore.testing.backends import run_again


def field(x, t):
    return torch.sin(3 * x) * (1 - t.unsqueeze(-1))


@dataclass
class Recordings:
    """Stands for CUDA graphs; counts them, and remembers which addresses each run used."""

    made: int = 0
    runs: int = 0

    def __call__(self):
        def record(step):
            self.made += 1
            for _ in range(3):  # trial runs, which must leave no trace
                step()

            def replay():
                self.runs += 1
                step()

            return replay

        return record


def starts(batch=4, dtype=torch.float32):
    return torch.linspace(-1, 1, 3 * batch, dtype=dtype).reshape(batch, 3)


def test_one_recording_serves_all_steps_and_grids():
    recordings, path = Recordings(), create("path", "cosine")
    steps, x0 = GraphedSteps(field, chain, recordings), starts()
    for options in ({"steps": 6}, {"steps": 9}, {"steps": 6, "grid": "cosine"}):
        solver, before = create("solver", "midpoint", **options), recordings.runs
        problem = Problem(field, x0, path=path)
        found = steps.execute(solver.plan(path=path), problem)
        torch.testing.assert_close(found.x, solver.solve(problem).x)
        assert recordings.runs - before == options["steps"]
    assert recordings.made == steps.recorded == 1


def test_a_plan_longer_than_the_table_is_recorded_once_more():
    recordings = Recordings()
    steps, x0 = GraphedSteps(field, chain, recordings), starts()
    for count, made in (
        (MIN_TABLE_ROWS, 1),
        (MIN_TABLE_ROWS + 1, 2),
        (2 * MIN_TABLE_ROWS, 2),
        (3, 2),
    ):
        solver = create("solver", "euler", steps=count)
        found = steps.execute(solver.plan(), Problem(field, x0))
        torch.testing.assert_close(found.x, solver.solve(Problem(field, x0)).x)
        assert recordings.made == made


def test_field_is_called_with_the_same_memory_at_every_run():
    seen = set()

    def watched(x, t):
        seen.add((x.data_ptr(), x.shape))
        return field(x, t)

    steps, plan = GraphedSteps(watched, chain, run_again), create("solver", "euler", steps=5).plan()
    for shift in (0.0, 0.5):
        x0 = starts() + shift
        wanted = create("solver", "euler", steps=5).solve(Problem(field, x0)).x
        torch.testing.assert_close(steps.execute(plan, Problem(watched, x0)).x, wanted)
    assert len(seen) == 1


def test_conditions_and_starts_of_a_later_solve_are_used():
    def led(x, t, condition):
        return condition["rate"][:, None] * field(x, t)

    steps, solver = GraphedSteps(led, chain, run_again), create("solver", "heun2", steps=4)
    for rate in (1.0, 0.2):
        problem = Problem(led, starts() * rate, condition={"rate": torch.full((4,), rate)})
        torch.testing.assert_close(steps.execute(solver.plan(), problem).x, solver.solve(problem).x)


def test_results_do_not_change_with_the_next_solve():
    steps, plan = GraphedSteps(field, chain, run_again), create("solver", "euler", steps=3).plan()
    first = steps.execute(plan, Problem(field, starts())).x
    kept = first.clone()
    steps.execute(plan, Problem(field, starts() + 1))
    assert torch.equal(first, kept)


def test_only_the_latest_shapes_are_kept():
    steps, plan = GraphedSteps(field, chain, run_again), create("solver", "euler", steps=3).plan()
    for batch in range(1, MAX_SHAPES + 3):
        steps.execute(plan, Problem(field, starts(batch)))
    assert steps.recorded == MAX_SHAPES


def test_evaluations_are_counted_though_the_field_is_not_called():
    """Also where trial runs have called it, and one field wraps another."""
    path, model = create("path", "ot"), create("model", "mlp", shape=(3,)).eval()
    trained = Field(model, path, create("objective", "flow_matching"))
    steps = GraphedSteps(trained, chain, Recordings())
    for count in (4, 7):
        before = trained.nfe, trained.forwards
        plan = create("solver", "midpoint", steps=count).plan(path=path)
        solution = steps.execute(plan, Problem(trained, starts(), path=path))
        assert (trained.nfe - before[0], trained.forwards - before[1]) == (2 * count, 2 * count)
        assert solution.stats.extra["forwards"] == 2 * count


def test_weights_changed_in_place_are_seen_and_moved_ones_recorded_anew():
    recordings, plan = Recordings(), create("solver", "euler", steps=2).plan()
    network = nn.Linear(3, 3)

    def through(x, t):
        return network(x)

    steps = GraphedSteps(through, chain, recordings)
    for change in (lambda: None, lambda: network.weight.data.mul_(2)):
        change()
        found = steps.execute(plan, Problem(through, starts())).x
        wanted = create("solver", "euler", steps=2).solve(Problem(through, starts())).x
        torch.testing.assert_close(found, wanted)
        assert recordings.made == 1
    old = network.weight.data  # kept, so that the new ones lie elsewhere
    network.weight.data = old.clone()
    steps.execute(plan, Problem(through, starts()))
    assert recordings.made == 2
    network.eval()
    steps.execute(plan, Problem(through, starts()))
    assert recordings.made == 3


def test_wrong_velocities_and_other_fields_are_refused():
    def narrow(x, t):
        return x[:, :1]

    plan = create("solver", "euler", steps=2).plan()
    with pytest.raises(ComponentError, match="field narrow returned"):
        GraphedSteps(narrow, chain, run_again).execute(plan, Problem(narrow, starts()))
    with pytest.raises(ComponentError, match="another field"):
        GraphedSteps(narrow, chain, run_again).execute(plan, Problem(field, starts()))


def test_an_empty_interval_is_the_identity():
    plan = create("solver", "euler", steps=2).plan(0.5, 0.5)
    x0 = starts()
    found = GraphedSteps(field, chain, run_again).execute(plan, Problem(field, x0, 0.5, 0.5)).x
    assert torch.equal(found, x0)
    assert found.data_ptr() != x0.data_ptr()


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["midpoint", "rk4", "unipc", "dpmpp_2m", "dpmpp_2m_sde"])
def test_graphs_on_a_gpu_give_the_eager_answer_without_a_wait(name):
    path, x0 = create("path", "vp"), starts(64).cuda()
    eager, graph = (
        create("solver", name, steps=12, backend=backend) for backend in ("eager", "graph")
    )
    problem = Problem(field, x0, path=path)
    wanted = eager.solve(problem).x
    graph.solve(problem)  # records
    torch.cuda.set_sync_debug_mode("error")
    try:
        solution = graph.solve(problem)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert solution.stats.extra["backend"] == "graph"
    torch.testing.assert_close(solution.x, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
def test_a_field_that_waits_for_a_gpu_is_solved_otherwise_with_a_word():
    def branching(x, t):
        return -x if float(x.sum()) > 0 else x.clone()

    problem = Problem(branching, starts(8).cuda())
    with pytest.warns(UserWarning, match="cannot be recorded"):
        solution = create("solver", "euler", steps=4, backend="graph").solve(problem)
    wanted = create("solver", "euler", steps=4, backend="eager").solve(problem)
    torch.testing.assert_close(solution.x, wanted.x)

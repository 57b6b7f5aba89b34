"""Sums gathered between two calls: as many launches as evaluations, and nothing kept too long."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fmcore import Problem, create
from fmcore.registry import registry
from fmcore.solving import FixedSolver, Plan
from fmcore.solving.backends.fused import execute_fused
from fmcore.solving.backends.fusion import FusedSum, fused_items, program_of
from fmcore.solving.backends.kernels import chain
from fmcore.solving.backends.segments import segments_of
from fmcore.solving.fixed.canonical import canonical
from fmcore.solving.fixed.plan import Call, Combine, Noise

PLANNED = [
    name
    for name in registry().names("solver")
    if "/" not in name and issubclass(registry().entry("solver", name).load(), FixedSolver)
]


def field(x, t):
    return torch.sin(3 * x) * (1 - t.unsqueeze(-1))


def as_rows(plan):
    """The plan with its fused sums written as rows again."""
    rows = []
    for item in fused_items(plan):
        if isinstance(item, FusedSum):
            rows += [
                Combine(out, dict(zip(item.reads, weights, strict=True)))
                for out, weights in zip(item.outs, item.weights, strict=True)
            ]
        else:
            rows.append(item)
    return replace(plan, rows=tuple(rows))


@pytest.mark.parametrize("name", PLANNED)
def test_a_solve_launches_the_kernel_once_an_evaluation(name):
    path = create("path", "vp")
    plan = create("solver", name, steps=9).plan(path=path)
    launches = []

    def counting(outs, reads, table, offset, mask):
        launches.append(len(reads))
        chain(outs, reads, table, offset, mask)

    x0 = torch.linspace(-1, 1, 12).reshape(4, 3)
    execute_fused(plan, Problem(field, x0, path=path), counting)
    assert len(launches) == program_of(plan).launches
    assert len(launches) in (plan.nfe, plan.nfe + 1)  # one more to add noise before the first call
    assert len(launches) == plan.nfe or isinstance(fused_items(plan)[1], FusedSum)


@pytest.mark.parametrize("name", PLANNED)
def test_fused_sums_are_equal_to_the_rows(name):
    plan = create("solver", name, steps=6).plan(path=create("path", "cosine"), times=(0.4,))
    assert canonical(as_rows(plan)).close_to(canonical(plan))


@pytest.mark.parametrize("name", PLANNED)
def test_buffers_do_not_grow_with_steps(name):
    path = create("path", "ot")
    few, many = (
        program_of(create("solver", name, steps=n).plan(0.1, 0.9, path)).slots for n in (12, 48)
    )
    assert many == few


def test_unipc_corrects_predicts_and_steps_in_one_sum():
    plan = create("solver", "unipc", steps=5).plan(0.1, 0.9, create("path", "vp"))
    widest = max(
        (i for i in fused_items(plan) if isinstance(i, FusedSum)), key=lambda i: len(i.outs)
    )
    assert len(widest.outs) == 3  # the corrected state, the x1 prediction, the predicted state
    assert len(widest.reads) == 4


def test_what_nobody_reads_later_is_not_written():
    rows = (Call(1, 0, 0.0), Combine(2, {0: 1.0, 1: 0.5}), Combine(3, {2: 2.0, 1: -1.0}))
    plan = Plan(rows, outputs=(3,), grid=(0.0, 1.0), ends=(3,))
    assert fused_items(plan) == (rows[0], FusedSum((3,), (0,), ((2.0,),)))  # and r1 cancels


def test_noise_comes_just_before_its_first_use():
    rows = (Noise(1, 0), Call(2, 0, 0.0), Combine(3, {0: 1.0, 1: 1.0, 2: 1.0}))
    plan = Plan(rows, outputs=(3,), grid=(0.0, 1.0), ends=(3,))
    assert [type(item) for item in fused_items(plan)] == [Call, Noise, FusedSum]


def test_segments_begin_at_calls_and_end_after_sums():
    path = create("path", "vp")
    plan = create("solver", "unipc", steps=10).plan(0.1, 0.9, path)
    segments = segments_of(plan)
    assert [s.first_call for s in segments] == [0, *range(2, 10)]  # the first is corrected by two
    kinds = [s.shape for s in segments]
    assert len(set(kinds)) < 7
    assert len(set(kinds[3:8])) == 1  # those between the first and the last are of one kind


def test_layouts_of_state_and_velocity_may_differ():
    x0 = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)

    def moved(x, t):
        return torch.cos(x).contiguous(memory_format=torch.contiguous_format)

    solver, problem = create("solver", "rk4", steps=3), Problem(moved, x0)
    strides = set()

    def watching(outs, reads, table, offset, mask):
        strides.update(value.stride() for value in (*outs, *reads))
        chain(outs, reads, table, offset, mask)

    found = execute_fused(solver.plan(), problem, watching)
    torch.testing.assert_close(found.x, solver.solve(problem).x)
    assert strides == {x0.stride()}
    sliced = Problem(torch.cos, torch.randn(4, 6)[:, ::2])
    cosine = replace(sliced, field=lambda x, t: torch.cos(x))
    torch.testing.assert_close(
        execute_fused(solver.plan(), cosine, chain).x, solver.solve(cosine).x
    )

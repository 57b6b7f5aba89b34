"""Samples drawn several shards at a time: the same samples, for fewer evaluations."""

from __future__ import annotations

import pytest
import torch

import fmcore
from fmcore import create, load_recipe, stages
from fmcore.runs.samples import Shards
from fmcore.stages.sampler import Sampler, shards_per_solve, with_refill
from fmcore.stages.sampling_field import sampling_field

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("window")
    recipe = folder / "tiny.yaml"
    recipe.write_text(
        "data: {name: toy, figure: checkerboard}\n"
        "path: ot\n"
        "model: {name: mlp, width: 16, depth: 2}\n"
        "train: {steps: 60, batch_size: 64, lr: 1e-2}\n"
        "sample: {solver: dopri5, count: 100, batch_size: 12}\n"
    )
    return fmcore.run(load_recipe(recipe), out=folder / "run", device="cpu", quiet=True)


@pytest.fixture
def sampler(run):
    settings, cpu = run.components.sample, torch.device("cpu")
    field, _ = sampling_field(run.components, settings, run.folder, cpu)
    return Sampler(run.components, settings, field, cpu)


def drawn(run):
    shards = list(Shards.on_disk(run.folder.samples).all())
    return {k: torch.cat([tensors[k] for _, tensors in shards]) for k in shards[0][1]}


def test_samples_are_those_of_one_batch(run, sampler):
    together, alone = drawn(run), sampler.draw(range(100))
    assert len(list(run.folder.samples.glob("shard-*"))) == 9
    torch.testing.assert_close(together["x"], alone["x"], rtol=1e-4, atol=1e-4)
    assert not together["status"].any()
    assert torch.equal(together["forwards"], together["nfe"])


def test_shards_that_are_missing_are_drawn_again_together_and_the_others_left(run):
    before = drawn(run)
    files = sorted(run.folder.samples.glob("shard-*"))
    for lost in (files[0], files[3], files[4], files[8]):
        lost.unlink()
    kept = {p: p.stat().st_mtime_ns for p in run.folder.samples.glob("shard-*")}
    after = drawn(stages.sample(run.folder.root, device="cpu", quiet=True))
    torch.testing.assert_close(after["x"], before["x"], rtol=1e-4, atol=1e-4)
    assert {p: p.stat().st_mtime_ns for p in kept} == kept


def test_fewer_rows_go_through_the_network_than_batch_by_batch(sampler):
    rows: list[int] = []
    sampler.field.model.register_forward_pre_hook(lambda model, given: rows.append(len(given[0])))
    shards = [range(a, a + 12) for a in range(0, 96, 12)]
    seen: list[float] = []
    together = sampler.draw_together(shards, lambda moment: seen.append(moment.progress))
    spent, largest = sum(rows), max(rows)
    rows.clear()
    apart = [sampler.draw(shard) for shard in shards]
    ideal = sum(int(shard["nfe"].sum()) for shard in apart)
    assert largest == 12
    assert ideal <= spent < sum(rows)
    assert seen[-1] == 1
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one["x"], other["x"], rtol=1e-4, atol=1e-4)


def test_solves_have_equal_numbers_of_shards():
    adaptive = create("solver", "dopri5")
    assert [shards_per_solve(adaptive, n) for n in (0, 1, 8, 9, 17, 64)] == [1, 1, 8, 5, 6, 8]
    assert [shards_per_solve(adaptive, n, processes=4) for n in (1, 5, 32, 33)] == [1, 2, 8, 5]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("midpoint", {"nfe": 8}),
        ("dopri5", {"step_control": "batch_max"}),
        ("torchdiffeq:dopri5", {}),
    ],
)
def test_solvers_without_refill_draw_shard_by_shard(name, options):
    solver = create("solver", name, **options)
    assert with_refill(solver, 4) is None
    assert shards_per_solve(solver, 20) == 1


def test_max_active_of_the_solver_is_kept():
    assert with_refill(create("solver", "dopri5", max_active=3), 8).max_active == 3
    assert with_refill(create("solver", "dopri5"), 8).max_active == 8

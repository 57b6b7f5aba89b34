"""Optimal transport within a batch: exact, a permutation, unbiased for each condition."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from fmcore import ComponentError, create
from fmcore_couplings.assignment import cheapest, reduced


def batch(n, shape=(2,), seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn((n, *shape), generator=g), 2 * torch.randn((n, *shape), generator=g) + 1


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def cost(x0, x1):
    return (x0.double() - x1.double()).square().sum().item()


def pair(x0, x1, given=None, seed=0, **options):
    return create("coupling", "minibatch_ot", **options).pair(x0, x1, generator(seed), given)


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4)])
def test_no_permutation_is_cheaper(shape):
    x0, x1 = batch(6, shape)
    paired = pair(x0, x1)
    least = min(cost(x0[list(p)], x1) for p in itertools.permutations(range(6)))
    assert cost(paired.x0, paired.x1) == pytest.approx(least, rel=1e-9)
    assert torch.equal(paired.x1, x1)


@pytest.mark.parametrize(("width", "offset"), [(2, 1e4), (64, 1e4), (784, 1e3), (2, -1e6)])
def test_data_far_from_the_noise_are_paired_as_well_as_data_near_it(width, offset):
    """The optimum is scipy's, of distances by differences in double precision."""
    x0, x1 = batch(128, (width,))
    x1 = x1 + offset
    paired = pair(x0, x1)
    matrix = cdist(x0.double(), x1.double(), "sqeuclidean")
    least = matrix[linear_sum_assignment(matrix)].sum()
    gain = cost(x0, x1) - least
    assert cost(paired.x0, x1) - least < 1e-4 * gain


@pytest.mark.parametrize("options", [{"method": "exact"}, {"condition": "ignored"}])
def test_a_shift_of_the_data_changes_no_pair(options):
    x0, x1 = batch(32, (3,))
    x0, x1 = (x.mul(256).round().div(256) for x in (x0, x1))  # so that the shift rounds nothing
    assert torch.equal(pair(x0, x1 + 1024, **options).x0, pair(x0, x1, **options).x0)


@pytest.mark.parametrize("n", [1, 2, 17, 128])
@pytest.mark.parametrize("spread", [1.0, 1e3, 1e-6])
def test_a_warm_start_changes_the_time_and_not_the_cost(n, spread):
    x0, x1 = batch(n)
    x1 = x1 * torch.linspace(1, spread, n)[:, None]
    matrix = torch.cdist(x0, x1).double().square()
    rows, columns = linear_sum_assignment(matrix.numpy())
    p = cheapest(matrix)
    assert matrix[p, torch.arange(n)].sum().item() == pytest.approx(
        matrix.numpy()[rows, columns].sum(), rel=1e-9
    )


def test_scalings_that_overflow_are_not_used():
    matrix = torch.zeros(40, 40, dtype=torch.float64)
    matrix[0, :20], matrix[:20, 0], matrix[30, 30] = 1e6, 1e9, 1e12
    assert reduced(matrix).isfinite().all()
    p = cheapest(matrix)
    rows, columns = linear_sum_assignment(matrix.numpy())
    least = matrix.numpy()[rows, columns].sum()
    assert matrix[p, torch.arange(40)].sum().item() == pytest.approx(least, rel=1e-12)


def test_equal_points_can_be_paired():
    x = torch.zeros(9, 2)
    paired = pair(x, x)
    assert torch.equal(paired.x0, x)


def test_a_larger_pool_is_cheaper_for_each_row():
    x0, x1 = batch(256)
    pooled = cost(pair(x0, x1, pool=8).x0, x1)
    apart = sum(
        cost(pair(*part).x0, part[1]) for part in zip(x0.split(32), x1.split(32), strict=True)
    )
    assert pooled < 0.97 * apart
    assert create("coupling", "minibatch_ot", pool=8).pool == 8


def test_within_keeps_the_noise_that_was_drawn_for_a_class():
    x0, x1 = batch(64)
    label = torch.arange(64) % 4
    paired = pair(x0, x1, {"label": label})
    for k in range(4):
        found = sorted(map(tuple, paired.x0[label == k].tolist()))
        assert found == sorted(map(tuple, x0[label == k].tolist()))
    assert cost(paired.x0, x1) < cost(x0, x1)
    assert torch.equal(paired.condition["label"], label)


def test_ignored_conditions_bias_the_noise_of_a_class_and_within_does_not():
    """The bias that C2OT removes: a class on the right would learn from noise on the right."""
    x0, x1 = batch(512)
    label = (x1[:, 0] > 1).long()
    biased = pair(x0, x1, {"label": label}, condition="ignored").x0[label == 1, 0].mean()
    unbiased = pair(x0, x1, {"label": label}, condition="within").x0[label == 1, 0].mean()
    assert biased > 0.6
    assert abs(unbiased) < 0.2


def test_weighted_costs_more_than_ignored_and_less_than_within():
    x0, x1 = batch(128)
    label = torch.arange(128) % 3
    costs = [
        cost(pair(x0, x1, {"label": label}, **options).x0, x1)
        for options in (
            {"condition": "ignored"},
            {"condition": "weighted", "condition_weight": 0.3},
            {"condition": "weighted", "condition_weight": 1e6},
        )
    ]
    within = cost(pair(x0, x1, {"label": label}).x0, x1)
    assert costs[0] < costs[1] < costs[2]
    assert costs[2] == pytest.approx(within)


def test_continuous_conditions_are_weighted_by_their_distance():
    x0, x1 = batch(64)
    place = torch.linspace(0, 1, 64)[:, None]
    paired = pair(x0, x1, {"place": place}, condition="weighted", condition_weight=1e4)
    order = (paired.x0[:, None] == x0[None]).all(-1).double().argmax(1)
    assert (order - torch.arange(64)).abs().max() <= 4


@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_the_distance_of_conditions_does_not_depend_on_their_offset(offset):
    """A weight that outweighs the points pairs neighbours, at any offset of the condition."""
    x0, x1 = batch(64)
    place = offset + torch.linspace(0, 63, 64)[:, None].expand(-1, 40)
    paired = pair(x0, x1, {"place": place}, condition="weighted", condition_weight=1e4)
    assert torch.equal(paired.x0, x0)


def test_conditions_need_a_row_for_each_pair():
    x0, x1 = batch(8)
    with pytest.raises(ComponentError, match=r"a row for each of the 8 pairs, got label \(7,\)"):
        pair(x0, x1, {"label": torch.zeros(7, dtype=torch.int64)})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("method", ["exact", "sinkhorn"])
def test_points_that_are_not_finite_are_refused(value, method):
    x0, x1 = batch(8)
    x1[3] = value
    with pytest.raises(ComponentError, match="costs of pairs are not finite"):
        pair(x0, x1, method=method)


def test_a_mask_is_no_condition():
    x0, x1 = batch(16)
    masked = pair(x0, x1, {"mask": (torch.arange(16) % 2)[:, None]})
    assert torch.equal(masked.x0, pair(x0, x1).x0)


def test_entropic_pairs_run_from_exact_to_random():
    pytest.importorskip("ot")
    x0, x1 = batch(64)
    exact, drawn = cost(pair(x0, x1).x0, x1), cost(x0, x1)

    def mean_cost(regularization):
        options = {"method": "sinkhorn", "regularization": regularization}
        return np.mean([cost(pair(x0, x1, seed=s, **options).x0, x1) for s in range(4)])

    near, middle, far = mean_cost(1e-3), mean_cost(0.05), mean_cost(100.0)
    assert near == pytest.approx(exact, rel=0.01)
    assert exact < middle < far
    assert far == pytest.approx(drawn, rel=0.2)


def test_entropic_pairs_are_a_function_of_the_generator():
    pytest.importorskip("ot")
    x0, x1 = batch(32)
    first, again, other = (
        pair(x0, x1, seed=s, method="sinkhorn", regularization=0.5).x0 for s in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_the_library_sinkhorn_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot.bregman", None)
    x0, x1 = batch(8)
    with pytest.raises(ComponentError, match="pip install pot, or use method 'exact'"):
        pair(x0, x1, method="sinkhorn")


def test_unequal_shapes_are_refused():
    for shapes in (((4, 2), (4, 3)), ((4, 2), (5, 2)), ((4,), (4,))):
        with pytest.raises(ComponentError, match="pairs equal shapes"):
            pair(*map(torch.zeros, shapes))

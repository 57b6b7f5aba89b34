"""The order of examples: a permutation in every epoch, without storing one."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch

from fmcore.training.order import SPAN, EpochOrder, EpochOrders


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 17, 50, 97, 1000, 4096, 10_007, 65_537])
def test_an_epoch_is_a_permutation(length):
    found = EpochOrder(3, 1, length)(torch.arange(length))
    assert torch.equal(found.sort().values, torch.arange(length))


def test_every_permutation_of_a_few_examples_is_as_likely():
    seen = Counter(
        tuple(EpochOrder(seed, 0, 4)(torch.arange(4)).tolist()) for seed in range(24 * 40)
    )
    assert len(seen) == 24
    chi2 = sum((count - 40) ** 2 / 40 for count in seen.values())
    assert abs(chi2 - 23) < 4 * math.sqrt(2 * 23)


def test_the_order_of_an_epoch_has_no_trend_and_no_memory():
    n = 10_000
    found = EpochOrder(0, 0, n)(torch.arange(n)).double()
    uniform = (found - found.mean()) / found.std()
    later = (EpochOrder(0, 1, n)(torch.arange(n)).double() - found.mean()) / found.std()
    place = torch.arange(n, dtype=torch.float64)
    place = (place - place.mean()) / place.std()
    for other in (place, uniform.roll(1), uniform.roll(100), uniform.roll(128), later):
        assert abs(float((uniform * other).mean())) < 4 / math.sqrt(n)
    # neighbours by place are neighbours by number as rarely as by chance: 2 of n pairs
    assert int(((found - found.roll(1)).abs() == 1).sum()) < 12


def test_a_hundred_million_examples_need_no_memory():
    order = EpochOrder(0, 0, 10**8)
    places = torch.randint(10**8, (1024,), generator=torch.Generator().manual_seed(0)).unique()
    found = order(places)
    assert len(found.unique()) == len(places)
    assert 0 <= int(found.min()) <= int(found.max()) < 10**8
    assert sum(table.nbytes for table in order._tables) < 2**20


@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize("length", [70, 1000, 40_000])
def test_every_epoch_visits_each_example_once_in_another_order(length, sized):
    sizes = torch.arange(length) % 91 if sized else None
    orders = EpochOrders(0, length, 32, sizes)
    epochs = [orders(e * length, (e + 1) * length) for e in range(3)]
    for epoch in epochs:
        assert torch.equal(epoch.sort().values, torch.arange(length))
    assert not torch.equal(epochs[0], epochs[1])


@pytest.mark.parametrize("sized", [False, True])
def test_positions_give_the_same_examples_however_they_are_asked_for(sized):
    sizes = torch.arange(1000) % 13 if sized else None
    whole = EpochOrders(5, 1000, 10, sizes)(0, 3000)
    apart = EpochOrders(5, 1000, 10, sizes)
    cuts = [0, 1, 640, 999, 1003, 2000, 2500, 3000]
    again = [apart(a, b) for a, b in reversed(list(itertools.pairwise(cuts)))]
    assert torch.equal(torch.cat(again[::-1]), whole)


def test_batches_hold_examples_of_like_size():
    """Also in epochs that begin in the middle of a batch: 4,001 is no multiple of 8."""
    sizes = torch.randint(1, 1000, (4001,), generator=torch.Generator().manual_seed(0))
    orders = EpochOrders(0, 4001, 8, sizes)
    for epoch in (0, 3):
        first = -(-epoch * 4001 // 8)
        spread = []
        for batch in range(first, first + 4001 // 8 - 1):
            own = sizes[orders(8 * batch, 8 * batch + 8)]
            spread.append(float(own.max() - own.min()))
        # a window of 64 batches of 8: neighbours in size differ by about 2, a batch by 14
        assert sum(spread) / len(spread) < 3 * 1000 / SPAN


def test_the_batches_of_a_window_are_shuffled():
    sizes = torch.arange(4096)
    orders = EpochOrders(0, 4096, 8, sizes)
    means = [float(sizes[orders(8 * b, 8 * b + 8)].double().mean()) for b in range(SPAN)]
    rising = sum(a < b for a, b in itertools.pairwise(means))
    assert 16 < rising < 48

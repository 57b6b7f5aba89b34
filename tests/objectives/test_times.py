"""Draws of training times."""

from __future__ import annotations

import torch

from fmcore import stratified_times, uniform_times


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_stratified_batch_has_one_time_in_every_cell():
    t = stratified_times(100, generator())
    assert sorted((t * 100).long().clamp(max=99).tolist()) == list(range(100))
    assert not torch.equal(t, t.sort().values)


def test_the_parts_of_a_stratified_batch_together_fill_every_cell():
    parts = [stratified_times(25, generator(k), (k, 4)) for k in range(4)]
    cells = (torch.cat(parts) * 100).long().clamp(max=99)
    assert sorted(cells.tolist()) == list(range(100))
    for part in parts:
        assert part.min() < 0.05
        assert part.max() > 0.95


def test_the_mean_of_stratified_times_has_less_variance_than_of_uniform_ones():
    means = [
        torch.stack([draw(64, generator(s)).mean() for s in range(50)]).std()
        for draw in (stratified_times, uniform_times)
    ]
    assert means[0] < means[1] / 10

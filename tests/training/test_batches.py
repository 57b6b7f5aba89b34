"""A step's batch is a function of (seed, step), however it is cut."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch

from fmcore import (
    ComponentError,
    Coupling,
    Gaussian,
    ImageDataset,
    Pairing,
    Path,
    Regression,
    Rows,
    Source,
)
from fmcore.interfaces.randomness import noise_of
from fmcore.training.batches import Batches


@dataclass(frozen=True)
class Numbers(ImageDataset):
    length: int = 50
    shape = (1, 2, 2)
    levels = 17
    classes = 10
    fingerprint = "0"

    def batch(self, indices):
        index = torch.tensor(indices)
        images = (index[:, None, None, None] + torch.arange(4).reshape(1, 1, 2, 2)) % 17
        return {"x1": images.to(torch.uint8), "label": index % 10}


class Straight(Path):
    t_max = 0.5

    def noise(self):
        return Gaussian()

    prior = noise

    def sample(self, x0, x1, t):
        raise NotImplementedError


class Uniform(Regression):
    prediction = "velocity"

    def weight(self, path, t):
        return torch.ones_like(t)

    def sample_time(self, n, generator, part=(0, 1)):
        return torch.rand(n, generator=generator)


class AsIs(Coupling):
    independent = True

    def pair(self, x0, x1, generator, condition=None):
        return Pairing(x0, x1, condition)


@dataclass(frozen=True)
class Shuffled(Coupling):
    size: int = 3

    @property
    def pool(self):
        return self.size

    def pair(self, x0, x1, generator, condition=None):
        order = torch.randperm(len(x0), generator=generator)
        return Pairing(x0[order], x1[order], {k: v[order] for k, v in (condition or {}).items()})


def batches(batch_size=80, coupling=None, **options):
    data = Numbers(flip=True)
    return Batches(data, Straight(), coupling or AsIs(), Uniform(), batch_size, seed=3, **options)


def whole(made, step):
    rows = range(made.batch_size)
    return made.pairs(step, rows), made.draws(step, rows)["t"]


@pytest.mark.parametrize("cuts", [[0, 40, 80], [0, 16, 32, 48, 64, 80], [0, 7, 33, 80]])
def test_rows_are_the_same_wherever_the_batch_is_cut(cuts):
    made = batches(dropout={"label": 0.3})
    together, times = whole(made, 5)
    ranges = [range(a, b) for a, b in pairwise(cuts)]
    apart = [made.pairs(5, rows) for rows in ranges]
    assert torch.equal(together.x0, torch.cat([p.x0 for p in apart]))
    assert torch.equal(together.x1, torch.cat([p.x1 for p in apart]))
    assert torch.equal(
        together.condition["label"], torch.cat([p.condition["label"] for p in apart])
    )
    assert torch.equal(times, torch.cat([made.draws(5, rows)["t"] for rows in ranges]))


def test_no_two_rows_or_steps_share_their_noise():
    made = batches()
    noise = torch.cat([whole(made, step)[0].x0 for step in range(4)])
    assert len(torch.unique(noise.flatten(1), dim=0)) == len(noise)


def test_every_epoch_visits_each_example_once_in_another_order():
    made = batches(batch_size=25)
    epochs = [made.indices(2 * e, range(25)) + made.indices(2 * e + 1, range(25)) for e in range(3)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_batch_larger_than_the_data_goes_on_into_the_next_epoch():
    counts = torch.bincount(torch.tensor(batches(batch_size=120).indices(0, range(120))))
    assert set(counts.tolist()) == {2, 3}


def test_times_stay_within_the_paths_interval():
    times = whole(batches(batch_size=400), 0)[1]
    assert 0 <= times.min() < 0.05
    assert 0.45 < times.max() <= 0.5


def test_labels_are_dropped_row_by_row_at_the_rate_asked_for():
    made = batches(batch_size=2000, dropout={"label": 0.25})
    dropped = (whole(made, 0)[0].condition["label"] == -1).float().mean()
    assert abs(dropped - 0.25) < 4 * (0.25 * 0.75 / 2000) ** 0.5


def test_flips_mirror_about_half_of_the_images_and_change_nothing_else():
    made = batches(batch_size=1000)
    levels = ((whole(made, 0)[0].x1 + 1) * 8.5).floor().long()
    index = torch.tensor(made.indices(0, range(1000)))
    straight = (index[:, None, None, None] + torch.arange(4).reshape(1, 1, 2, 2)) % 17
    same = (levels == straight).flatten(1).all(1)
    mirrored = (levels == straight.flip(-1)).flatten(1).all(1)
    assert (same | mirrored).all()
    assert 0.4 < same.float().mean() < 0.6


def test_a_pool_is_paired_as_a_whole_and_each_step_takes_its_own_part():
    made = batches(batch_size=40, coupling=Shuffled(3))
    rows = range(40)
    pooled = torch.cat([made.pairs(step, rows).x1 for step in range(3)])
    plain = batches(batch_size=40)
    apart = torch.cat([plain.pairs(step, rows).x1 for step in range(3)])
    key = lambda x: sorted(map(tuple, x.flatten(1).tolist()))  # noqa: E731
    assert key(pooled) == key(apart)
    assert not torch.equal(pooled, apart)
    again = batches(batch_size=40, coupling=Shuffled(3)).pairs(2, rows).x1
    assert torch.equal(again, pooled[80:])


class OneShort(Coupling):
    def pair(self, x0, x1, generator, condition=None):
        return Pairing(x0[1:], x1[1:], condition)


class Flat(Source):
    """A source that forgets the shape of the data."""

    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        return rows.normal((4,), dtype)

    def log_prob(self, x, condition=None):
        return x.flatten(1).sum(1)


class Flattened(Straight):
    def noise(self):
        return Flat()


class Columns(Uniform):
    def sample_time(self, n, generator, part=(0, 1)):
        return torch.rand(n, 1, generator=generator)


def test_parts_that_give_other_shapes_than_promised_are_refused():
    """Broadcasting would train on wrong pairs without an error."""
    data, rows = Numbers(), range(16)
    short = Batches(data, Straight(), OneShort(), Uniform(), 16, seed=0)
    with pytest.raises(ComponentError, match=r"x0 of coupling OneShort .* got \(15, 1, 2, 2\)"):
        short.pairs(0, rows)
    flat = Batches(data, Flattened(), AsIs(), Uniform(), 16, seed=0)
    with pytest.raises(ComponentError, match=r"a draw of source Flat .* got \(\d+, 4\)"):
        flat.pairs(0, rows)
    columns = Batches(data, Straight(), AsIs(), Columns(), 16, seed=0)
    with pytest.raises(ComponentError, match=r"'t' as drawn by objective Columns .* \(16, 1\)"):
        columns.draws(0, rows)


def test_noise_of_another_shape_is_refused_when_sampling():
    with pytest.raises(ComponentError, match=r"source Flat .* shape \(2, 2, 2\), got \(2, 4\)"):
        noise_of(Flat(), [0, 1], (2, 2), 0)


@dataclass(frozen=True)
class Sounds(Numbers):
    """Of lengths 1 to 50, with noise of its own."""

    @property
    def sizes(self):
        return torch.arange(1, 51)

    def augmented(self, batch, rows):
        return {**batch, "x1": batch["x1"].float() + rows.normal(self.shape)}


def test_a_dataset_with_sizes_gives_batches_of_like_length():
    made = Batches(Sounds(), Straight(), AsIs(), Uniform(), 5, seed=0)
    epoch = [made.indices(step, range(5)) for step in range(10)]
    assert sorted(i for own in epoch for i in own) == list(range(50))
    assert all(max(own) - min(own) == 4 for own in epoch)
    assert epoch != sorted(epoch)


def test_the_dataset_augments_each_row_by_its_own_numbers():
    made = Batches(Sounds(), Straight(), AsIs(), Uniform(), 10, seed=0)
    whole = made.pairs(3, range(10)).x1
    assert torch.equal(whole[4:7], made.pairs(3, range(4, 7)).x1)
    plain = Sounds().batch(made.indices(3, range(10)))["x1"]
    noise = Rows(0, "data", 3, range(10)).normal((1, 2, 2))
    assert torch.equal(whole, plain + noise)


def test_batches_drawn_ahead_are_those_of_their_steps():
    made = batches(batch_size=16, dropout={"label": 0.3})
    assert made._steps_ahead(16) == 16
    pairs = [made.pairs(step, range(16)) for step in (0, 5, 17)]
    for step, found in zip((0, 5, 17), pairs, strict=True):
        alone = batches(batch_size=16, dropout={"label": 0.3})._drawn(
            range(step, step + 1), range(16)
        )
        assert torch.equal(found.x0, alone.x0)
        assert torch.equal(found.x1, alone.x1)
        assert torch.equal(found.condition["label"], alone.condition["label"])

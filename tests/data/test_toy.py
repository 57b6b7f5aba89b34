from __future__ import annotations

import typing

import pytest
import torch

from fmcore_data.toy import Figure, Toy


def points(figure, **options):
    data = Toy(figure=figure, count=20_000, **options)
    batch = data.batch(range(data.length))
    return batch["x1"].double(), batch["label"]


def test_the_checkerboard_is_the_papers():
    """Unit squares of even column + row on [-2, 2]^2, divided by 0.45, each equally full."""
    x, label = points("checkerboard")
    board = x * 0.45 + 2
    assert board.min() >= 0
    assert board.max() < 4
    cell = board.floor().long()
    assert (cell.sum(1) % 2 == 0).all()
    counts = torch.bincount(cell[:, 0] * 4 + cell[:, 1], minlength=16)
    assert (counts > 0).sum() == 8
    # multinomial: 2500 per square, standard deviation 47
    assert (counts[counts > 0] - 2500).abs().max() < 240
    within = board - cell
    assert (within.mean(0) - 0.5).abs().max() < 0.01
    assert (within.var(0) - 1 / 12).abs().max() < 0.002
    assert all(len(cell[label == part].unique(dim=0)) == 1 for part in range(8))


def test_eight_gaussians_are_on_a_circle_of_radius_two():
    x, label = points("eight_gaussians")
    for part in range(8):
        own = x[label == part]
        angle = torch.tensor(part * torch.pi / 4)
        centre = 2 * torch.stack([angle.cos(), angle.sin()])
        assert (own.mean(0) - centre).abs().max() < 0.02
        assert (own.std(0) - 0.2).abs().max() < 0.02


def test_rings_have_three_radii():
    x, label = points("rings")
    radius = x.norm(dim=1)
    for ring in range(3):
        assert (radius[label == ring].mean() - 0.6 * (ring + 1)).abs() < 0.01


def test_moons_do_not_touch():
    x, label = points("two_moons")
    nearest = torch.cdist(x[label == 0][:3000], x[label == 1][:3000]).min()
    assert nearest > 0.02


FIGURES = sorted(set(typing.get_args(Figure)) - {"checkerboard"})


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_are_about_as_wide_as_the_noise(figure):
    x, _ = points(figure)
    assert x.mean(0).abs().max() < 0.5
    assert 0.5 < x.std() < 1.7


def test_points_are_a_function_of_the_seed():
    first, second = (points("spirals", seed=seed)[0] for seed in (0, 1))
    assert not torch.equal(first, second)
    assert Toy(seed=0).fingerprint != Toy(seed=1).fingerprint
    assert Toy(figure="rings").fingerprint != Toy(figure="spirals").fingerprint

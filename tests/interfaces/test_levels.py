"""The map between levels and [-1, 1]: exact both ways, with the paper's offset."""

from __future__ import annotations

import math

import pytest
import torch

import fmcore
from fmcore import ComponentError, Rows
from fmcore.interfaces.levels import dequantized, from_levels, offset_bits, to_levels

LEVELS = [2, 17, 256]
MODES = ["uniform", "none"]


def every_level(levels: int, repeats: int = 1000) -> torch.Tensor:
    return torch.arange(levels, dtype=torch.uint8).repeat(repeats)


def rows(k: torch.Tensor) -> Rows:
    return Rows(0, "levels", 0, range(len(k)))


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("mode", MODES)
def test_every_level_comes_back(levels, mode):
    k = every_level(levels)
    assert torch.equal(to_levels(from_levels(k, levels, mode, rows(k)), levels, mode), k)


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("mode", MODES)
def test_training_points_lie_in_the_interval(levels, mode):
    k = every_level(levels)
    x = from_levels(k, levels, mode, rows(k))
    assert x.dtype == torch.float32
    assert x.min() >= -1
    assert x.max() <= 1


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("u", [0.0, 1 - 2**-24])
def test_a_draw_at_the_edge_stays_in_its_cell(levels, mode, u, monkeypatch):
    """float32 rounds 255 + 0.99999994 to 256, and (3 + 0)/8.5 - 1 to below the cell of 3."""
    k = every_level(levels, repeats=1)
    monkeypatch.setattr(
        Rows, "uniform", lambda self, shape, dtype: torch.full((len(k), *shape), u, dtype=dtype)
    )
    assert torch.equal(to_levels(from_levels(k, levels, mode, rows(k)), levels, mode), k)
    x = dequantized(k, levels, mode, rows(k))
    assert torch.equal(to_levels(x, levels, mode), k)


@pytest.mark.parametrize("levels", LEVELS)
def test_dequantized_points_fill_the_cells_evenly(levels):
    """Uniform levels become a uniform density: on [-1, 1], or half a cell wider for `none`."""
    k = every_level(levels, repeats=200_000 // levels)
    for mode in MODES:
        x = dequantized(k, levels, mode, rows(k), dtype=torch.float64)
        half = 1.0 if mode == "uniform" else levels / (levels - 1)
        counts = torch.histc(x, bins=10, min=-half, max=half)
        assert int(counts.sum()) == len(k)
        expected = len(k) / 10
        assert (counts - expected).abs().max() < 5 * math.sqrt(expected)


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("mode", MODES)
def test_a_uniform_density_costs_log2_levels_bits(levels, mode):
    """The cells of all levels together have the width that a uniform density covers."""
    width = 2.0 if mode == "uniform" else 2 * levels / (levels - 1)
    log_density = -math.log(width)
    bits = -log_density / math.log(2) + offset_bits(levels, mode)
    assert bits == pytest.approx(math.log2(levels), abs=1e-14)


def test_the_offset_is_the_papers():
    assert offset_bits(256, "uniform") == 7
    assert offset_bits(17, "uniform") == math.log2(8.5)


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("mode", MODES)
def test_points_outside_are_clamped(levels, mode):
    x = torch.tensor([-3.0, -1.0001, 1.0, 1.0001, 3.0])
    assert to_levels(x, levels, mode).tolist() == [0, 0, levels - 1, levels - 1, levels - 1]


def test_the_two_maps_are_not_each_others_inverse():
    """Rounding what was dequantised shifts half the pixels: the reason for having both."""
    k = every_level(256)
    x = from_levels(k, 256, "uniform", rows(k))
    assert (to_levels(x, 256, "none") != k).float().mean() > 0.2


@pytest.mark.parametrize("mode", MODES)
def test_the_formula_is_the_papers(mode):
    """phi(y) = 2^7 (y + 1) maps x to k + u (eq. 36)."""
    k = every_level(256)
    u = rows(k).uniform(())
    x = from_levels(k, 256, mode, rows(k)).double()
    expected = k.double() + u.double() if mode == "uniform" else k.double() * 256 / 255
    torch.testing.assert_close(
        128 * (x + 1), expected, rtol=0, atol=2e-4
    )  # CELL_MARGIN moves u by 1.2e-4


@pytest.mark.parametrize("name", ["ot", "linear", "vp", "cosine"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_a_path_refuses_levels_and_names_the_converter(name, dtype):
    """Points at integer states would be truncated."""
    path, t = fmcore.create("path", name), torch.full((2,), 0.5)
    x0, k = torch.zeros(2, 3), torch.ones(2, 3).to(dtype)
    for pair, wrong in (((x0, k), "x1"), ((k, x0), "x0")):
        with pytest.raises(ComponentError, match=rf"{wrong} is torch\..*from_levels"):
            path.sample(*pair, t)
    x1 = fmcore.from_levels(k, 256, "none")
    assert torch.equal(fmcore.to_levels(path.sample(x0, x1, t).x1, 256, "none"), k.to(torch.uint8))

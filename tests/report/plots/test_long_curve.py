"""Curves of many points, smoothed and thinned."""

import numpy as np
import pytest

from fmcore.report.charts import COLUMNS, lines
from fmcore.report.plots.long_curve import envelope, smooth


@pytest.fixture(scope="module")
def noisy():
    steps = np.arange(1, 100_001, dtype=float)
    values = np.random.default_rng(0).normal(size=100_000)
    values[43_210], values[77_777] = 50.0, -40.0
    return steps, values


def test_the_envelope_has_the_lowest_and_highest_value_of_each_part(noisy):
    steps, values = noisy
    kept = envelope(steps, values, 100)
    assert len(kept) <= 2 * 100 + 2
    assert (np.diff(kept) > 0).all()
    assert {0, 43_210, 77_777, 99_999} <= set(kept.tolist())
    for part in range(100):  # of 1,000 steps each
        own = values[part * 1000 : (part + 1) * 1000]
        drawn = values[kept[kept // 1000 == part]]
        assert (drawn.min(), drawn.max()) == (own.min(), own.max())


def test_a_short_curve_is_drawn_as_it_is():
    x = np.arange(200.0)
    assert envelope(x, x, 100).tolist() == list(range(200))
    assert envelope(x[:0], x[:0], 100).tolist() == []


def test_logged_steps_need_not_be_even_and_equal_ones_are_one_part():
    x = np.array([*np.linspace(0, 1, 1000), 100.0])
    kept = envelope(x, np.sin(x), 10)
    assert {0, 1000} <= set(kept.tolist())
    assert len(kept) <= 6
    assert len(envelope(np.full(500, 3.0), np.arange(500.0), 10)) == 2


def test_the_smoothed_curve_is_the_mean_over_each_neighbourhood():
    values = np.random.default_rng(1).normal(size=300)
    expected = [values[max(0, i - 6) : i + 7].mean() for i in range(300)]
    assert np.allclose(smooth(values), expected, rtol=0, atol=1e-12)
    assert np.allclose(smooth(values, 0), values, rtol=0, atol=1e-12)


def test_a_page_holds_few_points_of_a_long_curve(noisy):
    svg = lines("a", [noisy], "loss")
    # two curves, each a path of one M and many L commands; ticks and axes are short paths
    assert 2 * COLUMNS < svg.count(" L ") + svg.count("\nL ") < 4 * COLUMNS + 200
    assert len(svg) < 100_000

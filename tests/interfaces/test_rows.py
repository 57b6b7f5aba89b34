"""Random numbers of rows: functions of (seed, purpose, step, row), and random."""

from __future__ import annotations

import hashlib
import math

import pytest
import torch

from fmcore import ComponentError, Rows
from fmcore.interfaces.rows import CHUNK


def normals(n=4000, seed=0, purpose="noise", step=0, size=8):
    return Rows(seed, purpose, step, range(n)).normal((size,), torch.float64)


def bits(rows: Rows, words: int) -> torch.Tensor:
    """The bits of `words` words of each row, `(rows, words, 64)`."""
    drawn = torch.cat([part for _, part in rows._words(words)])
    return (drawn[..., None] >> torch.arange(64)) & 1


def standard_errors(x: torch.Tensor, y: torch.Tensor) -> float:
    """The correlation of x and y, both standard normal, in standard errors."""
    return abs(float((x * y).mean())) * math.sqrt(x.numel())


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 5), (0,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_row_has_the_same_bits_in_any_batch_and_order(shape, dtype):
    some = [70, 3, 3, 999, 0]
    for name in ("normal", "uniform"):
        whole = getattr(Rows(1, "x", 2, range(1000)), name)(shape, dtype)
        found = getattr(Rows(1, "x", 2, some), name)(shape, dtype)
        assert found.shape == (5, *shape)
        assert found.dtype == dtype
        assert torch.equal(found, whole[some])


def test_rows_that_fill_several_chunks_are_those_of_one():
    size, n = CHUNK // 4, 11
    whole = Rows(0, "x", 0, range(n)).normal((size,))
    assert torch.equal(Rows(0, "x", 0, [10]).normal((size,))[0], whole[10])


def test_the_rows_of_several_steps_are_those_of_each():
    together = Rows(4, "noise", range(5, 8), range(10, 30))
    apart = [Rows(4, "noise", step, range(10, 30)) for step in range(5, 8)]
    for _ in range(2):
        joint = together.normal((3,))
        assert torch.equal(joint, torch.cat([rows.normal((3,)) for rows in apart]))


def test_float32_is_float64_rounded():
    """Near radius 0 the float32 logarithm of a number near 1 has few digits."""
    single = Rows(0, "noise", 0, range(4000)).normal((8,))
    assert float((single - normals()).abs().max()) < 1e-3
    single = Rows(0, "x", 0, range(4000)).uniform(())
    assert float((single - Rows(0, "x", 0, range(4000)).uniform((), torch.float64)).abs().max()) < (
        2**-24
    )


def test_successive_draws_differ_and_repeat_with_equal_rows():
    first, second = Rows(0, "x", 0, range(500)), Rows(0, "x", 0, range(500))
    a, b = first.normal((8,)), first.normal((8,))
    assert standard_errors(a, b) < 4
    assert torch.equal(second.normal((8,)), a)
    assert torch.equal(second.normal((8,)), b)


def kolmogorov(sample: torch.Tensor) -> float:
    """The distance of the empirical distribution function of numbers in [0, 1] from uniform, times
    sqrt(n): above 1.95 with probability 1e-3."""
    ordered = sample.flatten().sort().values
    n = len(ordered)
    grid = torch.arange(n + 1, dtype=torch.float64) / n
    away = torch.maximum(grid[1:] - ordered, ordered - grid[:-1]).max()
    return float(away) * math.sqrt(n)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_normal_numbers_are_normal(size):
    x = normals(200_000 // size, seed=size, size=size)
    n = x.numel()
    assert abs(float(x.mean())) < 4 / math.sqrt(n)
    assert abs(float(x.square().mean()) - 1) < 4 * math.sqrt(2 / n)
    assert abs(float(x.pow(3).mean())) < 4 * math.sqrt(15 / n)
    assert abs(float(x.pow(4).mean()) - 3) < 4 * math.sqrt(96 / n)
    assert kolmogorov((1 + torch.erf(x / math.sqrt(2))) / 2) < 1.95
    # both members of a pair, and radius and angle of the pair
    assert standard_errors(x[:, 0], x[:, -1].roll(1)) < 4


def test_the_radius_and_the_angle_of_a_pair_are_independent():
    x, y = normals(100_000, size=2).unbind(1)
    radius = (x.square() + y.square()).div(-2).exp()
    angle = torch.atan2(y, x) / math.tau + 0.5
    assert kolmogorov(radius) < 1.95
    assert kolmogorov(angle) < 1.95
    counts = torch.histogramdd(torch.stack([radius, angle], 1), 10, range=[0.0, 1.0, 0.0, 1.0]).hist
    chi2 = float((counts - 1000).square().sum() / 1000)
    assert abs(chi2 - 99) < 4 * math.sqrt(2 * 99)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniform_numbers_are_uniform_and_below_one(dtype):
    u = Rows(3, "x", 1, range(1000)).uniform((200,), dtype).double()
    assert float(u.min()) >= 0
    assert float(u.max()) < 1
    assert kolmogorov(u) < 1.95


@pytest.mark.parametrize("high", [1, 3, 10, 2**40])
def test_integers_fill_their_range_evenly(high):
    k = Rows(5, "x", 0, range(60_000)).integers(high)
    assert 0 <= int(k.min()) <= int(k.max()) < high
    counts = torch.histc(k.double(), bins=min(high, 10), min=0, max=max(1, high - 1))
    expected = len(k) / len(counts)
    assert float((counts - expected).abs().max()) < 4.5 * math.sqrt(expected)


NEIGHBOURS = {
    "row": lambda: (normals()[:-1], normals()[1:]),
    "element": lambda: (normals()[:, :-1], normals()[:, 1:]),
    "pair": lambda: (normals()[:, :4], normals()[:, 4:]),
    "step": lambda: (normals(), normals(step=1)),
    "far step": lambda: (normals(), normals(step=2**20)),
    "seed": lambda: (normals(), normals(seed=1)),
    "purpose": lambda: (normals(), normals(purpose="nois")),
    "row and element": lambda: (normals()[1:, :-1], normals()[:-1, 1:]),
}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_neighbouring_streams_are_uncorrelated(name):
    x, y = NEIGHBOURS[name]()
    assert standard_errors(x, y) < 4
    assert standard_errors((x.square() - 1) / 2**0.5, (y.square() - 1) / 2**0.5) < 4


def test_every_bit_of_a_word_is_fair_and_changes_with_its_row_and_its_place():
    """The low bits too; a counter that changes by one changes each bit with probability 1/2."""
    drawn = bits(Rows(0, "x", 0, range(20_000)), 2).double()
    error = 0.5 / math.sqrt(20_000)
    assert float((drawn.mean(0) - 0.5).abs().max()) < 4.5 * error
    for other in (drawn[1:, 0], drawn[:-1, 1]):
        changed = (drawn[:-1, 0] != other).double().mean(0)
        assert float((changed - 0.5).abs().max()) < 4.5 * error


def test_far_rows_are_as_random_as_near_ones():
    """Rows that differ in high bits of their number alone."""
    far = [i * 2**20 for i in range(4000)]
    assert standard_errors(*Rows(0, "x", 0, far).normal((2,)).unbind(1)) < 4
    x = Rows(0, "x", 0, far).normal((2,))
    assert standard_errors(x[1:], x[:-1]) < 4
    drawn = bits(Rows(0, "x", 0, far), 1)[:, 0].double()
    assert float((drawn.mean(0) - 0.5).abs().max()) < 4.5 * 0.5 / math.sqrt(4000)


def test_no_two_words_of_a_draw_are_equal():
    words = torch.cat([part for _, part in Rows(0, "x", 0, range(3000))._words(100)])
    assert len(torch.unique(words)) == words.numel()


def test_rows_are_refused_where_they_have_no_number():
    with pytest.raises(ComponentError, match=r"from 0 to 2\^32 - 1, got -1 to 5"):
        Rows(0, "x", 0, [5, -1])
    with pytest.raises(ComponentError, match="got 0 to 4294967296"):
        Rows(0, "x", 0, torch.tensor([0, 2**32]))
    with pytest.raises(ComponentError, match="list of numbers"):
        Rows(0, "x", 0, torch.zeros(2, 2, dtype=torch.int64))
    with pytest.raises(ComponentError, match=r"float32 or float64, not torch\.bfloat16"):
        Rows(0, "x", 0, [0]).normal((2,), torch.bfloat16)
    with pytest.raises(ComponentError, match="below 0"):
        Rows(0, "x", 0, [0]).integers(0)


def test_no_rows_give_no_numbers():
    assert Rows(0, "x", 0, []).normal((3,)).shape == (0, 3)
    assert Rows(0, "x", 0, range(5, 5)).uniform(()).shape == (0,)


def by_hand(name: str, row: int, word: int) -> int:
    """The word in whole numbers of Python: SplitMix64's finalizer with a key in its middle."""
    key = hashlib.blake2b(name.encode(), digest_size=16).digest()
    start, second = int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big")
    x = ((row << 32) + word) * 0x9E3779B97F4A7C15 + start & MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 + second & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


MASK = 2**64 - 1


def test_words_are_those_of_the_definition():
    """Resumed trainings and repeated samples of a release need the same bits."""
    rows = Rows(3, "noise", 7, [0, 41, 2**32 - 1])
    for draw in range(2):
        found = rows.uniform((3,), torch.float64)
        name = f"3/noise/7/{draw}"
        wanted = [
            [(by_hand(name, row, word) >> 11) * 2.0**-53 for word in range(3)]
            for row in rows.numbers.tolist()
        ]
        assert found.tolist() == wanted


def test_normal_numbers_are_those_of_the_definition():
    found = Rows(3, "noise", 7, [41]).normal((4,), torch.float64)[0]
    radius, angle = [], []
    for word in (by_hand("3/noise/7/0", 41, i) for i in range(2)):
        radius.append(math.sqrt(-2 * math.log(((word >> 33) + 0.5) * 2.0**-31)))
        angle.append((word % 2**32) * math.tau * 2.0**-32)
    wanted = [r * f(a) for f in (math.cos, math.sin) for r, a in zip(radius, angle, strict=True)]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))

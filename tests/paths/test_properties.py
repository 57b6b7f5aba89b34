"""Properties of every path, time and shape, tested on many examples."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fmcore import create

PATHS = st.one_of(
    st.builds(lambda s: create("path", "ot", sigma_min=s), st.floats(0, 0.5)),
    st.builds(lambda d: create("path", "polynomial", degree=d), st.floats(1, 6)),
    st.builds(lambda b: create("path", "vp", beta_max=b), st.floats(1, 40)),
    st.builds(lambda s: create("path", "ve", sigma_max=s), st.floats(1, 100)),
    st.just(create("path", "cosine")),
)
SHARES = st.floats(0.01, 0.99)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
QUANTITIES = st.sampled_from(["velocity", "data", "noise", "score"])

few = settings(derandomize=True, max_examples=60, deadline=None)


def sampled(path, share, shape, n=3):
    g = torch.Generator().manual_seed(0)
    x0, x1 = (torch.randn((n, *shape), generator=g, dtype=torch.float64) for _ in range(2))
    t = torch.full((n,), path.t_min + share * (path.t_max - path.t_min), dtype=torch.float64)
    return path.sample(x0, x1, t)


@few
@given(PATHS, SHARES, SHAPES)
def test_the_velocity_and_xt_determine_the_pair(path, share, shape):
    s = sampled(path, share, shape)
    for target, wanted in (("data", s.x1), ("noise", s.x0)):
        found = path.convert(s.ut, s.xt, s.t, source="velocity", target=target)
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


@few
@given(PATHS, SHARES, SHAPES, QUANTITIES, QUANTITIES, QUANTITIES)
def test_conversions_compose(path, share, shape, first, second, third):
    s = sampled(path, share, shape)
    value = path.convert(s.ut, s.xt, s.t, source="velocity", target=first)
    step = path.convert(value, s.xt, s.t, source=first, target=second)
    two = path.convert(step, s.xt, s.t, source=second, target=third)
    one = path.convert(value, s.xt, s.t, source=first, target=third)
    torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-5)


@few
@given(PATHS, st.floats(-30, 30))
def test_a_log_snr_of_the_path_has_one_time(path, wanted):
    low, high = (path.log_snr(torch.tensor(t).double()) for t in (path.t_min, path.t_max))
    t = path.inverse_log_snr(torch.tensor(wanted, dtype=torch.float64))
    assert path.t_min <= t <= path.t_max
    if low < wanted < high and 1e-9 < t < 1 - 1e-9:
        torch.testing.assert_close(path.log_snr(t).item(), wanted, rtol=1e-5, atol=1e-5)

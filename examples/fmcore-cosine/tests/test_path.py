"""The path satisfies fmcore's laws for paths and is the schedule of its paper."""

import math

import torch

from fmcore import create
from fmcore.testing import PathSuite


class TestOffsetCosine(PathSuite):
    def component(self):
        return create("path", "offset_cosine")


class TestLargeOffset(PathSuite):
    def component(self):
        return create("path", "offset_cosine", offset=0.2)


def test_alpha_is_equation_17():
    s = torch.linspace(0, 1, 11, dtype=torch.float64)
    f = ((s + 0.008) / 1.008 * math.pi / 2).cos() ** 2
    c = create("path", "offset_cosine").coefficients(1 - s)
    torch.testing.assert_close(c.alpha**2, f / f[0])
    torch.testing.assert_close(c.alpha**2 + c.sigma**2, torch.ones_like(s))

"""Every registered path passes the path suite, with its defaults and with other options."""

from __future__ import annotations

from fmcore import create
from fmcore.testing import PathSuite


class TestOT(PathSuite):
    def component(self):
        return create("path", "ot")


class TestCondOT(PathSuite):
    def component(self):
        return create("path", "cond_ot", sigma_min=0.05)


class TestLinear(PathSuite):
    def component(self):
        return create("path", "linear")


class TestLinearAtATemperature(PathSuite):
    def component(self):
        return create("path", "linear", source={"name": "gaussian", "temperature": 0.5})


class TestVP(PathSuite):
    def component(self):
        return create("path", "vp")


class TestShortVP(PathSuite):
    def component(self):
        return create("path", "vp", beta_min=1.0, beta_max=12.0)


class TestVE(PathSuite):
    def component(self):
        return create("path", "ve")


class TestCosine(PathSuite):
    def component(self):
        return create("path", "cosine")


class TestPolynomial(PathSuite):
    def component(self):
        return create("path", "polynomial")


class TestCubic(PathSuite):
    def component(self):
        return create("path", "polynomial", degree=3.5)

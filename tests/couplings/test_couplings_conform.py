"""Every registered coupling passes the coupling suite, however its options are set."""

from __future__ import annotations

import pytest

from fmcore import create
from fmcore.testing import CouplingSuite


class TestIndependent(CouplingSuite):
    def component(self):
        return create("coupling", "independent")


class TestPaired(CouplingSuite):
    def component(self):
        return create("coupling", "paired")


class TestReflow(CouplingSuite):
    def component(self):
        return create("coupling", "reflow")


class TestMinibatchOT(CouplingSuite):
    def component(self):
        return create("coupling", "minibatch_ot")


class TestPooledOT(CouplingSuite):
    def component(self):
        return create("coupling", "minibatch_ot", pool=3, condition="ignored")


class TestWeightedOT(CouplingSuite):
    def component(self):
        return create("coupling", "minibatch_ot", condition="weighted", condition_weight=4.0)


class TestEntropicOT(CouplingSuite):
    def component(self):
        pytest.importorskip("ot")
        return create("coupling", "minibatch_ot", method="sinkhorn")

"""Every registered objective passes the objective suite, with every distribution of times."""

from __future__ import annotations

from fmcore import create
from fmcore.testing import ObjectiveSuite


class TestFlowMatching(ObjectiveSuite):
    def component(self):
        return create("objective", "flow_matching")


class TestStratified(ObjectiveSuite):
    def component(self):
        return create("objective", "flow_matching", time="stratified")


class TestLogitNormal(ObjectiveSuite):
    def component(self):
        return create("objective", "flow_matching", time={"name": "logit_normal", "mean": -0.4})


class TestDDPM(ObjectiveSuite):
    def component(self):
        return create("objective", "ddpm", time_max=0.99)


class TestData(ObjectiveSuite):
    def component(self):
        return create("objective", "data")


class TestScoreMatching(ObjectiveSuite):
    def component(self):
        return create("objective", "score_matching")


class TestScoreFlow(ObjectiveSuite):
    def component(self):
        return create("objective", "scoreflow")


class TestScoreMatchingOnVP(ObjectiveSuite):
    def component(self):
        return create("objective", "score_matching")

    def path(self):
        return create("path", "vp")


class TestMeanFlow(ObjectiveSuite):
    def component(self):
        return create("objective", "mean_flow")


class TestImprovedMeanFlow(ObjectiveSuite):
    def component(self):
        return create("objective", "improved_mean_flow")


class TestMeanFlowWeighted(ObjectiveSuite):
    def component(self):
        return create("objective", "mean_flow", power=1.0, time="uniform")


class TestShortcut(ObjectiveSuite):
    def component(self):
        return create("objective", "shortcut")


class TestNone(ObjectiveSuite):
    def component(self):
        return create("objective", "none")


class TestConsistency(ObjectiveSuite):
    def component(self):
        return create("objective", "consistency")


class TestConsistencyInSegments(ObjectiveSuite):
    def component(self):
        return create("objective", "consistency", segments=3, dt=0.2, weight=0.1, target="network")

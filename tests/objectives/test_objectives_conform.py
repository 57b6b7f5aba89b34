"""Every registered objective passes the objective suite, on R^n, tokens, manifolds and products."""

from __future__ import annotations

from fmcore import Euclidean, Product, Tokens, create
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


class TestCrossEntropy(ObjectiveSuite):
    def component(self):
        return create("objective", "cross_entropy")

    def path(self):
        return create("path", "mixture", source="mask").on(Tokens(4, mask=True))


class TestCrossEntropyOfUniformNoise(ObjectiveSuite):
    def component(self):
        return create("objective", "cross_entropy")

    def path(self):
        return create("path", "mixture", source="uniform").on(Tokens(4))


class TestGeneralizedKL(ObjectiveSuite):
    def component(self):
        return create("objective", "generalized_kl")

    def path(self):
        return create("path", "mixture", source="uniform").on(Tokens(4))


class TestFlowMatchingOnTheTorus(ObjectiveSuite):
    def component(self):
        return create("objective", "flow_matching")

    def path(self):
        return create("path", "geodesic").on(create("space", "torus"))


class TestProduct(ObjectiveSuite):
    def component(self):
        parts = {"place": "flow_matching", "angle": "data", "letter": "cross_entropy"}
        return create("objective", "product", parts=parts, weights={"letter": 0.5})

    def path(self):
        spaces = {"place": Euclidean(), "angle": create("space", "torus"), "letter": Tokens(4)}
        parts = {"place": "geodesic", "angle": "geodesic", "letter": "mixture"}
        shapes = {"place": (2,), "angle": (3,), "letter": (4,)}
        return create("path", "product", parts=parts).on(Product(spaces, shapes))

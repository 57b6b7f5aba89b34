"""Every check of the leap suite is failed by a solver that breaks its law; `leap` passes them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import pytest
import torch

from fmcore import Solver, create
from fmcore.testing import LeapSolverSuite, run_suite, suite_of
from fmcore_spaces.leap import Leap


class TestLeap(LeapSolverSuite):
    def component(self):
        return create("solver", "leap", steps=5)


class TestLeapWithNoise(LeapSolverSuite):
    def component(self):
        return create("solver", "leap", steps=4, noise=2.0)


@dataclasses.dataclass(frozen=True)
class Right(Solver):
    leaps: ClassVar[bool] = True

    def supports(self, space):
        return True

    def changed(self, problem):
        return problem

    def solve(self, problem):
        return Leap(steps=5).solve(self.changed(problem))


@dataclasses.dataclass(frozen=True)
class OfVectors(Right):
    def supports(self, space):
        return space.flat


@dataclasses.dataclass(frozen=True)
class TooCold(Right):
    def solve(self, problem):
        return Leap(steps=5, temperature=0.7).solve(problem)


@dataclasses.dataclass(frozen=True)
class ByPlaceInTheBatch(Right):
    def changed(self, problem):
        return dataclasses.replace(problem, sample_ids=None)


@dataclasses.dataclass(frozen=True)
class Miscounted(Right):
    def solve(self, problem):
        found = super().solve(problem)
        stats = dataclasses.replace(found.stats, nfe=found.stats.nfe + 1)
        return dataclasses.replace(found, stats=stats)


@dataclasses.dataclass(frozen=True)
class Melting(Right):
    def changed(self, problem):
        return dataclasses.replace(problem, condition=None)


@dataclasses.dataclass(frozen=True)
class OfAGlobalGenerator(Right):
    def solve(self, problem):
        torch.rand(1)
        return super().solve(problem)


RANDOM = {
    "test_tokens_have_their_exact_marginal",
    "test_samples_depend_on_seed_and_index_alone",
    "test_evaluations_are_counted",
    "test_frozen_tokens_stay",
}
CASES = {
    OfVectors: {"test_supports_tokens"},
    TooCold: {"test_tokens_have_their_exact_marginal"},
    ByPlaceInTheBatch: {"test_samples_depend_on_seed_and_index_alone"},
    Miscounted: {"test_evaluations_are_counted"},
    Melting: {"test_frozen_tokens_stay"},
    OfAGlobalGenerator: RANDOM,  # every solve is watched
}


def failed_by(cls: type) -> set[str]:
    class Suite(LeapSolverSuite):
        def component(self):
            return cls()

    return {result.name for result in run_suite(Suite) if not result.passed}


def test_a_right_solver_passes():
    assert suite_of("solver", Right) is LeapSolverSuite
    assert failed_by(Right) == set()


@pytest.mark.parametrize("wrong", CASES, ids=lambda cls: cls.__name__)
def test_a_wrong_solver_fails_the_laws_it_breaks(wrong):
    assert failed_by(wrong) == CASES[wrong]

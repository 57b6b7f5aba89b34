"""Checks of the laws of `LearningRate`, on one schedule."""

from __future__ import annotations

import math

from fmcore.interfaces.lr_schedule import LearningRate
from fmcore.testing.checks import require, untouched_randomness
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["LearningRateSuite"]

LENGTHS = (1, 2, 3, 10, 1000)
LONG = 20_000


class LearningRateSuite(ComponentChecks, Suite):
    """Override `component()` to build the schedule."""

    interface = LearningRate

    def test_factors_are_finite_and_not_negative(self) -> None:
        """`factor(step, steps)` is a number, finite and >= 0, at each step of trainings of any
        length."""
        schedule = self.component()
        for steps in LENGTHS:
            for step in range(steps):
                factor = schedule.factor(step, steps)
                good = isinstance(factor, int | float) and math.isfinite(factor) and factor >= 0
                require(good, f"the factor of step {step} of {steps} is {factor!r}")

    def test_factors_depend_on_step_and_steps_alone(self) -> None:
        """The factors of steps asked for in another order, and by another instance, are the same;
        no global generator is used."""
        one, other = self.component(), self.component()
        with untouched_randomness("factor"):
            forwards = [one.factor(step, 100) for step in range(100)]
            backwards = [other.factor(step, 100) for step in reversed(range(100))]
        for step, (first, second) in enumerate(zip(forwards, reversed(backwards), strict=True)):
            require(first == second, f"the factor of step {step} of 100 is {first} and {second}")

    def test_the_largest_factor_is_1(self) -> None:
        """Over a long training the largest factor is 1: `train.lr` is the largest rate."""
        schedule = self.component()
        largest = max(schedule.factor(step, LONG) for step in range(LONG))
        require(
            abs(largest - 1) < 1e-3,
            f"the largest factor of {LONG} steps is {largest:.6g}, should be 1",
        )

"""Every check of the operator suite is failed by an operator that breaks its law, and by no other
check than those that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from fmcore import ComponentError, Operator
from fmcore.testing import OperatorSuite, run_suite


@dataclass(frozen=True)
class Doubled(Operator):
    """Twice the first of two numbers: y = 2 x_0."""

    def shape(self, shape):
        if shape != (2,):
            raise ComponentError("points of two numbers only")
        return (1,)

    def apply(self, x):
        return 2 * x[:, :1]

    def adjoint(self, y):
        return torch.cat([2 * y, torch.zeros_like(y)], 1)


class Named(Doubled):
    """Of another shape than it names."""

    def shape(self, shape):
        super().shape(shape)
        return (2,)

    def apply(self, x):
        return 2 * x[:, :1]

    def adjoint(self, y):
        return torch.cat([2 * y[:, :1], torch.zeros_like(y[:, :1])], 1)


class Bent(Doubled):
    """Not linear: it has an offset."""

    def apply(self, x):
        return 2 * x[:, :1] + 1


class Halved(Doubled):
    """An adjoint of half the size."""

    def adjoint(self, y):
        return super().adjoint(y) / 2


class Sized(Doubled):
    """Another factor in small batches, in both directions."""

    def apply(self, x):
        return super().apply(x) * (1 if len(x) > 2 else 3)

    def adjoint(self, y):
        return super().adjoint(y) * (1 if len(y) > 2 else 3)


class Single(Doubled):
    """Always in float32, whose rounding the other checks see too."""

    def apply(self, x):
        return super().apply(x).to(torch.float64)


class Detached(Doubled):
    """Without gradient."""

    def apply(self, x):
        return super().apply(x.detach())


class Lossy(Doubled):
    """A projection that removes what is measured."""

    def project(self, y):
        return 0 * y


class InPlace(Doubled):
    """Changes its argument."""

    def apply(self, x):
        y = super().apply(x)
        if not x.requires_grad:
            x[:, 1] += 1  # which y does not depend on
        return y


class Mutable(Doubled):
    """Not a frozen dataclass of its own options."""

    __dataclass_params__ = None


class Swallowing(Doubled):
    """Takes misspelt options."""

    def __init__(self, noise: float = 0.05, **rest: float) -> None:
        object.__setattr__(self, "noise", noise)


@dataclass(frozen=True)
class Renamed(Doubled):
    """Keeps an option in another form, so that a recipe cannot rebuild it."""

    gain: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "gain", self.gain + 1)


def failed(operator) -> set[str]:
    class Tested(OperatorSuite):
        def component(self):
            return operator

    return {result.name for result in run_suite(Tested) if not result.passed}


def test_a_right_operator_passes():
    assert failed(Doubled()) == set()


@pytest.mark.parametrize(
    ("operator", "checks"),
    [
        (Named(), {"test_shape_is_that_of_a_measurement", "test_adjoint_is_the_transpose"}),
        # an offset is no derivative, and is measured in no x
        (Bent(), {"test_it_is_linear", "test_adjoint_is_the_transpose"}),
        (Halved(), {"test_adjoint_is_the_transpose"}),
        (Sized(), {"test_rows_are_independent"}),
        (Single(), {"test_dtypes_are_kept"}),
        (Detached(), {"test_gradients_reach_the_argument"}),
        (
            Lossy(),
            {"test_projection_removes_only_what_is_never_measured"},
        ),
        (InPlace(), {"test_it_is_a_function_of_its_argument"}),
        (Mutable(), {"test_is_a_frozen_dataclass_of_its_interface"}),
        (Swallowing(), {"test_options_are_closed_and_typed", "test_round_trip_through_a_recipe"}),
        (Renamed(), {"test_round_trip_through_a_recipe"}),
    ],
    ids=lambda case: type(case).__name__,
)
def test_a_wrong_operator_fails_the_check_of_its_law(operator, checks):
    assert failed(operator) == checks

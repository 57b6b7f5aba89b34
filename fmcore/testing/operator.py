"""Checks of the laws of `Operator`, on one operator."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.operator import Operator
from fmcore.testing.checks import generator, require, require_close, untouched_randomness
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["OperatorSuite"]

ROWS = 3


class OperatorSuite(ComponentChecks, Suite):
    """Override `component()` to build the operator, and `shapes` if it measures none of these.

    `shapes` are shapes of data points; those that the operator refuses are left out, but not all.
    """

    interface = Operator
    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((2,), (3,), (6,), (1, 8, 8), (3, 12, 8))

    def accepted(self) -> list[tuple[int, ...]]:
        """Return the shapes that the operator measures."""
        operator, found = self.component(), []
        for shape in self.shapes:
            try:
                operator.shape(shape)
            except ComponentError:
                continue
            found.append(shape)
        require(
            bool(found),
            f"the operator refuses data points of {', '.join(map(str, self.shapes))}: set `shapes` "
            "of the suite to one that it measures",
        )
        return found

    def test_shape_is_that_of_a_measurement(self) -> None:
        """`apply` gives `(batch, *shape(s))`, and `adjoint` gives `(batch, *s)` back."""
        operator = self.component()
        for shape in self.accepted():
            y = operator.apply(_draw(shape))
            wanted = (ROWS, *operator.shape(shape))
            require(tuple(y.shape) == wanted, f"apply gives {tuple(y.shape)}, should be {wanted}")
            back = tuple(operator.adjoint(y).shape)
            require(back == (ROWS, *shape), f"adjoint gives {back}, should be {(ROWS, *shape)}")

    def test_it_is_linear(self) -> None:
        """A(a x + b z) = a A x + b A z."""
        operator = self.component()
        for shape in self.accepted():
            x, z = _draw(shape, 1), _draw(shape, 2)
            found = operator.apply(2 * x - 3 * z)
            wanted = 2 * operator.apply(x) - 3 * operator.apply(z)
            require_close(found, wanted, f"A(2 x - 3 z) for data of {shape}")

    def test_adjoint_is_the_transpose(self) -> None:
        """<A x, y> = <x, adjoint(y)> for all x and y, in float64."""
        operator = self.component()
        for shape in self.accepted():
            x = _draw(shape, 1)
            y = _draw(operator.shape(shape), 2)
            found = _dot(x, operator.adjoint(y))
            require_close(found, _dot(operator.apply(x), y), f"<x, adjoint(y)> for data of {shape}")

    def test_rows_are_independent(self) -> None:
        """Row i of a result depends on row i of the argument alone."""
        operator = self.component()
        for shape in self.accepted():
            x, order = _draw(shape), [2, 0]
            require_close(operator.apply(x[order]), operator.apply(x)[order], "apply of two rows")
            y = _draw(operator.shape(shape))
            require_close(
                operator.adjoint(y[order]), operator.adjoint(y)[order], "adjoint of two rows"
            )

    def test_dtypes_are_kept(self) -> None:
        """Results have the dtype of their argument."""
        operator = self.component()
        for shape in self.accepted():
            for dtype in (torch.float32, torch.float64):
                y = operator.apply(_draw(shape).to(dtype))
                for name, found in (("apply", y.dtype), ("adjoint", operator.adjoint(y).dtype)):
                    require(found == dtype, f"{name} gives {found} of {dtype}")

    def test_gradients_reach_the_argument(self) -> None:
        """The gradient of <A x, y> by x exists and is adjoint(y)."""
        operator = self.component()
        for shape in self.accepted():
            x, y = _draw(shape).requires_grad_(), _draw(operator.shape(shape), 2)
            inner = _dot(operator.apply(x), y).sum()
            require(inner.requires_grad, "apply gives a result without gradient")
            # not adjoint(y) itself, which another check holds to be the transpose
            (found,) = torch.autograd.grad(inner, x)
            moved = x.detach() + found
            wanted = _dot(operator.apply(moved) - operator.apply(x.detach()), y)
            require_close(_dot(found, found), wanted, "the squared gradient")

    def test_projection_removes_only_what_is_never_measured(self) -> None:
        """`project` keeps A x, and adjoint(project(y)) = adjoint(y)."""
        operator = self.component()
        for shape in self.accepted():
            clean = operator.apply(_draw(shape))
            require_close(operator.project(clean), clean, "project(A x)")
            y = _draw(operator.shape(shape), 2)
            found = operator.adjoint(operator.project(y))
            require_close(found, operator.adjoint(y), "adjoint(project(y))")

    def test_it_is_a_function_of_its_argument(self) -> None:
        """Equal arguments give equal results and stay as they are; nothing random is drawn."""
        operator = self.component()
        for shape in self.accepted():
            x = _draw(shape)
            before = x.clone()
            with untouched_randomness("apply"):
                first, again = operator.apply(x), operator.apply(x)
            require_close(again, first, "a second, equal call", rtol=0, atol=0)
            require_close(x, before, "the argument after the call", rtol=0, atol=0)


def _draw(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn((ROWS, *shape), generator=generator(seed), dtype=torch.float64)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)

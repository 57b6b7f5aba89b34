"""Solves on curved spaces, in the coordinates of the surrounding R^n.

A field u on a manifold is extended by u(pi(x)), projected to the tangent space at pi(x), where pi
is the nearest point of the manifold.  Every solver then keeps its order, and the Euclidean
divergence of the extended field at points of the manifold is the Riemannian one, since pi has
derivative 0 along normals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, final

from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.problem import Problem, Solution
from fmcore.interfaces.source import Condition
from fmcore.interfaces.space import Space
from fmcore.solving.evaluation import field_name

__all__ = ["OnSpace", "solve_on_space"]


def solve_on_space(problem: Problem, solve: Callable[[Problem], Solution]) -> Solution:
    """Return `solve(problem)`, in a curved space with the field extended and the states projected.

    Raises ComponentError for a space without velocities and for states that are no points of it.
    """
    space = None if problem.path is None else problem.path.space
    if space is None or space.flat:
        return solve(problem)
    if not space.continuous:
        raise ComponentError(
            f"points of {type(space).__name__} have no velocity, which this solver integrates: use "
            "solver 'leap'"
        )
    space.check(tuple(problem.x0.shape[1:]))
    solution = solve(replace(problem, field=OnSpace(problem.field, space)))
    trajectory = solution.trajectory
    if trajectory is not None:
        states = space.project(trajectory.flatten(0, 1))
        trajectory = states.view(trajectory.shape)
    return replace(solution, x=space.project(solution.x), trajectory=trajectory)


@final
class OnSpace:
    """`field` extended from the manifold `space` to its surroundings."""

    def __init__(self, field: Any, space: Space) -> None:
        # Caches of compiled steps know a method by these two, so that a new wrapper of the same
        # field in each solve finds what an earlier one left.
        self.__self__, self.__func__ = field, space
        self.__name__ = field_name(field)

    @property
    def forwards(self) -> int:
        """Network evaluations per sample so far, where the field counts them."""
        return int(getattr(self.__self__, "forwards", 0))

    def require_score(self, who: str) -> None:
        """Raise ComponentError: a score is a gradient in R^n here."""
        raise ComponentError(f"{who} needs a score, which is not defined on a curved space")

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        field, space = self.__self__, self.__func__
        point = space.project(x)
        velocity = field(point, t) if condition is None else field(point, t, condition)
        tangent: Tensor = space.tangent(point, velocity)
        return tangent

"""The named solvers: fixed budgets, adaptive steps, and torchdiffeq's as a baseline."""

from __future__ import annotations

from fmcore import Register, hookimpl

__all__ = ["register_solvers"]


@hookimpl
def register_solvers(register: Register) -> None:
    """Offer every solver of this plugin."""
    register("euler", "fmcore_solvers.euler:Euler", summary="order 1, 1 NFE a step")
    register("midpoint", "fmcore_solvers.midpoint:Midpoint", summary="order 2, 2 NFE a step")
    register("heun2", "fmcore_solvers.heun:Heun2", summary="order 2, 2 NFE a step")
    register(
        "ralston2",
        "fmcore_solvers.heun:Ralston2",
        summary="order 2, 2 NFE a step, least error bound",
    )
    register("heun3", "fmcore_solvers.heun:Heun3", summary="order 3, 3 NFE a step")
    register("rk4", "fmcore_solvers.rk4:RK4", summary="order 4, 4 NFE a step")
    register("rk4_38", "fmcore_solvers.rk4:RK438", summary="order 4, 4 NFE a step, the 3/8 rule")

"""The built-in solvers: fixed-step, adaptive, stochastic, and torchdiffeq's as a baseline."""

from __future__ import annotations

from fmcore import Register, hookimpl

__all__ = ["register_solvers"]


@hookimpl
def register_solvers(register: Register) -> None:
    """Register every solver of this plugin."""
    register(
        "flow_map", "fmcore_solvers.flow_map:FlowMap", summary="jumps of a flow map, 1 NFE each"
    )
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
    register("ab2", "fmcore_solvers.adams_bashforth:AB2", summary="order 2, 1 NFE a step")
    register(
        "ab3",
        "fmcore_solvers.adams_bashforth:AB3",
        summary="order 3, 1 NFE a step and 1 more for the first",
    )
    register("ddim", "fmcore_solvers.ddim:DDIM", summary="order 1, 1 NFE a step, affine paths")
    register(
        "dpmpp_2m", "fmcore_solvers.dpmpp:DPMpp2M", summary="order 2, 1 NFE a step, affine paths"
    )
    register(
        "dpmpp_3m",
        "fmcore_solvers.dpmpp:DPMpp3M",
        summary="order 3 after a start of order 2, 1 NFE a step, affine paths",
    )
    register(
        "dpmpp_2s", "fmcore_solvers.dpmpp:DPMpp2S", summary="order 2, 2 NFE a step, affine paths"
    )
    register("unipc", "fmcore_solvers.unipc:UniPC", summary="order 3, 1 NFE a step, affine paths")
    register(
        "edm_heun", "fmcore_solvers.edm_heun:EDMHeun", summary="order 2, 2 N - 1 NFE, affine paths"
    )
    register(
        "euler_maruyama",
        "fmcore_solvers.langevin:EulerMaruyama",
        summary="SDE, order 1, 1 NFE a step, affine paths",
    )
    register(
        "sde_heun",
        "fmcore_solvers.langevin:SDEHeun",
        summary="SDE, order 2, 2 NFE a step, affine paths",
    )
    register(
        "ancestral",
        "fmcore_solvers.ancestral:Ancestral",
        summary="SDE, order 1, 1 NFE a step, affine paths; DDPM's sampler",
    )
    register(
        "dpmpp_2m_sde",
        "fmcore_solvers.dpmpp_sde:DPMpp2MSDE",
        summary="SDE, order 2, 1 NFE a step, affine paths",
    )
    register(
        "edm_churn",
        "fmcore_solvers.edm_churn:EDMChurn",
        summary="SDE, order 2, 2 N - 1 NFE, affine paths",
    )
    register("heun2_adaptive", "fmcore_solvers.embedded:Heun2Adaptive", summary="adaptive, 2(1)")
    register("bosh3", "fmcore_solvers.embedded:Bosh3", summary="adaptive, 3(2), 3 NFE an attempt")
    register("dopri5", "fmcore_solvers.embedded:Dopri5", summary="adaptive, 5(4), 6 NFE an attempt")
    register("tsit5", "fmcore_solvers.embedded:Tsit5", summary="adaptive, 5(4), 6 NFE an attempt")
    register(
        "dopri8", "fmcore_solvers.embedded:Dopri8", summary="adaptive, 8(7), 13 NFE an attempt"
    )
    register("adams", "fmcore_solvers.adams:Adams", summary="adaptive, 5(4), 1 NFE an attempt")
    for name, component, summary in (
        ("dopri5", "Dopri5", "Dormand-Prince 5(4)"),
        ("dopri8", "Dopri8", "Prince-Dormand 8(7)"),
        ("bosh3", "Bosh3", "Bogacki-Shampine 3(2)"),
        ("adaptive_heun", "AdaptiveHeun", "Heun-Euler 2(1)"),
        ("euler", "Euler", "order 1"),
        ("midpoint", "Midpoint", "order 2"),
        ("rk4", "RK4", "order 4, the 3/8 rule"),
    ):
        register(
            f"torchdiffeq:{name}",
            f"fmcore_solvers.torchdiffeq:Torchdiffeq{component}",
            summary=f"baseline: torchdiffeq's {summary}",
            needs=("torchdiffeq",),
        )

"""The built-in distributions of training times."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_times(register: Register) -> None:
    """Register the distributions of training times."""
    register("uniform", "fmcore.interfaces.time:UniformTime", summary="independent, U[0, 1)")
    register(
        "stratified",
        "fmcore.interfaces.time:StratifiedTime",
        summary="uniform, one in each cell of a batch: less variance",
    )
    register(
        "logit_normal",
        "fmcore_times.logit_normal:LogitNormal",
        summary="logit(t) is normal: more in the middle (arXiv 2403.03206)",
    )
    register("beta", "fmcore_times.beta:Beta", summary="a beta distribution (arXiv 2410.24164)")
    register("mode", "fmcore_times.mode:Mode", summary="a mode in the middle (arXiv 2403.03206)")
    register(
        "cosmap",
        "fmcore_times.cosmap:CosMap",
        summary="the cosine schedule's SNRs on a straight path (arXiv 2403.03206)",
    )
    register("power", "fmcore_times.power:Power", summary="density power t^(power - 1)")
    register(
        "u_shaped",
        "fmcore_times.u_shaped:UShaped",
        summary="more at both ends: for reflow (arXiv 2405.20320)",
    )
    register(
        "edm",
        "fmcore_times.edm:EDM",
        summary="log-normal noise levels sigma = (1 - t) / t (arXiv 2206.00364)",
    )
    register(
        "shifted",
        "fmcore_times.shifted:Shifted",
        summary="another distribution, shifted for the resolution (arXiv 2403.03206)",
    )

"""The built-in paths, all affine (xt = alpha(t) x1 + sigma(t) x0), and the sources of x0."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_paths(register: Register) -> None:
    """Register the affine paths."""
    ot = "fmcore_paths.ot:OTPath"
    register("ot", ot, summary="straight, constant speed, width sigma_min at the data (eq. 20)")
    register("cond_ot", ot, summary="another name of ot")
    register("linear", "fmcore_paths.linear:LinearPath", summary="rectified flow: ot, sigma_min 0")
    register("vp", "fmcore_paths.vp:VPPath", summary="variance-preserving diffusion (eq. 18)")
    register("ve", "fmcore_paths.ve:VEPath", summary="variance-exploding diffusion (eq. 16)")
    register("cosine", "fmcore_paths.cosine:CosinePath", summary="a quarter of a circle")
    register(
        "polynomial",
        "fmcore_paths.polynomial:PolynomialPath",
        summary="straight, at a speed proportional to a power of t",
    )
    register(
        "brownian_bridge",
        "fmcore_paths.brownian_bridge:BrownianBridge",
        summary="straight, with Brownian noise between the ends (arXiv 2307.03672)",
    )
    register(
        "interpolant",
        "fmcore_paths.interpolant:Interpolant",
        summary="two ends and a latent noise between them (arXiv 2303.08797)",
    )


@hookimpl
def register_sources(register: Register) -> None:
    """Register the sources: the distributions that x0 can have."""
    register("gaussian", "fmcore.interfaces.gaussian:Gaussian", summary="N(0, temperature^2 I)")
    register(
        "from_condition",
        "fmcore_paths.from_condition:FromCondition",
        summary="an entry of the condition plus noise",
    )
    register("from_data", "fmcore_paths.from_data:FromData", summary="samples of a dataset")
    register("sum", "fmcore_paths.sum:Sum", summary="a scaled source plus Gaussian noise")

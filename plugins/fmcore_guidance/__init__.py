"""The built-in guidance of samples, operators of measurements, and a solver for posteriors."""

from __future__ import annotations

from fmcore import Register, hookimpl

GUIDANCE = {
    "cfg": ("cfg:CFG", "classifier-free: away from the field without its conditions"),
    "cfg_zero": ("cfg_zero:CFGZero", "classifier-free with an optimal scale and a zero start"),
    "apg": ("apg:APG", "classifier-free without oversaturation: projected, with a norm threshold"),
    "autoguidance": ("autoguidance:Autoguidance", "away from the field of a weaker run"),
    "blend": ("blend:Blend", "between two classes: a weighted mean of their fields"),
    "replacement": ("replacement:Replacement", "posterior: the measured part of the data replaced"),
    "dps": ("dps:DPS", "posterior: diffusion posterior sampling"),
    "pgdm": ("pgdm:PGDM", "posterior: pseudoinverse guidance"),
    "mmps": ("mmps:MMPS", "posterior: moment matching, exact for Gaussian data"),
}

OPERATORS = {
    "mask": ("mask:Mask", "some elements measured, the others hidden: inpainting"),
    "downsample": ("downsample:Downsample", "means of squares of pixels: super-resolution"),
    "blur": ("blur:Blur", "a Gaussian blur of images"),
    "grey": ("grey:Grey", "the mean over the channels: colouring"),
    "linear": ("linear:Linear", "a matrix, for points"),
}


@hookimpl
def register_guidance(register: Register) -> None:
    """Register guidance."""
    for name, (target, summary) in GUIDANCE.items():
        register(name, f"fmcore_guidance.{target}", summary=summary)


@hookimpl
def register_operators(register: Register) -> None:
    """Register operators."""
    for name, (target, summary) in OPERATORS.items():
        register(name, f"fmcore_guidance.{target}", summary=summary)


@hookimpl
def register_solvers(register: Register) -> None:
    """Register the solver that samples posteriors."""
    register(
        "pnp_flow",
        "fmcore_guidance.pnp_flow:PnPFlow",
        summary="posterior: plug-and-play restoration of a measurement",
    )

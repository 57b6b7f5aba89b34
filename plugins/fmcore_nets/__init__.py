"""The built-in networks: an MLP, ADM's U-Net and a diffusion transformer."""

from __future__ import annotations

from fmcore import Register, hookimpl

__all__ = ["register_models"]


@hookimpl
def register_models(register: Register) -> None:
    """Register the networks of the paper: an MLP for points and ADM's U-Net for images; and DiT."""
    register(
        "mlp", "fmcore_nets.mlp:MLP", summary="fully connected network, for points and vectors"
    )
    register("unet", "fmcore_nets.unet:UNet", summary="ADM's U-Net (Dhariwal & Nichol), for images")
    register("dit", "fmcore_nets.dit:DiT", summary="diffusion transformer, for images, sequences")

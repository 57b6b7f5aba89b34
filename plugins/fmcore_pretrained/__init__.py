"""Networks that were trained elsewhere, read from the disk as velocity fields; the schedules that
they were trained with; and a stand-in for data that are not there.
"""

from __future__ import annotations

from fmcore import Register, hookimpl

__all__ = ["register_datasets", "register_models", "register_paths"]


@hookimpl
def register_models(register: Register) -> None:
    """Offer networks of diffusers and of torchcfm."""
    register(
        "diffusers",
        "fmcore_pretrained.diffusers_model:DiffusersModel",
        summary="a UNet2DModel or DiT of diffusers, from its folder",
        needs=("diffusers>=0.30",),
    )
    register(
        "torchcfm",
        "fmcore_pretrained.torchcfm_model:TorchCFM",
        summary="a U-Net of torchcfm, from its state dict",
        needs=("torchcfm>=1.0.5",),
    )


@hookimpl
def register_paths(register: Register) -> None:
    """Offer the discrete schedules of diffusion models, as paths in continuous time."""
    register(
        "discrete_vp",
        "fmcore_pretrained.discrete_vp:DiscreteVP",
        summary="DDPM's betas, exact at the times of training",
    )
    register(
        "diffusers",
        "fmcore_pretrained.diffusers_path:DiffusersPath",
        summary="the path that a folder of diffusers was trained along",
    )


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer what stands where a recipe needs data and there are none."""
    register("blank", "fmcore_pretrained.blank:Blank", summary="no data: the shape of images alone")
    register(
        "blank_latents",
        "fmcore_pretrained.blank:BlankLatents",
        summary="no data: the shape of latents alone",
    )

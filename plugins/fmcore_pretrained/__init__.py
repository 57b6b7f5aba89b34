"""Pretrained networks of other libraries as velocity fields, the paths they were trained on, and
placeholder datasets for sampling without data.
"""

from __future__ import annotations

from fmcore import Register, hookimpl

__all__ = ["register_codecs", "register_datasets", "register_models", "register_paths"]


@hookimpl
def register_models(register: Register) -> None:
    """Register the networks of diffusers and torchcfm."""
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
def register_codecs(register: Register) -> None:
    """Register the autoencoder of diffusers."""
    register(
        "autoencoder_kl",
        "fmcore_pretrained.autoencoder_kl:AutoencoderKL",
        summary="an AutoencoderKL of diffusers, from its folder",
        needs=("diffusers>=0.30",),
    )


@hookimpl
def register_paths(register: Register) -> None:
    """Register the discrete schedules of diffusion models, as paths in continuous time."""
    register(
        "discrete_vp",
        "fmcore_pretrained.discrete_vp:DiscreteVP",
        summary="DDPM's discrete schedule, exact at the times of training",
    )
    register(
        "diffusers",
        "fmcore_pretrained.diffusers_path:DiffusersPath",
        summary="the path that a diffusers network was trained on, from its folder",
    )


@hookimpl
def register_datasets(register: Register) -> None:
    """Register the placeholder datasets."""
    register(
        "blank",
        "fmcore_pretrained.blank:Blank",
        summary="placeholder: the shape of images, without data",
    )
    register(
        "blank_latents",
        "fmcore_pretrained.blank:BlankLatents",
        summary="placeholder: the shape of latents, without data",
    )

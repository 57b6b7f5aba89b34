"""A small autoencoder: the network, the codec of a trained one, and its reconstruction error."""

from __future__ import annotations

from fmcore import Register, hookimpl

__all__ = ["register_codecs", "register_metrics", "register_models"]


@hookimpl
def register_codecs(register: Register) -> None:
    """Register the codec of a trained autoencoder."""
    register(
        "autoencoder",
        "fmcore_codecs.trained:TrainedAutoencoder",
        summary="the autoencoder of another run, frozen",
    )


@hookimpl
def register_models(register: Register) -> None:
    """Register the network that an autoencoder's recipe trains."""
    register(
        "autoencoder",
        "fmcore_codecs.autoencoder:Autoencoder",
        summary="convolutional autoencoder of images, for latents",
    )


@hookimpl
def register_metrics(register: Register) -> None:
    """Register the metric of an autoencoder's recipe."""
    register(
        "reconstruction",
        "fmcore_codecs.reconstruction:Reconstruction",
        summary="root-mean-square error of an autoencoder on held-out images",
    )

"""A convolutional autoencoder of images, trained by its own losses (objective `none`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, final

from annotated_types import Ge, Gt, Len
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore import ComponentError, Condition, Prepared, VectorField

__all__ = ["Autoencoder"]

GROUPS = 8
EPS = 1e-6
"""Keeps the normalisation of a constant latent finite."""


@final
class Autoencoder(VectorField):
    """Images to latents of `latent_channels` at 1 / 2^(levels - 1) of their size, and back.

    `channels` are those at each resolution, finest first; `depth` the residual blocks at each.  The
    latents of every example have mean 0 and standard deviation 1, so that a flow needs no
    statistics of them.  In training, uniform noise of standard deviation `noise` is added before
    decoding: neighbouring latents then decode to similar images, and a flow may err by as much.
    The loss is the mean square error of the image, in units of [-1, 1].

    Raises ComponentError for data that are not images, and sizes that cannot be halved that often.
    """

    loss_names = ("reconstruction",)

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        channels: Annotated[tuple[Annotated[int, Gt(0)], ...], Len(1)] = (32, 64),
        depth: Annotated[int, Gt(0)] = 1,
        latent_channels: Annotated[int, Gt(0)] = 4,
        noise: Annotated[float, Ge(0)] = 0.1,
    ) -> None:
        super().__init__()
        factor = 2 ** (len(channels) - 1)
        if len(shape) != 3 or any(side % factor for side in shape[1:]):
            raise ComponentError(
                f"model 'autoencoder' with {len(channels)} channels halves images "
                f"{len(channels) - 1} times: it needs (channels, height, width) with sides that "
                f"are multiples of {factor}, got {tuple(shape)}"
            )
        self.shape, self.noise = tuple(shape), noise
        self.latent_shape = (latent_channels, shape[1] // factor, shape[2] // factor)
        self.draws: Mapping[str, tuple[int, ...]] = {"latent": self.latent_shape} if noise else {}
        self.encoder = _encoder(shape[0], channels, depth, latent_channels)
        self.decoder = _decoder(shape[0], channels, depth, latent_channels)

    def encode(self, x1: Tensor) -> Tensor:
        """Return the latents of images `(batch, *shape)`, `(batch, *latent_shape)`."""
        z: Tensor = self.encoder(x1).float()
        # over all elements of one example: the rows stay independent
        return F.layer_norm(z, z.shape[1:], eps=EPS)

    def decode(self, z: Tensor) -> Tensor:
        """Return the images of latents, in about [-1, 1]."""
        images: Tensor = self.decoder(z)
        return images.float()

    def prepare(self, condition: Condition | None, x1: Tensor | None = None) -> Prepared:
        if x1 is None:
            return Prepared(condition)
        z = self.encode(x1)
        if self.noise:
            uniform = (condition or {})["draw/latent"]
            # the standard deviation of a uniform number is 1 / sqrt(12)
            z = z + self.noise * math.sqrt(12) * (uniform - 0.5)
        error = (self.decode(z) - x1).square().flatten(1).mean(1)
        return Prepared(condition, losses={"reconstruction": error})

    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the reconstruction of images `x`; no flow is trained, and t is not read."""
        return self.decode(self.encode(x))


@final
class _Block(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x))))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_activated(channels),
            nn.Conv2d(channels, channels, 3, padding=1),
            *_activated(channels),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.layers(x)
        return x + added


def _encoder(image: int, channels: tuple[int, ...], depth: int, latent: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(image, channels[0], 3, padding=1)]
    layers += [_Block(channels[0]) for _ in range(depth)]
    for fine, coarse in pairwise(channels):
        layers.append(nn.Conv2d(fine, coarse, 3, stride=2, padding=1))
        layers += [_Block(coarse) for _ in range(depth)]
    return nn.Sequential(
        *layers, *_activated(channels[-1]), nn.Conv2d(channels[-1], latent, 3, padding=1)
    )


def _decoder(image: int, channels: tuple[int, ...], depth: int, latent: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(latent, channels[-1], 3, padding=1)]
    layers += [_Block(channels[-1]) for _ in range(depth)]
    for coarse, fine in pairwise(reversed(channels)):
        # repeated pixels and a convolution: a transposed convolution leaves a chequered pattern
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(coarse, fine, 3, padding=1)]
        layers += [_Block(fine) for _ in range(depth)]
    return nn.Sequential(
        *layers, *_activated(channels[0]), nn.Conv2d(channels[0], image, 3, padding=1)
    )


def _activated(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels), nn.SiLU()

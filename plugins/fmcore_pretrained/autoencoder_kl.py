"""An AutoencoderKL of diffusers, from its folder, as a codec."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, Self, final

import torch
from annotated_types import Gt
from torch import Tensor, nn

from fmcore import Codec, ComponentError, Condition, DataError, Decoded, Rows
from fmcore_pretrained.diffusers_library import AUTOENCODER, build_autoencoder
from fmcore_pretrained.diffusers_model import CONFIG, load_weights
from fmcore_pretrained.scheduler import read_json

__all__ = ["AutoencoderKL"]


@final
@dataclass(frozen=True)
class AutoencoderKL(Codec):
    """The AutoencoderKL in `folder`, which holds config.json and
    diffusion_pytorch_model.safetensors (or .bin, read without executing code), or is a pipeline
    with these in `vae`.

    Latents are (z - shift) * scale.  `scale` and `shift` default to scaling_factor and shift_factor
    of the file, with which the latents of its own data have about unit variance.  `posterior` is
    `mode`, or `sample` to draw z from the encoder's normal distribution.  `tolerance` is the
    root-mean-square error that reconstructions may have, in units of [-1, 1].  `latents` is the
    shape of the latents of the recipe's data, with which a dry run needs no files; it is checked
    against the files where they exist.

    Raises DataError for files that are missing, corrupt or not supported, and ComponentError for
    data of a shape that the network does not take.  Source: Rombach et al. 2022, section 3.1.
    """

    folder: FilePath
    posterior: Literal["mode", "sample"] = "mode"
    scale: Annotated[float, Gt(0)] | None = None
    shift: float | None = None
    tolerance: Annotated[float, Gt(0)] = 0.2
    latents: tuple[int, int, int] | None = None

    @property
    def fingerprint(self) -> str:
        _, source = self._loaded
        text = f"{source} {self.posterior} {self._scale} {self._shift}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @classmethod
    def found_in(cls, place: FilePath) -> Self | None:
        codec = cls(place)
        try:
            codec._config  # noqa: B018  # the first access, which reads it
        except DataError:
            return None
        return codec

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        try:
            found = self._shape_by_config(shape)
        except DataError:
            if self.latents is None:
                raise
            return self.latents
        if self.latents not in (None, found):
            raise ComponentError(
                f"codec 'autoencoder_kl': latents={list(self.latents or ())}, but {self._home} "
                f"encodes these data to {list(found)}"
            )
        return found

    def _shape_by_config(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        config = self._config
        channels = config.get("in_channels", 3)
        factor = 2 ** (len(config.get("block_out_channels", (64,))) - 1)
        if len(shape) != 3 or shape[0] != channels or any(side % factor for side in shape[1:]):
            raise ComponentError(
                f"codec 'autoencoder_kl': {self._home} takes images of {channels} channels with "
                f"sides that are multiples of {factor}; the data have shape {tuple(shape)}"
            )
        return (config.get("latent_channels", 4), shape[1] // factor, shape[2] // factor)

    def encode(self, x1: Tensor, rows: Rows) -> Tensor:
        with torch.no_grad():
            drawn = self._on(x1.device).encode(x1.float(), return_dict=False)[0]
        z: Tensor = drawn.mean
        if self.posterior == "sample":
            z = z + drawn.std * rows.normal(z.shape[1:]).to(z)
        return (z - self._shift) * self._scale

    def decode(self, x: Tensor, condition: Condition | None = None) -> Decoded:
        with torch.no_grad():
            z = x.float() / self._scale + self._shift
            return Decoded(self._on(x.device).decode(z, return_dict=False)[0])

    @cached_property
    def _home(self) -> FilePath:
        root = FilePath(self.folder).expanduser()
        for place in (root, root / "vae"):
            if (place / CONFIG).is_file():
                return place
        raise DataError(
            f"{root}: no {CONFIG} in it, nor in vae/: set codec.folder=PATH to the folder of an "
            f"{AUTOENCODER} of diffusers"
        )

    @cached_property
    def _config(self) -> Mapping[str, Any]:
        config = read_json(self._home / CONFIG)
        if config.get("_class_name") != AUTOENCODER:
            found = config.get("_class_name")
            raise DataError(
                f"{self._home / CONFIG}: _class_name is {found!r}, should be {AUTOENCODER}"
            )
        return config

    @property
    def _scale(self) -> float:
        own = self._config.get("scaling_factor")
        return float(own or 1.0) if self.scale is None else self.scale

    @property
    def _shift(self) -> float:
        own = self._config.get("shift_factor")
        return float(own or 0.0) if self.shift is None else self.shift

    @cached_property
    def _loaded(self) -> tuple[nn.Module, str]:
        """The network on the CPU, frozen, and the name and hash of its weights."""
        network = build_autoencoder(self._config, self._home / CONFIG)
        source = load_weights(network, self._home)
        return network.eval().requires_grad_(False), source

    def _on(self, device: torch.device) -> Any:
        network = self._loaded[0]
        # moved once: a command uses one device
        return network if next(network.parameters()).device == device else network.to(device)

"""The autoencoder of another run as a codec, its weights frozen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Annotated, Self, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore import Codec, ComponentError, Condition, Decoded, Rows, RunOption
from fmcore.runs.files import sha256_of_tensors
from fmcore_codecs.autoencoder import Autoencoder

__all__ = ["TrainedAutoencoder"]


@final
@dataclass(frozen=True)
class TrainedAutoencoder(Codec):
    """The autoencoder of the run `run`, a run with the model `autoencoder`.

    `tolerance` is the root-mean-square error that reconstructions of its data may have, in units of
    [-1, 1].
    """

    run: RunOption
    tolerance: Annotated[float, Gt(0)] = 0.2

    @property
    def fingerprint(self) -> str:
        digest = sha256_of_tensors(self._on(torch.device("cpu")).state_dict())
        return hashlib.blake2b(digest.encode(), digest_size=8).hexdigest()

    @classmethod
    def found_in(cls, place: FilePath) -> Self | None:
        if not (place / "recipe.yaml").is_file():
            return None
        codec = cls(RunOption(place))
        try:
            codec._on(torch.device("cpu"))
        except ComponentError:  # a run of another model
            return None
        return codec

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        network = self._on(torch.device("cpu"))
        if tuple(shape) != network.shape:
            raise ComponentError(
                f"codec 'autoencoder': the run {self.run.run} encodes images of shape "
                f"{network.shape}, and the data have {tuple(shape)}: train an autoencoder on these "
                "data, or give data of its shape"
            )
        return network.latent_shape

    def encode(self, x1: Tensor, rows: Rows) -> Tensor:
        with torch.no_grad():
            return self._on(x1.device).encode(x1.float())

    def decode(self, x: Tensor, condition: Condition | None = None) -> Decoded:
        with torch.no_grad():
            return Decoded(self._on(x.device).decode(x.float()))

    @cached_property
    def _networks(self) -> dict[torch.device, Autoencoder]:
        return {}

    def _on(self, device: torch.device) -> Autoencoder:
        """Return the network on `device`, opened once."""
        if device not in self._networks:
            network = self.run.open(device).model
            if not isinstance(network, Autoencoder):
                raise ComponentError(
                    f"codec 'autoencoder': the run {self.run.run} has the model "
                    f"{type(network).__name__}: name a run with model 'autoencoder'"
                )
            self._networks[device] = network
        return self._networks[device]

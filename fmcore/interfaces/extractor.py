"""Interface of feature extractors: networks in whose features sets of images are compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from fmcore.interfaces.options import Options

__all__ = ["Extractor"]


class Extractor(Options, ABC):
    """A fixed map from images to feature vectors, in one or more layers.

    Laws:
    * `features` takes uint8 RGB images `(batch, 3, height, width)` of any size and any device, and
      gives for each layer of `dimensions` a tensor `(batch, dimension)`, float32, on the same
      device, finite.
    * Row i depends on image i alone, not on the batch or its size; equal images give equal
      features; nothing is drawn from a global generator, and the images are left as they are.
    * `weights` changes with the weights and with every option that changes the features: it is part
      of the provenance of results and of the name of cached references.
    * The constructor reads no file.  Missing weights are refused by `check`, before training, with
      the file, its hash, and where to put it.
    """

    kind: ClassVar[str] = "extractor"

    title: ClassVar[str] = ""
    """The name in the provenance of results; by default the class's."""

    @property
    @abstractmethod
    def dimensions(self) -> Mapping[str, int]:
        """The number of features of each layer, by name."""

    @property
    @abstractmethod
    def weights(self) -> str:
        """The SHA-256 of the weights; another text for an extractor without weights."""

    @abstractmethod
    def features(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the features of uint8 RGB `images`, `(batch, 3, height, width)`, by layer."""

    def check(self) -> None:  # nothing to refuse by default
        """Raise DataError if the weights are missing or corrupt; called before training."""

    def layer_for(self, rows: int) -> str:
        """Return the layer in which sets of `rows` images are compared; by default the first."""
        return next(iter(self.dimensions))

    def provenance(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Return how images of `shape`, `(channels, height, width)`, are prepared; by default
        nothing beyond the options.
        """
        return {}

"""Checks of the laws of `Extractor`, on one extractor."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor

from fmcore.errors import DataError
from fmcore.interfaces.extractor import Extractor
from fmcore.testing.checks import (
    generator,
    require,
    require_close,
    require_equal,
    skip,
    untouched_randomness,
)
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["ExtractorSuite"]

ROUNDING = {"rtol": 1e-3, "atol": 1e-3}
"""Networks compute a row in another order alone than in a batch."""


class ExtractorSuite(ComponentChecks, Suite):
    """Override `component()` to build the extractor, and `size` for images of another size."""

    interface = Extractor
    size: tuple[int, int] = (32, 40)

    def images(self, n: int) -> Tensor:
        """Return `n` uint8 RGB images, `(n, 3, *size)`, of increasing brightness."""
        rough = torch.randint(256, (n, 3, *self.size), generator=generator())
        share = torch.arange(1, n + 1).reshape(n, 1, 1, 1) / n
        return (rough * share).to(torch.uint8)

    @cached_property
    def extractor(self) -> Extractor:
        """The extractor, built once; the check is skipped without its weights."""
        extractor: Extractor = self.component()
        try:
            extractor.check()
        except DataError as missing:
            skip(str(missing).splitlines()[0])
        return extractor

    def features(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the features of `images`."""
        # a copy: only one check is about images that are written into
        return self.extractor.features(images.clone())

    def test_features_have_the_declared_dimensions(self) -> None:
        """Every layer of `dimensions` is `(batch, dimension)`, float32, finite, in one order."""
        found = self.features(self.images(3))
        declared = self.extractor.dimensions
        require(
            list(found) == list(declared),
            f"features are of the layers {list(found)}, and `dimensions` declares {list(declared)}",
        )
        for layer, value in found.items():
            wanted = (3, declared[layer])
            shape = tuple(value.shape)
            require(shape == wanted, f"layer '{layer}' is {shape}, and should be {wanted}")
            require(value.dtype == torch.float32, f"layer '{layer}' is {value.dtype}")
            require(bool(value.isfinite().all()), f"layer '{layer}' is not finite")

    def test_features_are_row_by_row(self) -> None:
        """The features of image i depend on image i alone, not on the batch or its size."""
        images = self.images(4)
        together = self.features(images)
        for i in range(4):
            for layer, alone in self.features(images[i : i + 1]).items():
                wanted = together[layer][i : i + 1]
                require_close(alone, wanted, f"layer '{layer}' of image {i} alone", **ROUNDING)

    def test_equal_images_have_equal_features(self) -> None:
        """Nothing is drawn at random: images have the same features when computed again."""
        images = self.images(3)
        with untouched_randomness("features"):
            first = self.features(images)
        for layer, again in self.features(images).items():
            require_close(again, first[layer], f"layer '{layer}' computed again", **ROUNDING)

    def test_images_are_left_as_they_are(self) -> None:
        """`features` does not write into its argument."""
        images = self.images(3)
        before = images.clone()
        self.extractor.features(images)
        require_equal(images, before, "the images after `features`")

    def test_features_differ_between_images(self) -> None:
        """Images that differ have other features."""
        black = torch.zeros((1, 3, *self.size), dtype=torch.uint8)
        white = torch.full((1, 3, *self.size), 255, dtype=torch.uint8)
        one, other = self.features(black), self.features(white)
        apart = max(float((one[layer] - other[layer]).abs().max()) for layer in one)
        require(apart > 1e-6, "a black and a white image have the same features")

    def test_a_layer_is_chosen_for_any_number_of_images(self) -> None:
        """`layer_for` names a layer of `dimensions`."""
        layers = list(self.component().dimensions)
        for rows in (2, 2001, 50_000):
            found = self.component().layer_for(rows)
            require(found in layers, f"layer '{found}' for {rows} images is none of {layers}")

    def test_weights_are_named(self) -> None:
        """`weights` is a text that is not empty, and the same for equal extractors."""
        first, again = self.component().weights, self.component().weights
        require(isinstance(first, str) and bool(first), "`weights` is empty")
        require(first == again, f"two equal extractors have the weights {first} and {again}")

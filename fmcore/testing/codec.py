"""Checks of the laws of `Codec`, on one codec."""

from __future__ import annotations

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.codec import Codec, Decoded
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.source import Condition
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

__all__ = ["CodecSuite"]

ROUNDING = {"rtol": 1e-4, "atol": 1e-4}
"""Networks compute a row in another order alone than in a batch."""


class CodecSuite(ComponentChecks, Suite):
    """Override `component()` to build the codec, `shape` for examples of another shape, `examples`
    for a codec that was trained on some data, and `condition` if decoding reads one.
    """

    interface = Codec
    shape: tuple[int, ...] = (3, 8, 8)

    def examples(self, n: int) -> Tensor:
        """Return `n` examples that the codec was made for: smooth points of [-1, 1] by default."""
        rough = torch.rand((n, *self.shape), generator=generator()) * 2 - 1
        if len(self.shape) != 3:
            return rough
        return F.avg_pool2d(rough, 3, 1, 1, count_include_pad=False)

    def condition(self, n: int) -> Condition | None:
        """Return the raw condition of `n` rows; None by default."""
        return None

    @cached_property
    def codec(self) -> Codec:
        """The codec, built once: its weights may be large."""
        codec: Codec = self.component()
        return codec

    def encoded(self, x1: Tensor, first: int = 0) -> Tensor:
        """Return the latents of `x1`, whose rows have the random numbers of rows from `first`."""
        # a copy: only one check is about arguments that are written into
        return self.codec.encode(x1.clone(), _rows(len(x1), first))

    def decoded(self, n: int = 3) -> tuple[Tensor, Decoded]:
        """Return `n` examples, and what their latents are decoded to."""
        x1 = self.examples(n)
        return x1, self.codec.decode(self.encoded(x1), self.condition(n))

    def test_latents_have_the_declared_shape(self) -> None:
        """`encode` returns `(batch, *shape(shape of x1))`, float32, finite, without a gradient."""
        latents = self.encoded(self.examples(3).requires_grad_(self.codec.encodes))
        wanted = (3, *self.codec.shape(self.shape))
        found = tuple(latents.shape)
        require(found == wanted, f"latents are {found}, and `shape` declares {wanted}")
        require(latents.dtype == torch.float32, f"latents are {latents.dtype}, should be float32")
        require(bool(latents.isfinite().all()), "latents are not finite")
        frozen = not self.codec.encodes or not latents.requires_grad
        require(frozen, "latents have a gradient: encode under torch.no_grad()")

    def test_decoding_returns_examples(self) -> None:
        """`decode` returns the shape of the data, float32, finite; `lengths` are one a row."""
        x1, decoded = self.decoded()
        values = decoded.values
        if self.codec.encodes:
            wanted = tuple(x1.shape)
            found = tuple(values.shape)
            require(found == wanted, f"decoded are {found}, and the examples are {wanted}")
        require(len(values) == len(x1), f"{len(x1)} states are decoded to {len(values)} rows")
        require(values.dtype == torch.float32, f"decoded are {values.dtype}, should be float32")
        require(bool(values.isfinite().all()), "decoded values are not finite")
        if decoded.lengths is not None:
            most = values.shape[-1]
            sound = decoded.lengths.shape == (len(x1),) and int(decoded.lengths.max()) <= most
            require(sound, f"`lengths` should be (batch,), at most {most}")

    def test_reconstructs_within_its_tolerance(self) -> None:
        """The root-mean-square error of decode(encode(x1)) is at most `tolerance`."""
        if not self.codec.encodes:
            skip("the codec only decodes")
        x1, decoded = self.decoded(8)
        require(decoded.values.shape == x1.shape, "decoded are of another shape than the examples")
        error = float((decoded.values - x1).square().mean().sqrt())
        require(
            error <= self.codec.tolerance,
            f"the root-mean-square error is {error:.3g}, and the tolerance "
            f"{self.codec.tolerance:.3g}: override examples() with data of the codec's training",
        )

    def test_encoding_is_row_by_row(self) -> None:
        """The latents of row i depend on row i of x1 and its random numbers alone."""
        x1 = self.examples(4)
        together = self.encoded(x1)
        for i in range(4):
            alone = self.encoded(x1[i : i + 1], first=i)
            require_close(alone, together[i : i + 1], f"latents of row {i} alone", **ROUNDING)

    def test_decoding_is_row_by_row(self) -> None:
        """What row i is decoded to depends on row i of the states alone."""
        _, decoded = self.decoded(4)
        states, condition = self.encoded(self.examples(4)), self.condition(4)
        for i in range(4):
            own = condition and {k: v[i : i + 1] for k, v in condition.items()}
            alone = self.codec.decode(states[i : i + 1], own).values
            wanted = decoded.values[i : i + 1, ..., : alone.shape[-1]]
            require_close(alone, wanted, f"row {i} decoded alone", **ROUNDING)

    def test_equal_rows_give_equal_latents(self) -> None:
        """Equal arguments give equal results; random numbers come from `rows` alone."""
        x1 = self.examples(3)
        with untouched_randomness("encode or decode"):
            first = self.encoded(x1)
            values = self.codec.decode(first.clone(), self.condition(3)).values
        require_close(self.encoded(x1), first, "latents computed again", **ROUNDING)
        again = self.codec.decode(first.clone(), self.condition(3)).values
        require_close(again, values, "decoded again", **ROUNDING)

    def test_arguments_are_left_as_they_are(self) -> None:
        """`encode` and `decode` do not write into their arguments."""
        x1 = self.examples(3)
        before = x1.clone()
        states = self.codec.encode(x1, _rows(3))
        require_equal(x1, before, "examples after encoding")
        kept = states.clone()
        self.codec.decode(states, self.condition(3))
        require_equal(states, kept, "states after decoding")

    def test_another_shape_is_refused_or_encoded(self) -> None:
        """`shape` raises ComponentError for examples that the codec cannot encode."""
        other = (*self.shape[:-1], self.shape[-1] + 1)
        try:
            wanted = (2, *self.codec.shape(other))
        except ComponentError:
            return
        found = tuple(self.encoded(torch.zeros(2, *other)).shape)
        require(
            found == wanted,
            f"`shape` accepts examples of shape {other}, and encodes 2 of them to {found}, not to "
            f"{wanted}: raise ComponentError for shapes that the codec was not made for",
        )

    def test_fingerprint_is_that_of_the_codec(self) -> None:
        """Codecs with equal options and weights have equal, non-empty fingerprints."""
        first, again = self.component().fingerprint, self.component().fingerprint
        require(bool(first), "the fingerprint is empty")
        require(first == again, f"two equal codecs have the fingerprints {first} and {again}")


def _rows(n: int, first: int = 0) -> Rows:
    """Return the random numbers of rows `first` to `first + n - 1`."""
    return Rows(0, "codec", 0, range(first, first + n))

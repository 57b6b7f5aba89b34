"""What the networks of speech share: the encoder, its alignment, and its losses."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from fmcore import ComponentError, Condition, ConditionSpec, Prepared, VectorField
from fmcore_audio.alignment import best_alignment, by_durations, log_likelihoods
from fmcore_audio.text_encoder import sinusoids

__all__ = ["SpokenField", "time_layers"]

MOST_LOG = 6.0
"""The greatest log duration: 400 frames.  An untrained network must not ask for more memory."""

LOG_2PI = math.log(2 * math.pi)


class SpokenField(VectorField):
    """A field of spectrograms given texts, trained together with its text encoder.

    `prepare` encodes the text to a mean spectrogram `mu`, `(batch, mels, frames)`.  In training the
    frames of each symbol are those of the best monotonic alignment with x1, and two losses train
    the encoder: `duration` is the mean over symbols of (log w - log(number of frames))^2, and
    `prior` the mean over elements of (x1 - mu)^2 / 2 + log(2 pi) / 2.  In sampling they are
    max(1, round(w / pace)), and `mask` follows from them.

    With `span` the network has a second time, and trains for the objectives of flow maps.

    Padding symbols have the index 0 and may be anywhere.  Source: Mehta et al. 2023, Matcha-TTS
    (arXiv 2309.03199).
    """

    loss_names = ("duration", "prior")

    features: int
    """The number of sinusoids of time."""

    time_scale: float
    """The highest frequency of the time embedding, in radians from noise to data."""

    time: nn.Module
    span_time: nn.Module | None

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        entries: Mapping[str, ConditionSpec],
        segment: int | None,
    ) -> None:
        super().__init__()
        if len(shape) != 2 or "text" not in entries or "mask" not in entries:
            raise ComponentError(
                f"model '{name}' needs spectrograms (mels, frames) with the conditions text and "
                f"mask, as of data 'speech'; the data have shape {tuple(shape)} and the conditions "
                f"{', '.join(entries) or 'none'}"
            )
        self.mels, self.frames = shape
        self.segment = None if segment is None else min(segment, self.frames)
        self.draws = {} if self.segment is None else {"segment": ()}

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({"text", "mask"})

    @abstractmethod
    def encode(self, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of each symbol, `(batch, mels, symbols)`, and its log duration, `(batch,
        symbols)`.
        """

    @abstractmethod
    def denoise(self, x: Tensor, t: Tensor, until: Tensor, mu: Tensor, mask: Tensor) -> Tensor:
        """Return the prediction, `(batch, mels, frames)`; `mask` is `(batch, 1, frames)`.  `until`,
        `(batch,)`, is t without `span`.
        """

    def embedded(self, t: Tensor, until: Tensor) -> Tensor:
        """Return the embedding of two times, `(batch,)` each, `(batch, width)`."""
        found: Tensor = self.time(self._sinusoids(t))
        if self.span_time is not None:
            found = found + self.span_time(self._sinusoids(until - t))
        return found

    def _sinusoids(self, t: Tensor) -> Tensor:
        features = sinusoids(t, self.features, self.time_scale)
        return features.to(next(self.parameters()).dtype)

    def prepare(self, condition: Condition | None, x1: Tensor | None = None) -> Prepared:
        if condition is None:
            return Prepared(None)
        device = condition["text"].device.type
        # in float32: a rounded duration would shift all that follows; meta tensors know no autocast
        exact = nullcontext() if device == "meta" else torch.autocast(device, enabled=False)
        with exact:
            text, symbols = _first(condition["text"])
            self._require_known(text)
            mu, log_w = self.encode(text, symbols)
            if x1 is None:
                return self._timed(condition, mu, log_w, symbols)
            return self._aligned(condition, x1.float(), mu, log_w, symbols)

    def _require_known(self, text: Tensor) -> None:
        if text.is_meta:
            return
        most, size = int(text.max()), self.embedding_size
        if most >= size:
            raise ComponentError(
                f"the text has a symbol of index {most}, and the network was built for {size}: set "
                f"model.symbols to at least {most + 1}"
            )

    @property
    @abstractmethod
    def embedding_size(self) -> int:
        """The number of symbols that the encoder has, with padding."""

    def _timed(self, condition: Condition, mu: Tensor, log_w: Tensor, symbols: Tensor) -> Prepared:
        w = log_w.clamp(max=MOST_LOG).exp()
        if "pace" in condition:
            w = w / condition["pace"][:, None]
        durations = w.round().clamp_min(1) * symbols[:, 0]
        longest = durations.sum(1)
        if not longest.is_meta and bool((longest > self.frames).any()):
            raise ComponentError(
                f"a text takes {int(longest.max())} frames, and the samples have {self.frames}: "
                "cut it into sentences, or train with a larger data.max_seconds"
            )
        frames = condition["mask"].shape[-1]
        mask = (torch.arange(frames, device=w.device) < longest[:, None])[:, None].float()
        return Prepared({"mu": mu @ by_durations(durations, frames), "mask": mask})

    def _aligned(
        self, condition: Condition, x1: Tensor, mu: Tensor, log_w: Tensor, symbols: Tensor
    ) -> Prepared:
        mask = condition["mask"].float()
        scores = log_likelihoods(mu, x1 * mask)
        alignment = best_alignment(scores, symbols[:, 0].sum(1), mask[:, 0].sum(1)).to(mu)
        frames = alignment.sum(2).clamp_min(1)
        miss = (log_w - frames.log()).square() * symbols[:, 0]
        mean = mu @ alignment
        error = 0.5 * ((x1 - mean).square() + LOG_2PI) * mask
        losses = {
            "duration": miss.sum(1) / symbols.sum((1, 2)).clamp_min(1),
            "prior": error.sum((1, 2)) / (mask.sum((1, 2)).clamp_min(1) * self.mels),
        }
        prepared = {"mu": mean * mask, "mask": mask}
        if "draw/segment" not in condition or self.segment is None:
            return Prepared(prepared, losses)
        # a clip shorter than the segment begins at its first frame, and is padded
        room = (mask[:, 0].sum(1) - self.segment).clamp_min(0)
        start = (condition["draw/segment"] * (room + 1)).long().clamp(max=x1.shape[-1])
        cut = {name: _cut(value, start, self.segment) for name, value in prepared.items()}
        return Prepared(cut, losses, (start, self.segment))

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Condition | None = None,
        *,
        until: Tensor | None = None,
    ) -> Tensor:
        until = t if until is None else until
        if condition is None or "mu" not in condition:  # of a dry run, or the null condition
            return self.denoise(x, t, until, torch.zeros_like(x), torch.ones_like(x[:, :1]))
        mu, mask = condition["mu"].to(x.dtype), condition["mask"].to(x.dtype)
        frames = x.shape[-1] if mask.is_meta else trimmed(mask)
        own = slice(frames)
        y = self.denoise(x[..., own] * mask[..., own], t, until, mu[..., own], mask[..., own])
        return nn.functional.pad(y, (0, x.shape[-1] - frames))


def time_layers(features: int, hidden: int, width: int) -> nn.Sequential:
    """Return two layers, from sinusoids of time to an embedding."""
    return nn.Sequential(nn.Linear(features, hidden), nn.SiLU(), nn.Linear(hidden, width))


def trimmed(mask: Tensor, multiple: int = 4) -> int:
    """Return the number of frames of the longest row of `mask`, rounded up to `multiple`."""
    longest = max(1, int(mask.sum((1, 2)).max()))
    return int(min(mask.shape[-1], -(-longest // multiple) * multiple))


def _first(text: Tensor) -> tuple[Tensor, Tensor]:
    """Return the symbols without the padding before and between them, and their mask, `(batch, 1,
    symbols)`.
    """
    padding = text <= 0
    order = padding.long().argsort(dim=1, stable=True)
    text = text.gather(1, order).clamp_min(0)
    return text, (text > 0)[:, None].float()


def _cut(value: Tensor, start: Tensor, length: int) -> Tensor:
    places = start[:, None, None] + torch.arange(length, device=value.device)
    return value.gather(-1, places.expand(*value.shape[:2], length))

"""What a sample looks or sounds like: the content of a file, and a caption."""

from __future__ import annotations

import io
import re
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fmcore.errors import ComponentError

__all__ = ["Portrait"]

SUFFIX = re.compile(r"[a-z0-9]{1,8}")


@final
@dataclass(frozen=True)
class Portrait:
    """A file that shows one sample, or several: a picture, a sound, a text, or another format.

    `suffix` names the format: reports show `png`, play `wav`, print `txt`, and name the files of
    others.  Raises ComponentError for a suffix that is not 1 to 8 lower-case letters or digits.

    >>> Portrait.text("seven", caption="sample 0").suffix
    'txt'
    """

    content: bytes
    suffix: str
    caption: str = ""

    def __post_init__(self) -> None:
        if not SUFFIX.fullmatch(self.suffix):
            raise ComponentError(
                f"the suffix of a portrait is '{self.suffix}', should be as in png, wav, txt"
            )

    @classmethod
    def picture(cls, levels: Tensor, most: int, caption: str = "") -> Self:
        """Return a PNG of integer `levels` in 0 .. `most` - 1, `(channels, height, width)`.

        One channel is gray; of four or more the first three are red, green and blue.  Two channels
        are refused with ComponentError.
        """
        from PIL import Image  # the datasets of points never draw one

        if levels.ndim != 3 or levels.shape[0] == 2:
            raise ComponentError(
                f"a picture has shape (channels, height, width) with 1 or 3 channels, got "
                f"{tuple(levels.shape)}"
            )
        scaled = (levels.float() * (255 / (most - 1))).round().clamp(0, 255)
        pixels: npt.NDArray[np.uint8] = scaled.cpu().numpy().astype(np.uint8).transpose(1, 2, 0)
        pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., :3]
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(file, format="PNG")
        return cls(file.getvalue(), "png", caption)

    @classmethod
    def sound(cls, values: Tensor, rate: int, caption: str = "") -> Self:
        """Return a WAV file, 16-bit PCM, of `values` in [-1, 1], `(samples,)` or `(channels,
        samples)`, at `rate` samples per second.  Values outside [-1, 1] are clamped.
        """
        if values.ndim not in (1, 2) or rate <= 0:
            raise ComponentError(
                "a sound has shape (samples,) or (channels, samples) and a rate above 0, got "
                f"{tuple(values.shape)} at {rate}"
            )
        # 32767 rather than 32768: -1 and 1 are equally far from 0
        scaled = (values.detach().cpu().double().clamp(-1, 1) * 32767).round()
        frames = scaled.reshape(-1, values.shape[-1]).numpy().T.astype("<i2")
        file = io.BytesIO()
        with wave.open(file, "wb") as sound:
            sound.setnchannels(frames.shape[1])
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(frames.tobytes())
        return cls(file.getvalue(), "wav", caption)

    @classmethod
    def text(cls, lines: str | Sequence[str], caption: str = "") -> Self:
        """Return a text file of `lines`, UTF-8."""
        text = lines if isinstance(lines, str) else "\n".join(lines)
        return cls(text.rstrip("\n").encode() + b"\n", "txt", caption)

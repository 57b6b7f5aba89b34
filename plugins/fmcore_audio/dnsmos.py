"""DNSMOS: the opinion of a network on the quality of speech, without a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from torch import Tensor

from fmcore import Evaluation
from fmcore_audio.sound_metric import SoundMetric

__all__ = ["DNSMOS"]


@final
@dataclass(frozen=True)
class DNSMOS(SoundMetric):
    """The overall opinion score, from 1 to 5, that DNSMOS P.835 gives the sounds.

    Sounds are resampled to 16 kHz and repeated to 9 seconds.  It hardly depends on what is above
    4 kHz: read it with `lsd_hf`.
    Source: Reddy et al. 2022 (arXiv 2110.01763); the weights are in the package speechmos.
    """

    NAME: ClassVar[str] = "dnsmos"
    PACKAGES: ClassVar[tuple[str, ...]] = ("speechmos", "onnxruntime")

    def rate_sound(self, sound: Tensor, index: int, evaluation: Evaluation) -> float:
        from speechmos import dnsmos

        values = sound.clamp(-1, 1).numpy().astype(np.float32)
        return float(dnsmos.run(values, sr=self.RATE)["ovrl_mos"])

    def distributions(self) -> tuple[str, ...]:
        return self.PACKAGES

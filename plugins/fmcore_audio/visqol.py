"""ViSQOL: the similarity of sounds to the recordings, as an opinion score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from torch import Tensor

from fmcore import ComponentError, Dataset, Evaluation, Path
from fmcore_audio.audio_sr import AudioSR
from fmcore_audio.sound_metric import SoundMetric
from fmcore_audio.sounds import resampled

__all__ = ["ViSQOL"]


@final
@dataclass(frozen=True)
class ViSQOL(SoundMetric):
    """The opinion score, from 1 to 5, that ViSQOL gives the sounds, compared with the recordings,
    in its mode for speech at 16 kHz.

    Sample i is compared with example i: samples need `sample.condition: test`.  Source: Chinen et
    al. 2020 (arXiv 2004.09584), in the package visqol-python.
    """

    NAME: ClassVar[str] = "visqol"
    PACKAGES: ClassVar[tuple[str, ...]] = ("visqol",)
    paired: ClassVar[bool] = True

    def check(self, data: Dataset, path: Path) -> None:
        if not isinstance(data, AudioSR):
            raise ComponentError(
                "metric 'visqol' compares sounds of equal length: use data 'audio_sr'"
            )
        super().check(data, path)

    def rate_sound(self, sound: Tensor, index: int, evaluation: Evaluation) -> float:
        data = evaluation.data
        if not isinstance(data, AudioSR):
            raise ComponentError("metric 'visqol' measures samples of data 'audio_sr'")
        real = resampled(data.wide_sound(index % data.length), data.rate, self.RATE)
        pair = [x.double().numpy().astype(np.float64) for x in (real, sound)]
        return float(self._library.measure_from_arrays(*pair, self.RATE).moslqo)

    @property
    def _library(self) -> Any:
        from visqol import VisqolApi

        if "_api" not in self.__dict__:
            api = VisqolApi()
            # the polynomial: the other mapping needs one more package, and gives other scores
            api.create(mode="speech", use_lattice_model=False)
            self.__dict__["_api"] = api
        return self.__dict__["_api"]

    def distributions(self) -> tuple[str, ...]:
        return ("visqol-python",)

"""A trained flow from mel spectrograms to complex spectra, as a codec."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from fmcore import (
    ComponentError,
    Predictor,
    Problem,
    RunOption,
    create,
    open_run,
)
from fmcore.runs.files import sha256_of_tensors
from fmcore_audio.mel import MelSpec
from fmcore_audio.mel_decoder import MelDecoder
from fmcore_audio.spectra import Spectra

__all__ = ["FlowVocoder"]


@final
@dataclass(frozen=True)
class FlowVocoder(MelDecoder):
    """Decodes spectrograms, `(batch, mels, frames)`, normalised as the data's, to sounds, by the
    run `run` of data `spectra`, in `steps` Euler steps.

    Where the data have `phases`, the flow decides them; otherwise it decides the magnitudes, and
    the Griffin-Lim algorithm finds the phases.  The spectrogram is known, so the magnitudes are
    scaled `corrections` times toward those that have it, 0 for not at all: of the sound, or before
    its phases are found.

    The noise of a frame is a function of its place alone.  Frames outside the condition's `mask`
    are silent and not counted in `lengths`.  The options of the spectrogram must be those of the
    data, as for `griffin_lim`; `mean` and `std` may differ from the run's.
    """

    run: RunOption = field(kw_only=True)
    steps: Annotated[int, Gt(0)] = 10
    corrections: Annotated[int, Ge(0)] = 4

    @property
    def fingerprint(self) -> str:
        weights = sha256_of_tensors(self._on(torch.device("cpu")).model.state_dict())
        facts = (self.steps, self.corrections, self.spec, self.mean, self.std, weights)
        return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()

    def sound(self, x: Tensor, exists: Tensor) -> Tensor:
        data, flow = self.data, self._on(x.device)
        floor = torch.tensor(self.spec.floor).log()
        mel = torch.where(exists > 0, x * self.std + self.mean, floor.to(x))
        seen = (mel - data.speech.mean) / data.speech.std
        channels, frames = data.shape[0], x.shape[-1] * self.hop // data.hop
        generator = torch.Generator().manual_seed(0)
        # frame by frame: more frames do not change the noise of the first ones
        noise = torch.randn(frames, channels, generator=generator).T.to(x)
        problem = Problem(
            flow, noise.expand(len(x), -1, -1), path=flow.path, condition={"mel": seen}
        )
        spectrum = create("solver", "euler", nfe=self.steps).solve(problem).x
        wave = self._decoded(spectrum, mel.clamp(max=10.0).exp())
        return (wave * exists[:, 0].repeat_interleave(self.hop, 1)).clamp(-1, 1)

    def _decoded(self, spectrum: Tensor, mel: Tensor) -> Tensor:
        """Return the sounds of stored spectra, corrected toward `mel`, linear."""
        data = self.data
        if data.phases:
            wave = data.sound(spectrum)
            for _ in range(self.corrections):
                wave = corrected(self.spec, wave, mel)
            return wave
        magnitude = data.magnitudes(spectrum)
        for _ in range(self.corrections):
            magnitude = magnitude * gain(self.spec, magnitude, mel)
        return data.with_phases(magnitude)

    @cached_property
    def data(self) -> Spectra:
        """The data of the run.  Raises ComponentError for another kind, and other spectrograms."""
        data = open_run(self.run.run).components.data
        if not isinstance(data, Spectra):
            raise ComponentError(
                f"codec 'flow_vocoder': the run {self.run.run} has data {type(data).__name__}: "
                "name a run of the recipe vocoder"
            )
        if data.speech.spec != self.spec:
            raise ComponentError(
                f"codec 'flow_vocoder': the run {self.run.run} decodes spectrograms of "
                f"{data.speech.spec}, and this recipe has {self.spec}: train one on these"
            )
        return data

    @cached_property
    def _fields(self) -> dict[torch.device, Predictor]:
        return {}

    def _on(self, device: torch.device) -> Predictor:
        """Return the field on `device`, opened once, after the run is found to fit."""
        if device not in self._fields:
            _ = self.data
            self._fields[device] = self.run.open(device)
        return self._fields[device]


def corrected(spec: MelSpec, wave: Tensor, mel: Tensor) -> Tensor:
    """Return `wave`, `(batch, samples)`, with the magnitudes of every frame scaled toward those
    whose mel spectrogram is `mel`, `(batch, mels, frames)`, linear; the phases are kept.
    """
    spectrum = spec.spectrum(wave)
    return spec.sound(spectrum * gain(spec, spectrum.abs(), mel))


def gain(spec: MelSpec, magnitude: Tensor, mel: Tensor) -> Tensor:
    """Return factors that scale `magnitude`, `(batch, n_fft / 2 + 1, frames)`, toward those whose
    mel spectrogram is `mel`, linear: for each bin the mean of the ratios of the filters that cover
    it.
    """
    filters = spec.filters.to(magnitude)
    ratio = mel / (filters @ magnitude).clamp_min(spec.floor)
    return filters.T @ ratio / filters.sum(0)[:, None].clamp_min(1e-12)

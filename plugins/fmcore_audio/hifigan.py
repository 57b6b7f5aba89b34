"""Published HiFi-GAN vocoders as codecs."""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from fmcore import ComponentError, DataError
from fmcore_audio.hifigan_net import HifiganConfig, HifiganGenerator, folded
from fmcore_audio.mel_decoder import MelDecoder

__all__ = ["Hifigan"]


@final
@dataclass(frozen=True)
class Hifigan(MelDecoder):
    """Decodes spectrograms, `(batch, mels, frames)`, normalised as the data's, to sounds, by the
    generator in the checkpoint `file`.

    The checkpoint is one of the published ones (github.com/jik876/hifi-gan), or of that form: a
    mapping with `generator`, a state dict with weight norm.  Its config.json must be in the same
    folder.  It is read with `weights_only=True`: a file cannot run code.  Frames outside the
    condition's `mask` are silent and not counted in `lengths`.

    Source: Kong et al. 2020 (arXiv 2010.05646).
    """

    CHUNK: ClassVar[int] = 1  # the last layers have hundreds of numbers for each sample

    file: Path = field(kw_only=True)

    @property
    def fingerprint(self) -> str:
        digest = hashlib.blake2b(self._read(self.file), digest_size=8)
        digest.update(repr((self.config, self.spec, self.mean, self.std)).encode())
        return digest.hexdigest()

    def sound(self, x: Tensor, exists: Tensor) -> Tensor:
        floor = torch.tensor(self.spec.floor).log()
        mel = torch.where(exists > 0, x * self.std + self.mean, floor.to(x))
        wave: Tensor = self._on(x.device)(mel)
        return wave * exists[:, 0].repeat_interleave(self.hop, 1)

    @cached_property
    def config(self) -> HifiganConfig:
        """The configuration of the generator.

        Raises DataError where it cannot be read, and ComponentError where it is of other
        spectrograms than these.
        """
        place = self.file.with_name("config.json")
        try:
            given: Any = json.loads(self._read(place))
            known = {option.name for option in fields(HifiganConfig)}
            found = HifiganConfig(**{k: _tuples(v) for k, v in given.items() if k in known})
        except (ValueError, AttributeError) as error:
            raise DataError(f"{place}: is no config.json of HiFi-GAN: {error}") from error
        own = {"rate": self.rate, "hop": self.hop, "mels": self.mels}
        wanted = {"rate": found.sampling_rate, "hop": found.hop, "mels": found.num_mels}
        wrong = [
            f"data.{k} is {own[k]}, and it needs {v}" for k, v in wanted.items() if own[k] != v
        ]
        if wrong:
            raise ComponentError(f"codec 'hifigan': {self.file}: {'; '.join(wrong)}")
        return found

    def _read(self, place: Path) -> bytes:
        if not place.is_file():
            raise DataError(
                f"{place}: there is no such file: codec.file must be a generator of HiFi-GAN with "
                "its config.json in the same folder (github.com/jik876/hifi-gan)"
            )
        return place.read_bytes()

    @cached_property
    def _generators(self) -> dict[torch.device, HifiganGenerator]:
        return {}

    def _on(self, device: torch.device) -> HifiganGenerator:
        """Return the generator on `device`, read once."""
        if device not in self._generators:
            # its first weights are replaced: they need no random numbers
            with torch.device("meta"):
                generator = HifiganGenerator(self.config)
            self._read(self.file)
            try:
                with warnings.catch_warnings():  # torch warns of files that it then refuses
                    warnings.simplefilter("ignore")
                    state: Any = torch.load(self.file, map_location=device, weights_only=True)
                generator.load_state_dict(folded(state["generator"]), assign=True)
            except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
                raise DataError(
                    f"{self.file}: is no HiFi-GAN generator of its config.json: {error}"
                ) from error
            except ComponentError as error:
                raise DataError(f"{self.file}: {error}") from error
            self._generators[device] = generator.eval().requires_grad_(False)
        return self._generators[device]


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value

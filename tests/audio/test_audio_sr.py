"""Bandwidth extension: data, network, metrics, and files of any length."""

import math
from typing import ClassVar

import pytest
import torch

import fmcore
from fmcore import ComponentError, ConditionSpec, DataError
from fmcore.testing import DatasetSuite, ModelSuite
from fmcore_audio.audio_sr import AudioSR, band_of, crossfaded, extended, low_passed
from fmcore_audio.lsd import log_spectral_distance
from fmcore_audio.mel import MelSpec
from fmcore_audio.sounds import read_sound
from fmcore_audio.wideband import Wideband

from .conftest import write_wav

SMALL = {"mels": 20, "window": 0.25, "n_fft": 512, "hop": 128}


def noise(seconds, seed=0, rate=16000):
    return 0.1 * torch.randn(int(seconds * rate), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("sounds")
    for i in range(12):
        write_wav(root / f"{i}.wav", noise(0.6, seed=i))
    return root


class TestAudioSR(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _root(self, folder, tmp_path):
        self.root, self.nowhere = folder, tmp_path

    def component(self):
        return AudioSR(root=self.root, **SMALL)

    def missing(self):
        return AudioSR(root=self.nowhere, **SMALL)


class TestWideband(ModelSuite):
    shape = (6, 16)
    entries: ClassVar = {"low": ConditionSpec((6, 16))}

    def component(self):
        return Wideband(shape=self.shape, entries=self.entries, width=16, depth=2)


def test_the_filter_keeps_what_is_below_and_removes_what_is_above():
    time = torch.arange(16000) / 16000
    low, high = (torch.sin(2 * math.pi * hertz * time) for hertz in (1000, 6000))
    inner = slice(1000, -1000)
    found = low_passed(low + high, 4000, 16000)[inner]
    # the ripple is 0.05 dB, twice, since the filter runs forward and back
    torch.testing.assert_close(found, low[inner], atol=0.02, rtol=0)


def test_low_bands_are_equal_and_high_bands_are_the_floor(folder):
    data = AudioSR(root=folder, **SMALL)
    batch = data.batch(range(data.length))
    below = slice(0, data.first_band - 4)
    difference = (batch["x1"] - batch["low"])[:, below].abs().mean()
    assert float(difference) < 0.05
    assert bool((batch["low"][:, -3:] < batch["x1"][:, -3:] - 0.5).all())


def test_a_windows_sounds_have_one_gain(folder, tmp_path):
    for i in range(12):
        write_wav(tmp_path / f"{i}.wav", 0.5 * read_sound(folder / f"{i}.wav", 16000))
    loud, soft = (AudioSR(root=root, **SMALL) for root in (folder, tmp_path))
    for name in ("x1", "low"):
        # 16-bit files round; the quietest bands are left out
        one, other = (d.batch([0])[name][:, : loud.first_band - 2] for d in (loud, soft))
        torch.testing.assert_close(one, other, atol=0.05, rtol=0)


def test_the_first_band_is_above_the_cutoff():
    spec = MelSpec(16000, 512, 128, 20, 0, 8000)
    band = band_of(spec, 4000)
    bins = spec.filters > 0
    assert not bins[band:, : 4000 * 512 // 16000].any()
    assert bins[band - 1, : 4000 * 512 // 16000].any()


def test_crossfaded_windows_of_one_spectrogram_are_the_spectrogram():
    whole = torch.randn(5, 24, generator=torch.Generator().manual_seed(0))
    windows = torch.stack([whole[:, first : first + 8] for first in range(0, 17, 4)])
    torch.testing.assert_close(crossfaded(windows), whole)


def test_the_sound_below_the_cutoff_is_kept():
    spec = MelSpec(16000, 512, 128, 20, 0, 8000)
    wave = noise(0.5)[: 128 * 60]
    low = low_passed(wave, 4000, 16000)
    found = extended(spec, low, spec.mel(wave), 4000, 8)
    inner = slice(1000, -1000)
    kept = low_passed(found, 3000, 16000)[inner]
    wanted = low_passed(wave, 3000, 16000)[inner]
    assert float((kept - wanted).norm() / wanted.norm()) < 0.05
    # and above there is about as much as in the original
    above, real = (x - low_passed(x, 4500, 16000) for x in (found, wave))
    assert float(above.norm() / real.norm()) == pytest.approx(1, abs=0.35)


def test_a_tenth_of_the_amplitude_is_a_distance_of_2():
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    found = log_spectral_distance(x - math.log(10), x)
    torch.testing.assert_close(found, torch.full((3,), 2.0))


def test_a_file_gives_overlapping_windows(folder, tmp_path):
    data = AudioSR(root=folder, **SMALL)
    write_wav(tmp_path / "short.wav", noise(0.05))
    write_wav(tmp_path / "long.wav", noise(1.0))
    assert data.encode({"file": str(tmp_path / "short.wav")})["low"].shape == (1, *data.shape)
    half = data.samples // 2
    rows = len(data.encode({"file": str(tmp_path / "long.wav")})["low"])
    assert (rows - 1) * half + data.samples >= 16000 > (rows - 2) * half + data.samples


@pytest.mark.parametrize("gain", [0.3, 1.5])
def test_a_joined_file_has_the_length_and_the_loudness_of_the_input(folder, tmp_path, gain):
    data = AudioSR(root=folder, **SMALL)
    wave = gain * low_passed(noise(1.0), 4000, 16000)
    write_wav(tmp_path / "in.wav", wave)
    low = data.encode({"file": str(tmp_path / "in.wav")})["low"]
    (sound,) = data.joined(low, {"low": low}, None, {"file": str(tmp_path / "in.wav")})
    (tmp_path / "out.wav").write_bytes(sound.content)
    found = read_sound(tmp_path / "out.wav", 16000)
    assert len(found) == len(wave)
    kept = low_passed(found, 3000, 16000)
    assert float(kept.norm() / low_passed(wave, 3000, 16000).norm()) == pytest.approx(1, abs=0.03)


def test_a_file_that_is_missing_is_named(folder):
    with pytest.raises(ComponentError, match=r"condition 'file': nowhere\.wav: there is no such"):
        AudioSR(root=folder, **SMALL).encode({"file": "nowhere.wav"})


def test_the_prior_of_the_recipe_is_the_low_passed_sound_plus_noise():
    source = fmcore.create("source", "from_condition", key="low", scale=0.5)
    low = torch.randn(64, 6, 16, generator=torch.Generator().manual_seed(0))
    rows = fmcore.Rows(0, "noise", 0, range(64))
    spread = (source.sample(rows, (6, 16), {"low": low}) - low).std()
    assert float(spread) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("change", [{"low_rate": 16000}, {"window": 5.0}])
def test_options_that_do_not_fit_are_refused(folder, change):
    with pytest.raises((ComponentError, DataError), match=r"data\.(rate|window)"):
        print(AudioSR(root=folder, **{**SMALL, **change}).length)

"""Bandwidth extension: data, network, metrics, and files of any length."""

import math
from typing import ClassVar

import pytest
import torch

import fmcore
from fmcore import ComponentError, ConditionSpec, DataError, FmcoreWarning
from fmcore.testing import CodecSuite, DatasetSuite, ModelSuite
from fmcore_audio.audio_sr import AudioSR, band_of
from fmcore_audio.low_pass import LowPass
from fmcore_audio.lsd import log_spectral_distance
from fmcore_audio.mel import MelSpec
from fmcore_audio.sound_windows import SoundWindows
from fmcore_audio.sounds import read_channels, read_sound
from fmcore_audio.voicebox import Voicebox
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


class TestAudioSRWithRandomFilters(TestAudioSR):
    def component(self):
        return AudioSR(root=self.root, low_rates=(4000, 12000), variants=2, **SMALL)


class TestBandReplace(CodecSuite):
    shape = (20, 12)

    def component(self):
        mel = {"rate": 16000, "n_fft": 256, "hop": 64, "mels": 20}
        of = fmcore.create("codec", "griffin_lim", rounds=4, inversions=5, **mel)
        return fmcore.create("codec", "band_replace", of=of, n_fft=256)

    def condition(self, n):
        sounds = torch.stack([noise(12 * 64 / 16000, seed=i) for i in range(n)])
        return {"sound": sounds, "cutoff": 3000.0 + 500 * torch.arange(n)}


class TestWideband(ModelSuite):
    shape = (6, 16)
    entries: ClassVar = {"low": ConditionSpec((6, 16))}

    def component(self):
        return Wideband(shape=self.shape, entries=self.entries, width=16, depth=2)


class TestVoicebox(TestWideband):
    def component(self):
        return Voicebox(shape=self.shape, entries=self.entries, width=16, heads=2)


class TestVoiceboxOfConvNext(TestWideband):
    def component(self):
        return Voicebox(shape=self.shape, entries=self.entries, layers="convnext", width=8, depth=3)


def test_the_network_of_the_paper_has_two_layers_of_1024_channels():
    with torch.device("meta"):
        network = Voicebox(shape=(256, 200), entries={"low": ConditionSpec((256, 200))})
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
    assert shapes["inner.weight"] == (1024, 512)
    assert shapes["near.weight"] == (1024, 1, 31)
    assert shapes["layers.1.qkv.weight"] == (3072, 1024)
    assert shapes["layers.1.query_norm.weight"] == (64,)


@pytest.mark.parametrize("wrong", [{"width": 10, "heads": 4}, {"entries": {}}])
def test_a_voicebox_that_does_not_fit_is_refused(wrong):
    entries = {"low": ConditionSpec((6, 16))}
    with pytest.raises(ComponentError, match=r"model\.width|data 'audio_sr'"):
        Voicebox(**{"shape": (6, 16), "entries": entries, **wrong})


def test_the_filter_keeps_what_is_below_and_removes_what_is_above():
    time = torch.arange(16000) / 16000
    low, high = (torch.sin(2 * math.pi * hertz * time) for hertz in (1000, 6000))
    inner = slice(1000, -1000)
    found = LowPass(4000)(low + high, 16000)[inner]
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


def test_windows_of_noise_keep_its_power_where_they_overlap():
    windows = SoundWindows(400)
    rows = torch.randn(1, 40, 400, generator=torch.Generator().manual_seed(0)).reshape(40, 400)
    found = windows.joined(rows, 1, 8000)
    assert found.shape == (1, 8000)
    power = found.square().reshape(-1, 100).mean(1)  # two parts of each half window
    assert float(power[1::2].mean()) == pytest.approx(1, abs=0.1)
    assert float(power[::2].mean()) == pytest.approx(1, abs=0.1)


def test_windows_cover_each_channel():
    windows = SoundWindows(8)
    sound = torch.arange(1.0, 41).reshape(2, 20)
    rows = windows.cut(sound)
    assert rows.shape == (8, 8)
    assert rows[0].tolist() == sound[0, :8].tolist()
    assert rows[4].tolist() == sound[1, :8].tolist()
    assert rows[7].tolist() == sound[1, 12:].tolist()
    assert windows.cut(sound[:, :5]).tolist() == [
        [1, 2, 3, 4, 5, 0, 0, 0],
        [21, 22, 23, 24, 25, 0, 0, 0],
    ]


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


def joined(data, file, codec, **given):
    """Return the sound that samples equal to the low-passed spectrograms give."""
    given = {"file": str(file), **given}
    condition = data.encode(given)
    decoded = codec.decode(condition["low"], condition)
    (sound,) = data.joined(condition["low"], condition, decoded, given)
    (file.parent / "out.wav").write_bytes(sound.content)
    return read_channels(file.parent / "out.wav", data.rate)


def codec_of(data, of="griffin_lim", **options):
    mel = {k: getattr(data, k) for k in ("rate", "n_fft", "hop", "mels", "mean", "std")}
    return fmcore.create("codec", "band_replace", of={"name": of, "rounds": 2, **mel}, **options)


@pytest.mark.parametrize("gain", [0.3, 1.5])
def test_a_joined_file_has_the_length_and_the_loudness_of_the_input(folder, tmp_path, gain):
    data = AudioSR(root=folder, **SMALL)
    wave = gain * LowPass(4000)(noise(1.0), 16000)
    write_wav(tmp_path / "in.wav", wave)
    (found,) = joined(data, tmp_path / "in.wav", codec_of(data))
    assert len(found) == len(wave)
    kept, wanted = (LowPass(3500)(x, 16000) for x in (found, wave))
    assert float((kept - wanted).norm() / wanted.norm()) < 0.02


def test_channels_are_extended_each_by_itself(folder, tmp_path):
    data = AudioSR(root=folder, **SMALL)
    wave = LowPass(4000)(torch.stack([noise(0.6), 0.1 * noise(0.6, seed=1)]), 16000)
    write_wav(tmp_path / "in.wav", wave)
    both = joined(data, tmp_path / "in.wav", codec_of(data))
    assert both.shape == wave.shape
    write_wav(tmp_path / "one.wav", wave[1])
    (alone,) = joined(data, tmp_path / "one.wav", codec_of(data))
    torch.testing.assert_close(both[1], alone, atol=1e-4, rtol=0)


def test_silence_stays_silent(folder, tmp_path):
    data = AudioSR(root=folder, **SMALL)
    write_wav(tmp_path / "in.wav", torch.zeros(9000))
    assert not joined(data, tmp_path / "in.wav", codec_of(data)).any()


def test_a_codec_that_does_not_keep_the_band_is_refused(folder, tmp_path):
    data = AudioSR(root=folder, **SMALL)
    write_wav(tmp_path / "in.wav", noise(0.6))
    with pytest.raises(ComponentError, match="use codec 'band_replace'"):
        joined(data, tmp_path / "in.wav", codec_of(data).of)


def test_a_loud_file_is_clipped_with_a_warning(folder, tmp_path):
    data = AudioSR(root=folder, **SMALL)
    write_wav(tmp_path / "in.wav", (30 * noise(0.6)).clamp(-1, 1))
    with pytest.warns(FmcoreWarning, match="halve its volume"):
        joined(data, tmp_path / "in.wav", codec_of(data))


def test_a_file_of_too_low_a_rate_is_refused(folder, tmp_path):
    write_wav(tmp_path / "in.wav", noise(0.5), 6000)
    with pytest.raises(ComponentError, match=r"has 6000 samples .* data\.low_rate=6000"):
        AudioSR(root=folder, **SMALL).encode({"file": str(tmp_path / "in.wav")})


def test_a_network_of_many_rates_extends_the_rate_of_the_file(folder, tmp_path):
    data = AudioSR(root=folder, low_rates=(4000, 12000), **SMALL)
    write_wav(tmp_path / "in.wav", noise(0.5), 6000)
    given = {"file": str(tmp_path / "in.wav")}
    assert data.encode(given)["cutoff"].unique().tolist() == [3000]
    assert data.encode({**given, "low_rate": 5000})["cutoff"].unique().tolist() == [2500]
    for wrong in (3000, 7000, "x"):
        with pytest.raises(ComponentError, match="condition 'low_rate' is"):
            data.encode({**given, "low_rate": wrong})


def test_conditions_without_a_file_are_refused(folder):
    data = AudioSR(root=folder, **SMALL)
    with pytest.raises(ComponentError, match="takes the condition 'file'"):
        data.encode({"low_rate": 8000})
    with pytest.raises(ComponentError, match="no condition 'fil'"):
        data.encode({"fil": "x"})


def test_a_file_that_is_missing_is_named(folder):
    with pytest.raises(ComponentError, match=r"condition 'file': nowhere\.wav: there is no such"):
        AudioSR(root=folder, **SMALL).encode({"file": "nowhere.wav"})


def test_the_prior_of_the_recipe_is_the_low_passed_sound_plus_noise():
    source = fmcore.create("source", "from_condition", key="low", scale=0.5)
    low = torch.randn(64, 6, 16, generator=torch.Generator().manual_seed(0))
    rows = fmcore.Rows(0, "noise", 0, range(64))
    spread = (source.sample(rows, (6, 16), {"low": low}) - low).std()
    assert float(spread) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "change",
    [
        {"low_rate": 16000},
        {"window": 5.0},
        {"rate": 44100, "low_rate": 8000},
        {"low_rates": (9000, 12000)},
        {"variants": 2},
    ],
)
def test_options_that_do_not_fit_are_refused(folder, change):
    with pytest.raises((ComponentError, DataError), match=r"data\.(rate|window|low_rates)"):
        print(AudioSR(root=folder, **{**SMALL, **change}).length)


def test_the_bins_below_the_cutoff_are_those_of_the_input():
    spec = MelSpec(16000, 256, 64, 20, 0, 8000)
    codec = TestBandReplace().component()
    condition = TestBandReplace().condition(2)
    x = torch.randn(2, 20, 12, generator=torch.Generator().manual_seed(0))
    decoded, of = codec.decode(x, condition), codec.of.decode(x)
    found, own, made = map(spec.spectrum, (decoded.values, condition["sound"], of.values))
    inner = slice(3, -3)
    for row, bins in enumerate((3000 / 62.5, 3500 / 62.5)):
        below, above = slice(0, int(bins) - 4), slice(int(bins) + 4, None)
        torch.testing.assert_close(
            found[row, below, inner], own[row, below, inner], atol=0.01, rtol=1e-2
        )
        torch.testing.assert_close(
            found[row, above, inner], made[row, above, inner], atol=0.01, rtol=1e-2
        )


def test_band_replace_needs_a_codec_of_sounds_and_the_input():
    codec = TestBandReplace().component()
    with pytest.raises(ComponentError, match="conditions sound and cutoff"):
        codec.decode(torch.zeros(1, 20, 12), {})
    short = {"sound": torch.zeros(1, 100), "cutoff": torch.zeros(1)}
    with pytest.raises(ComponentError, match="data's hop and rate"):
        codec.decode(torch.zeros(1, 20, 12), short)


def test_files_of_a_lower_rate_are_left_out(folder, tmp_path):
    for i in range(12):
        write_wav(tmp_path / f"{i}.wav", noise(0.6, seed=i))
        write_wav(tmp_path / f"low{i}.wav", noise(0.6, seed=i), 8000)
    assert AudioSR(root=tmp_path, **SMALL).length == AudioSR(root=folder, **SMALL).length


def test_speakers_are_held_out_and_left_out_by_name(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        write_wav(tmp_path / name / "1.wav", noise(0.3))
    train = AudioSR(root=tmp_path, leave_out=("a",), held_out=("b",), **SMALL)
    assert {file.parent.name for file, _ in train._windows} == {"c"}
    assert {file.parent.name for file, _ in train.with_split("test")._windows} == {"b"}


def test_a_random_filter_is_of_its_window_alone(folder):
    data = AudioSR(root=folder, low_rates=(4000, 12000), variants=2, **SMALL)
    cutoffs = data.batch(range(data.length))["cutoff"]
    assert len(cutoffs.unique()) > 3
    assert float(cutoffs.min()) >= 2000
    assert float(cutoffs.max()) <= 6000
    test = data.with_split("test").batch([0])
    assert test["cutoff"].tolist() == [4000]
    torch.testing.assert_close(
        data.normal(data.with_split("test").wide_sound(0)), test["x1"][0], atol=1e-4, rtol=1e-4
    )

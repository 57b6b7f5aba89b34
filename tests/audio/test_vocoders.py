"""Vocoders: spectra, the flow vocoder of another run, and HiFi-GAN's published checkpoints."""

import json
import pickle
from typing import ClassVar

import pytest
import torch
from torch.nn import functional as F

import fmcore
from fmcore import ComponentError, ConditionSpec, DataError, load_recipe
from fmcore.testing import CodecSuite, DatasetSuite, ModelSuite
from fmcore_audio.flow_vocoder import corrected, gain
from fmcore_audio.hifigan import Hifigan
from fmcore_audio.mel import MelSpec
from fmcore_audio.spectra import Spectra, as_channels, from_channels
from fmcore_audio.spectrum_net import SpectrumNet
from fmcore_audio.speech import Speech
from fmcore_audio.spoken_digits import SpokenDigits

MEL = {"rate": 16000, "n_fft": 256, "hop": 64, "mels": 20}


def speech(root):
    return Speech(root=root, max_seconds=1.2, max_text=20, **MEL)


class TestSpectra(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _root(self, recordings, tmp_path):
        self.root, self.nowhere = recordings, tmp_path

    def component(self):
        return Spectra(of=speech(self.root), n_fft=128, hop=32, window=0.1)

    def missing(self):
        return Spectra(of=speech(self.nowhere), n_fft=128, hop=32, window=0.1)


class TestMagnitudes(TestSpectra):
    def component(self):
        return Spectra(of=speech(self.root), n_fft=256, hop=64, window=0.1, phases=False)

    def missing(self):
        return Spectra(of=speech(self.nowhere), n_fft=256, hop=64, window=0.1, phases=False)


class TestSpectrumNet(ModelSuite):
    shape = (10, 16)
    entries: ClassVar = {"mel": ConditionSpec((6, 8))}

    def component(self):
        return SpectrumNet(shape=self.shape, entries=self.entries, width=16, depth=2)


def test_spectra_give_the_sound_back(recordings):
    data = Spectra(of=speech(recordings), n_fft=128, hop=32, window=0.1)
    batch = data.batch(range(4))
    sound = data.sound(batch["x1"])
    (clip,) = {c.wave(16000) for c in data.speech.clips()[:1]}
    torch.testing.assert_close(sound[0], clip[: data.samples], atol=1e-5, rtol=0)
    torch.testing.assert_close(data.speech.normal(sound), batch["mel"], atol=1e-3, rtol=0)


def test_magnitudes_are_those_of_the_spectra_and_give_a_sound_with_the_same_spectrogram(recordings):
    options = {"n_fft": 256, "hop": 64, "window": 0.1}
    whole = Spectra(of=speech(recordings), **options)
    data = Spectra(of=speech(recordings), phases=False, **options)
    both, alone = whole.batch(range(4)), data.batch(range(4))
    real, imaginary = both["x1"].chunk(2, 1)
    torch.testing.assert_close(alone["x1"], torch.hypot(real, imaginary))
    assert alone["x1"].shape[1:] == data.shape
    assert data.fingerprint != whole.fingerprint
    found, wanted = data.speech.normal(data.sound(alone["x1"])), alone["mel"]
    loud = wanted > wanted.max() - 1  # the bands of the tones
    assert float((found - wanted)[loud].abs().mean()) < 0.05


def test_a_power_changes_magnitudes_and_keeps_phases():
    values = torch.polar(torch.tensor([[4.0]]), torch.tensor([[1.0]]))
    channels = as_channels(values, 0.5)
    assert channels.flatten().tolist() == pytest.approx(
        [2 * torch.cos(torch.tensor(1.0)).item(), 2 * torch.sin(torch.tensor(1.0)).item()]
    )
    torch.testing.assert_close(from_channels(channels, 0.5), values)


def test_spectra_of_other_data_and_hops_are_refused(recordings):
    with pytest.raises(ComponentError, match="needs recordings of speech"):
        Spectra(of=fmcore.create("data", "digits"))
    with pytest.raises(ComponentError, match="must divide the hop"):
        Spectra(of=speech(recordings), hop=48)
    with pytest.raises(ComponentError, match=r"set data\.n_fft: 256 and data\.hop: 64"):
        Spectra(of=speech(recordings), n_fft=128, hop=64, phases=False)


@pytest.fixture(scope="module")
def vocoder(recordings, tmp_path_factory):
    """The folder of a vocoder trained for two steps."""
    return trained(recordings, tmp_path_factory, "n_fft: 128, hop: 32, phases: true")


@pytest.fixture(scope="module")
def magnitude_vocoder(recordings, tmp_path_factory):
    """The folder of a vocoder that generates magnitudes, trained for two steps."""
    return trained(recordings, tmp_path_factory, "n_fft: 256, hop: 64, phases: false")


def trained(recordings, tmp_path_factory, spectra):
    root = tmp_path_factory.mktemp("vocoder") / "run"
    of = f"{{name: speech, max_seconds: 1.2, max_text: 20, root: '{recordings}', rate: 16000, "
    of += "n_fft: 256, hop: 64, mels: 20}"
    options = [
        f"data={{name: spectra, of: {of}, {spectra}, window: 0.1}}",
        "model={name: spectrum_net, width: 8, depth: 1}",
        "train={steps: 2, batch_size: 4}",
        "sample={count: 2, solver: {name: euler, nfe: 1}, condition: test}",
    ]
    fmcore.run(load_recipe("vocoder", options), out=root, device="cpu", quiet=True)
    return root


def flow_vocoder(root, **options):
    options = {"mean": -5.0, "std": 2.0, **MEL, **options}
    return fmcore.create("codec", "flow_vocoder", run=root, steps=1, **options)


class TestFlowVocoder(CodecSuite):
    shape = (20, 12)

    @pytest.fixture(autouse=True)
    def _root(self, vocoder):
        self.root = vocoder

    def component(self):
        return flow_vocoder(self.root)

    def condition(self, n):
        return {"mask": (torch.arange(12) < 12 - torch.arange(n)[:, None]).float()[:, None]}


class TestMagnitudeVocoder(TestFlowVocoder):
    @pytest.fixture(autouse=True)
    def _root(self, magnitude_vocoder):
        self.root = magnitude_vocoder


def test_a_vocoders_sound_is_as_long_as_the_spectrogram(vocoder):
    mask = torch.ones(1, 1, 12)
    mask[..., 5:] = 0
    decoded = flow_vocoder(vocoder).decode(torch.randn(1, 20, 12), {"mask": mask})
    assert decoded.values.shape == (1, 12 * 64)
    assert decoded.lengths.tolist() == [5 * 64]
    assert not decoded.values[0, 5 * 64 :].any()


def test_more_frames_do_not_change_the_first_ones(vocoder):
    x = torch.randn(1, 20, 40, generator=torch.Generator().manual_seed(0))
    codec = flow_vocoder(vocoder)
    long, short = codec.decode(x).values, codec.decode(x[..., :30]).values
    torch.testing.assert_close(long[:, : 20 * 64], short[:, : 20 * 64], atol=1e-5, rtol=1e-4)


def test_a_vocoder_of_other_spectrograms_is_refused(vocoder):
    with pytest.raises(ComponentError, match="train one on these"):
        flow_vocoder(vocoder, n_fft=512).decode(torch.zeros(1, 20, 12))


def test_corrected_magnitudes_have_the_spectrogram_that_is_asked_for():
    spec = MelSpec(16000, 256, 64, 20, 0, 8000)
    generator = torch.Generator().manual_seed(0)
    magnitude = torch.rand(1, 129, 10, generator=generator) + 0.5
    wanted = spec.filters @ (torch.rand(1, 129, 10, generator=generator) + 0.5)
    errors = []
    for _ in range(5):
        errors.append(float((spec.filters @ magnitude / wanted).log().abs().mean()))
        magnitude = magnitude * gain(spec, magnitude, wanted)
    assert errors[4] < 0.1 * errors[0]
    # magnitudes that have it are not changed, but for bins that no filter covers
    covered = spec.filters.sum(0) > 0
    same = gain(spec, magnitude, spec.filters @ magnitude)[:, covered]
    torch.testing.assert_close(same, torch.ones_like(same))


def test_corrections_give_a_sound_the_spectrogram_and_keep_its_phases():
    spec = MelSpec(16000, 256, 64, 20, 0, 8000)
    generator = torch.Generator().manual_seed(0)
    wave = 0.1 * torch.randn(1, 64 * 40, generator=generator)
    wanted = 3 * spec.mel(wave).exp()
    found = corrected(spec, wave, wanted)
    inner = slice(200, -200)
    error = (found - 3 * wave)[:, inner].norm() / (3 * wave)[:, inner].norm()
    # 0 Hz and 8 kHz are in no band and keep their size: 2/3 of the norm of 1 to 2 in 129 bins
    assert float(error) < 2 / 3 * (2 / 129) ** 0.5
    far = (spec.mel(0.5 * wave.roll(7, 1)) - wanted.log()).abs().mean()
    near = (spec.mel(corrected(spec, 0.5 * wave.roll(7, 1), wanted)) - wanted.log()).abs().mean()
    assert float(near) < 0.3 * float(far)


CONFIG = {
    "upsample_rates": [4, 2],
    "upsample_kernel_sizes": [8, 4],
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": [3, 5],
    "resblock_dilation_sizes": [[1, 3], [1, 2]],
    "resblock": "1",
    "num_mels": 6,
    "sampling_rate": 16000,
    "learning_rate": 0.0002,
}
HOP = 8
HIFI = {"rate": 16000, "n_fft": 32, "hop": HOP, "mels": 6, "mean": 0.0, "std": 1.0}


def random_state(config):
    """A state dict with the names and the weight norm of the published checkpoints."""
    generator = torch.Generator().manual_seed(0)
    state = {}

    def convolution(name, outputs, inputs, kernel, bias):
        state[f"{name}.weight_v"] = torch.randn(outputs, inputs, kernel, generator=generator)
        state[f"{name}.weight_g"] = torch.rand(outputs, 1, 1, generator=generator) + 0.2
        state[f"{name}.bias"] = 0.1 * torch.randn(bias, generator=generator)

    width = config["upsample_initial_channel"]
    convolution("conv_pre", width, config["num_mels"], 7, width)
    block = 0
    for i, kernel in enumerate(config["upsample_kernel_sizes"]):
        convolution(f"ups.{i}", width, width // 2, kernel, width // 2)  # a transposed one
        width //= 2
        for size, dilations in zip(
            config["resblock_kernel_sizes"], config["resblock_dilation_sizes"], strict=True
        ):
            groups = ("convs1", "convs2") if config["resblock"] == "1" else ("convs",)
            for group in groups:
                for j in range(len(dilations)):
                    convolution(f"resblocks.{block}.{group}.{j}", width, width, size, width)
            block += 1
    convolution("conv_post", 1, width, 7, 1)
    return state


def expected_sound(state, config, mel):
    """The generator as the paper's figure 1, straight from the tensors of the checkpoint."""

    def weight(name):
        v, g = state[f"{name}.weight_v"], state[f"{name}.weight_g"]
        return v * g / v.square().sum((1, 2), keepdim=True).sqrt(), state[f"{name}.bias"]

    def conv(x, name, dilation=1):
        w, b = weight(name)
        return F.conv1d(x, w, b, padding=(w.shape[2] - 1) * dilation // 2, dilation=dilation)

    x, block = conv(mel, "conv_pre"), 0
    for i, rate in enumerate(config["upsample_rates"]):
        w, b = weight(f"ups.{i}")
        x = F.leaky_relu(x, 0.1)
        x = F.conv_transpose1d(x, w, b, stride=rate, padding=(w.shape[2] - rate) // 2)
        total = 0
        for dilations in config["resblock_dilation_sizes"]:
            y = x
            for j, d in enumerate(dilations):
                z = conv(F.leaky_relu(y, 0.1), f"resblocks.{block}.convs1.{j}", d)
                y = y + conv(F.leaky_relu(z, 0.1), f"resblocks.{block}.convs2.{j}")
            total, block = total + y, block + 1
        x = total / len(config["resblock_dilation_sizes"])
    return conv(F.leaky_relu(x, 0.01), "conv_post").tanh()[:, 0]


@pytest.fixture
def checkpoint(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    torch.save({"generator": random_state(CONFIG)}, tmp_path / "g_02500000")
    return tmp_path / "g_02500000"


class TestHifigan(CodecSuite):
    shape = (6, 12)

    @pytest.fixture(autouse=True)
    def _file(self, checkpoint):
        self.file = checkpoint

    def component(self):
        return Hifigan(file=self.file, **HIFI)

    def condition(self, n):
        return {"mask": (torch.arange(12) < 12 - torch.arange(n)[:, None]).float()[:, None]}


def test_a_published_checkpoint_gives_the_generators_sound(checkpoint):
    mel = torch.randn(2, 6, 9, generator=torch.Generator().manual_seed(1))
    found = Hifigan(file=checkpoint, **HIFI).decode(mel)
    assert found.values.shape == (2, 9 * HOP)
    assert found.lengths.tolist() == [9 * HOP] * 2
    wanted = expected_sound(random_state(CONFIG), CONFIG, mel)
    torch.testing.assert_close(found.values, wanted, atol=1e-5, rtol=1e-4)


def test_the_network_gets_log_mel_values_whatever_the_data_are_scaled_by(checkpoint):
    mel = torch.randn(1, 6, 9, generator=torch.Generator().manual_seed(1))
    scaled = Hifigan(file=checkpoint, **{**HIFI, "mean": -2.0, "std": 3.0})
    found = scaled.decode((mel + 2) / 3).values
    torch.testing.assert_close(
        found, Hifigan(file=checkpoint, **HIFI).decode(mel).values, atol=1e-5, rtol=1e-4
    )


def test_the_small_generator_has_the_names_of_its_checkpoints(checkpoint):
    config = {**CONFIG, "resblock": "2"}
    checkpoint.with_name("config.json").write_text(json.dumps(config))
    torch.save({"generator": random_state(config)}, checkpoint)
    found = Hifigan(file=checkpoint, **HIFI).decode(torch.zeros(1, 6, 5))
    assert found.values.shape == (1, 5 * HOP)


def test_a_missing_checkpoint_is_named(tmp_path):
    codec = Hifigan(file=tmp_path / "g", **HIFI)
    with pytest.raises(DataError, match=r"config\.json: there is no such file: codec\.file"):
        codec.decode(torch.zeros(1, 6, 5))


def test_a_checkpoint_of_another_rate_is_refused(checkpoint):
    codec = Hifigan(file=checkpoint, **{**HIFI, "rate": 8000, "f_max": 4000.0})
    with pytest.raises(ComponentError, match=r"data\.rate is 8000, and it needs 16000"):
        codec.decode(torch.zeros(1, 6, 5))


class Harmful:
    def __reduce__(self):
        return print, ("this must not run",)


@pytest.mark.parametrize("kind", ["text", "pickle", "other", "shapes", "half"])
def test_a_file_that_is_no_generator_is_refused(checkpoint, kind, capsys):
    state = random_state(CONFIG)
    if kind == "text":
        checkpoint.write_text("no checkpoint")
    elif kind == "pickle":
        checkpoint.write_bytes(pickle.dumps({"generator": Harmful()}))
    elif kind == "other":
        torch.save({"discriminator": state}, checkpoint)
    elif kind == "shapes":
        torch.save({"generator": {**state, "conv_pre.bias": torch.zeros(3)}}, checkpoint)
    else:
        del state["conv_pre.weight_g"]
        torch.save({"generator": state}, checkpoint)
    with pytest.raises(DataError, match="g_02500000: "):
        Hifigan(file=checkpoint, **HIFI).decode(torch.zeros(1, 6, 5))
    assert "must not run" not in capsys.readouterr().out


def test_a_config_that_is_no_config_is_refused(checkpoint):
    checkpoint.with_name("config.json").write_text("[1]")
    with pytest.raises(DataError, match=r"is no config\.json of HiFi-GAN"):
        Hifigan(file=checkpoint, **HIFI).decode(torch.zeros(1, 6, 5))


def test_spectra_are_of_spoken_digits_in_the_recipe():
    data = fmcore.create("data", "spectra", of={"name": "spoken_digits"})
    assert isinstance(data.speech, SpokenDigits)
    assert data.shape == (514, 62)

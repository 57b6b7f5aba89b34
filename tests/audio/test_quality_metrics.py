"""Opinion scores by other packages, and the real-time factor."""

import importlib.util
import sys
import types
from pathlib import Path

import pytest
import torch

import fmcore
from fmcore import ComponentError, DataError, Decoded, Evaluation, MetricBatch
from fmcore_audio.audio_sr import AudioSR
from fmcore_audio.dnsmos import DNSMOS
from fmcore_audio.rtf import RealTimeFactor
from fmcore_audio.visqol import ViSQOL

from .conftest import write_wav
from .test_audio_sr import SMALL, noise


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("quality")
    for i in range(12):
        write_wav(root / f"{i}.wav", noise(0.6, seed=i))
    return AudioSR(root=root, **SMALL)


def evaluation(data, field=None):
    return Evaluation(data, data, fmcore.create("path", "ot"), field, 0, 4, Path())


def measured(metric, data, decoded, field=None, nfe=None):
    x = torch.zeros(len(decoded.values), *data.shape)
    metric.begin(evaluation(data, field))
    metric.update(MetricBatch(torch.arange(len(x)), x, None, {}, nfe=nfe, decoded=decoded))
    ((_, result),) = metric.compute().items()
    return result


@pytest.fixture
def stubs(monkeypatch):
    """Packages that give the number of samples, or the largest difference, as the score."""
    speechmos, visqol = types.ModuleType("speechmos"), types.ModuleType("visqol")
    speechmos.dnsmos = types.SimpleNamespace(run=lambda x, sr: {"ovrl_mos": len(x) / sr})

    class Api:
        def create(self, **options):
            assert options == {"mode": "speech", "use_lattice_model": False}

        def measure_from_arrays(self, real, found, rate):
            assert rate == 16000
            return types.SimpleNamespace(moslqo=5 - abs(real - found).max())

    visqol.VisqolApi = Api
    monkeypatch.setitem(sys.modules, "speechmos", speechmos)
    monkeypatch.setitem(sys.modules, "visqol", visqol)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.0")


def test_dnsmos_is_given_each_sound_at_its_length_at_16_khz(data, stubs):
    decoded = Decoded(torch.zeros(2, 8000), 8000, torch.tensor([4000, 8000]))
    result = measured(DNSMOS(), data, decoded)
    assert result.value == pytest.approx(0.75)
    assert result.provenance["speechmos"] == "1.0"


def test_visqol_compares_a_sample_with_the_recording_of_its_example(data, stubs):
    real = torch.stack([data.wide_sound(i) for i in range(3)])
    assert measured(ViSQOL(), data, Decoded(real, 16000)).value == pytest.approx(5)
    assert measured(ViSQOL(), data, Decoded(real.roll(1, 0), 16000)).value < 4.9
    assert ViSQOL.paired


@pytest.mark.parametrize("metric", [DNSMOS(), ViSQOL()])
def test_a_missing_package_is_named_with_the_extra(data, monkeypatch, metric):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    wanted = r"needs (speechmos and onnxruntime|visqol): pip install 'fmcore-flow\[audio-quality\]'"
    with pytest.raises(DataError, match=wanted):
        metric.check(data, fmcore.create("path", "ot"))


def test_a_recipe_without_sounds_is_refused(data):
    metric = DNSMOS()
    metric.begin(evaluation(data))
    with pytest.raises(ComponentError, match="give the recipe a codec"):
        metric.update(MetricBatch(torch.arange(1), torch.zeros(1, *data.shape), None))


def test_visqol_refuses_data_of_other_lengths():
    with pytest.raises(ComponentError, match="use data 'audio_sr'"):
        ViSQOL().check(fmcore.create("data", "digits"), fmcore.create("path", "ot"))


class Clocked:
    """A field on a clock of its own: an evaluation lasts one second."""

    model = None

    def __init__(self, clock):
        self.clock = clock

    def prepare(self, condition):
        return condition

    def __call__(self, x, t, condition=None):
        self.clock.now += 1
        return x


def test_the_real_time_factor_is_computing_time_over_sound(data, monkeypatch):
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr("fmcore_audio.rtf.time.perf_counter", lambda: clock.now)
    decoded = Decoded(torch.zeros(2, 8), 16000)
    nfe = torch.tensor([4, 6])
    result = measured(RealTimeFactor(), data, decoded, Clocked(clock), nfe)
    assert result.value == pytest.approx(5 / (data.samples / 16000))
    two = measured(RealTimeFactor(rows=2), data, decoded, Clocked(clock), nfe)
    assert two.value == pytest.approx(result.value / 2)


def test_the_real_time_factor_needs_a_network(data):
    with pytest.raises(ComponentError, match="and its network"):
        measured(RealTimeFactor(), data, Decoded(torch.zeros(1, 8), 16000), nfe=torch.tensor([1]))
    with pytest.raises(ComponentError, match="measures spectrograms"):
        RealTimeFactor().check(fmcore.create("data", "digits"), fmcore.create("path", "ot"))

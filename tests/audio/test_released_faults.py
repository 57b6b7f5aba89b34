"""Faults of the released FLowHigh as negative controls: each fails the check that ours passes."""

import pytest
import torch
from torch.nn import functional as F

import fmcore
from fmcore import Problem
from fmcore_audio.audio_sr import AudioSR
from fmcore_audio.low_pass import LowPass
from fmcore_audio.sounds import read_channels

from .conftest import write_wav
from .test_audio_sr import SMALL, codec_of, joined, noise

LOW, MEAN, SPREAD = 1.0, 3.0, 0.5
"""A condition, and the Gaussian of the data given it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("faults")
    for i in range(12):
        write_wav(root / f"{i}.wav", noise(0.6, seed=i))
    return root


def exact_field(x, t, condition=None):
    """The velocity from N(LOW, 1) to N(MEAN, SPREAD^2) on the linear path."""
    t = t.view(-1, 1)
    variance = (1 - t) ** 2 + (t * SPREAD) ** 2
    slope = (t * SPREAD**2 - (1 - t)) / variance
    return MEAN - LOW + slope * (x - (1 - t) * LOW - t * MEAN)


def spread_of_samples(scale):
    """The standard deviation of samples whose noise has the standard deviation `scale`."""
    source = fmcore.create("source", "from_condition", key="low", scale=scale)
    low = torch.full((4000, 1), LOW)
    x0 = source.sample(fmcore.Rows(0, "noise", 0, range(4000)), (1,), {"low": low})
    problem = Problem(exact_field, x0.double())
    x = fmcore.create("solver", "heun2", nfe=100).solve(problem).x
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.03)
    return float(x.std())


def test_samples_from_the_prior_of_training_have_the_spread_of_the_data():
    assert spread_of_samples(1.0) == pytest.approx(SPREAD, rel=0.05)


def test_samples_from_the_prior_of_the_released_code_have_none():
    assert spread_of_samples(1e-4) < 1e-3 * SPREAD


def aligned(low, data, sound):
    """Whether the first frames of a window are those of the sound; the last ones see its end."""
    wanted = data.normal(sound)
    inner = slice(2, wanted.shape[1] - 4)
    return bool((low[0, : data.first_band - 2, inner] - wanted[: data.first_band - 2, inner])
                .abs().mean() < 0.05)  # fmt: skip


def test_a_short_sound_is_padded_at_its_end_and_not_in_front(folder, tmp_path):
    data = AudioSR(root=folder, **SMALL)
    wave = LowPass(4000)(noise(0.15), 16000)
    write_wav(tmp_path / "in.wav", wave)
    given = {"file": str(tmp_path / "in.wav")}
    rows = data.encode(given)
    sound = data.opened(given)
    assert aligned(rows["low"], data, sound.wave[0] * sound.gains[0])
    in_front = F.pad(rows["sound"][:, : len(wave)], (data.samples - len(wave), 0))
    assert not aligned(data.normal(in_front), data, sound.wave[0] * sound.gains[0])


def has_the_loudness(found, wave):
    low = LowPass(3500)
    return abs(float(low(found, 16000).norm() / low(wave, 16000).norm()) - 1) < 0.02


def test_the_loudness_is_the_inputs_and_not_that_of_a_normalised_peak(folder, tmp_path):
    data = AudioSR(root=folder, **SMALL)
    wave = 0.2 * LowPass(4000)(noise(0.6), 16000)
    write_wav(tmp_path / "in.wav", wave)
    found = joined(data, tmp_path / "in.wav", codec_of(data))
    assert has_the_loudness(found, wave)
    assert found.shape == read_channels(tmp_path / "in.wav", 16000).shape
    assert not has_the_loudness(0.99 * found / found.abs().max(), wave)

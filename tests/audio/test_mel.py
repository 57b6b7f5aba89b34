"""Log-mel spectrograms against their definition."""

import math

import pytest
import torch

from fmcore import ComponentError
from fmcore_audio.mel import MelSpec, mel_filters, slaney_hertz, slaney_mel


def test_the_mel_scale_is_linear_to_1_khz_and_logarithmic_above():
    hertz = torch.tensor([0.0, 500.0, 1000.0, 6400.0], dtype=torch.float64)
    assert slaney_mel(hertz).tolist() == pytest.approx([0, 7.5, 15, 42])
    assert slaney_hertz(slaney_mel(hertz)).tolist() == pytest.approx(hertz.tolist())


def test_filters_are_triangles_of_area_1_in_hertz():
    filters = mel_filters(16000, 2**14, 20, 0, 8000)
    assert filters.sum(1).mul(16000 / 2**14).tolist() == pytest.approx([1.0] * 20, rel=0.01)
    assert bool((filters >= 0).all())


def test_a_filter_has_the_height_of_its_triangle():
    # the lowest of 43 filters from 0 to 8 kHz, and the bin at 50 Hz
    top = float(slaney_mel(torch.tensor(8000.0, dtype=torch.float64)))
    peak = top / 44 * 200 / 3
    right, at = 2 * peak, 50.0
    wanted = min(at / peak, (right - at) / (right - peak)) * 2 / right
    assert float(mel_filters(16000, 320, 43, 0, 8000)[0, 1]) == pytest.approx(wanted)


def test_a_sine_has_its_energy_in_the_band_of_its_frequency():
    spec = MelSpec(16000, 1024, 256, 80, 0, 8000)
    time = torch.arange(16000) / 16000
    mel = spec.mel(torch.sin(2 * math.pi * 1000 * time))
    assert mel.shape == (80, spec.frames(16000))
    ends = slaney_mel(torch.tensor([0.0, 8000.0], dtype=torch.float64))
    wanted = 15 / (float(ends[1]) / 81) - 1  # 1 kHz is 15 mel
    assert abs(int(mel[:, 30].argmax()) - wanted) <= 1


def test_silence_is_the_floor_and_a_short_sound_has_a_frame():
    spec = MelSpec()
    mel = spec.mel(torch.zeros(2, 10))
    assert mel.shape == (2, 80, 1)
    assert mel.unique().tolist() == pytest.approx([math.log(1e-5)])


def test_the_sound_of_a_spectrum_is_the_sound():
    spec = MelSpec(16000, 512, 128, 40, 0, 8000)
    wave = torch.randn(2, 128 * 20, generator=torch.Generator().manual_seed(0))
    inner = slice(512, -512)  # the ends are under the slope of one window only
    torch.testing.assert_close(
        spec.sound(spec.spectrum(wave))[:, inner], wave[:, inner], rtol=1e-4, atol=1e-4
    )


def test_the_frames_of_a_sound_do_not_depend_on_what_follows():
    spec = MelSpec(16000, 512, 128, 40, 0, 8000)
    wave = torch.randn(128 * 40, generator=torch.Generator().manual_seed(0))
    alone, longer = spec.mel(wave[: 128 * 20]), spec.mel(wave)
    torch.testing.assert_close(alone[:, :17], longer[:, :17])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"f_max": 12000.0}, "half the rate"),
        ({"f_min": 9000.0}, "above f_min"),
        ({"hop": 255}, "even"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options, named):
    with pytest.raises(ComponentError, match=named):
        MelSpec(**options)

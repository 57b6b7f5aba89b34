"""A folder of recordings in the layout of LJ Speech, made of tones."""

import math
import wave

import pytest
import torch

from fmcore import Portrait

TEXTS = [
    f"tone {word}"
    for word in ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
]
TEXTS += [
    f"note {word}"
    for word in ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
]


def tone(seconds, hertz, rate=16000):
    """Return a sine of `hertz` that fades, `(samples,)`."""
    time = torch.arange(int(seconds * rate)) / rate
    return 0.5 * torch.sin(2 * math.pi * hertz * time) * torch.exp(-time)


def write_wav(file, values, rate=16000):
    file.write_bytes(Portrait.sound(values, rate).content)


def write_8_bit(file, values, rate=16000):
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(rate)
        sound.writeframes(bytes((values * 127 + 128).round().byte().tolist()))


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """The folder: 20 clips of half a second and more."""
    root = tmp_path_factory.mktemp("recordings")
    (root / "wavs").mkdir()
    lines = []
    for i, text in enumerate(TEXTS):
        write_wav(root / "wavs" / f"clip{i}.wav", tone(0.5 + 0.02 * i, 200 + 50 * i))
        lines.append(f"clip{i}|{text.upper()}|{text}")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    return root

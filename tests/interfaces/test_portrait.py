"""Portraits: files that show samples, on disk and in the report."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
import torch
from PIL import Image

from fmcore import ComponentError, Portrait, RunError, create
from fmcore.report.parts import data_uri
from fmcore.runs.portraits import read_portraits, write_portraits


def pixels(portrait: Portrait) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(portrait.content)))


def test_a_picture_of_one_channel_is_gray_and_spans_black_to_white():
    levels = torch.tensor([[[0, 8], [16, 4]]], dtype=torch.uint8)
    assert pixels(Portrait.picture(levels, 17)).tolist() == [[0, 128], [255, 64]]


def test_a_picture_of_three_channels_keeps_its_pixels():
    levels = torch.randint(0, 256, (3, 5, 7), generator=torch.Generator().manual_seed(0))
    found = pixels(Portrait.picture(levels.to(torch.uint8), 256))
    assert (found == levels.permute(1, 2, 0).numpy()).all()


def test_a_sound_is_a_wav_file_of_16_bits():
    values = torch.tensor([[0.0, 1.0, -2.0], [0.5, -0.5, 0.0]])
    with wave.open(io.BytesIO(Portrait.sound(values, 8000).content)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (2, 2, 8000)
        frames = np.frombuffer(sound.readframes(3), dtype="<i2").reshape(3, 2).T
    assert frames.tolist() == [[0, 32767, -32767], [16384, -16384, 0]]


def test_what_is_no_picture_or_sound_is_refused():
    with pytest.raises(ComponentError, match="1 or 3 channels"):
        Portrait.picture(torch.zeros(2, 4, 4), 256)
    with pytest.raises(ComponentError, match="a rate above 0"):
        Portrait.sound(torch.zeros(4), 0)
    with pytest.raises(ComponentError, match="the suffix of a portrait"):
        Portrait(b"", "../x")


def test_images_are_portrayed_with_the_names_of_their_classes():
    data = create("data", "digits")
    batch = data.batch([0, 5])
    portraits = data.portray(batch["x1"], {"label": batch["label"]})
    assert [p.caption for p in portraits] == [data.class_names[n] for n in batch["label"]]
    assert pixels(portraits[1]).shape == (8, 8)


def test_portraits_of_an_earlier_drawing_are_removed(tmp_path):
    write_portraits(tmp_path, [Portrait.text("a"), Portrait.text("b", "second")])
    (tmp_path / "0007.txt").write_text("mine")
    write_portraits(tmp_path, [Portrait(b"ATOM", "pdb", "a chain")])
    assert [(f.name, c) for f, c in read_portraits(tmp_path)] == [("0000.pdb", "a chain")]
    left = sorted(file.name for file in tmp_path.iterdir())
    assert left == ["0000.pdb", "0007.txt", "portraits.json"]


@pytest.mark.parametrize(
    "index", ["[", "[1]", '{"../../secret.txt": ""}', '{"0000.txt": ""}', '{"0000.txt/..": ""}']
)
def test_an_edited_index_names_no_other_file(tmp_path, index):
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    (root / "portraits.json").write_text(index)
    assert read_portraits(root) == []


def test_nothing_is_removed_through_a_link(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    write_portraits(real, [Portrait.text("a"), Portrait.text("b")])
    link.symlink_to(real)
    with pytest.raises(RunError, match="is a link"):
        write_portraits(link, [Portrait.text("c")])
    assert len(read_portraits(real)) == 2


def test_a_riff_file_is_a_sound_or_a_picture_by_its_form(tmp_path):
    (tmp_path / "a.wav").write_bytes(Portrait.sound(torch.zeros(4), 8000).content)
    Image.new("RGB", (2, 2)).save(tmp_path / "b.webp")
    assert (data_uri(tmp_path / "a.wav", "audio") or "").startswith("data:audio/wav;base64,")
    assert (data_uri(tmp_path / "b.webp") or "").startswith("data:image/webp;base64,")
    with pytest.raises(ValueError, match=r"a\.wav is not a PNG, GIF or WebP"):
        data_uri(tmp_path / "a.wav")
    with pytest.raises(ValueError, match=r"b\.webp is not a WAV"):
        data_uri(tmp_path / "b.webp", "audio")

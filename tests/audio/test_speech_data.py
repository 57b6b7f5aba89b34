"""Datasets of speech: the suite, the layout of folders, texts, and files that do not fit."""

import dataclasses
import gzip
import importlib.util

import pytest
import torch

from fmcore import ComponentError, DataError, FmcoreWarning
from fmcore.testing import DatasetSuite
from fmcore_audio.asterisk import SOUNDS, TEXTS, Asterisk
from fmcore_audio.sounds import read_sound, sound_length
from fmcore_audio.speech import Speech, is_held_out
from fmcore_audio.spoken_digits import DIGITS, SpokenDigits, digit_strings, phoneme_starts
from fmcore_audio.text import Symbols, sentences

from .conftest import tone, write_8_bit, write_wav

SMALL = {"rate": 16000, "mels": 20, "max_seconds": 1.2, "max_text": 20}
needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="needs espeakng-loader"
)


@pytest.mark.filterwarnings("ignore:.*are left out")  # by some of the options that a law changes
class TestSpeech(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _root(self, recordings, tmp_path):
        self.root, self.nowhere = recordings, tmp_path

    def component(self):
        return Speech(root=self.root, **SMALL)

    def missing(self):
        return Speech(root=self.nowhere, **SMALL)


@needs_espeak
class TestSpokenDigits(DatasetSuite):
    def component(self):
        return SpokenDigits(count=12, held_out=6)


def test_a_batch_is_padded_and_masked(recordings):
    data = Speech(root=recordings, **SMALL)
    batch = data.batch([0, 1])
    frames = data.sizes[:2].tolist()
    assert batch["mask"].sum((1, 2)).tolist() == frames
    for row, n in enumerate(frames):
        assert not batch["x1"][row, :, n:].any()
    assert data.texts(batch) == [data.alphabet.normal(clip.text) for clip in data._usable[0][:2]]


def test_statistics_are_those_of_the_log_mel_values(recordings):
    data = Speech(root=recordings, **SMALL)
    mean, std = data.statistics()
    same = dataclasses.replace(data, mean=mean, std=std)
    values = torch.cat([same.spectrogram(i).flatten() for i in range(same.length)])
    assert float(values.mean()) == pytest.approx(0, abs=1e-4)
    assert float(values.std()) == pytest.approx(1, abs=1e-4)


def test_equal_texts_are_in_one_split(recordings):
    splits = [Speech(root=recordings, split=split, **SMALL) for split in ("train", "test")]
    train, test = ({clip.text for clip in data.clips()} for data in splits)
    assert not train & test
    assert all(is_held_out(text) for text in test)


def test_a_clip_with_fewer_frames_than_symbols_is_left_out(recordings, tmp_path):
    (tmp_path / "wavs").mkdir()
    write_wav(tmp_path / "wavs" / "a.wav", tone(0.05, 300))  # 3 frames
    write_wav(tmp_path / "wavs" / "b.wav", tone(0.5, 300))
    (tmp_path / "metadata.csv").write_text("a|seven\nb|seven\n")
    data = Speech(root=tmp_path, split="test" if is_held_out("seven") else "train", **SMALL)
    with pytest.warns(FmcoreWarning, match=r"1 of 2 clips .* left out, first that of .*, line 1:"):
        assert (data.length, data.left_out) == (1, 1)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("a", "line 1: should be NAME"),
        ("a|one", "there is no wavs/a.wav"),
        ("b|na\u00efve", r"metadata.csv, line 1: .* '\u00ef'"),
        ("b|", "line 1: the text of 'b' is empty"),
        ("", "has no clips"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path, line, named):
    (tmp_path / "wavs").mkdir()
    write_wav(tmp_path / "wavs" / "b.wav", tone(0.5, 300))
    (tmp_path / "metadata.csv").write_text(line + "\n")
    text = line.partition("|")[2]
    split = "test" if is_held_out(text) else "train"
    with pytest.raises(DataError, match=named):
        print(Speech(root=tmp_path, split=split, **SMALL).length)


def test_a_table_in_another_encoding_is_refused_and_a_mark_before_it_is_skipped(tmp_path):
    (tmp_path / "wavs").mkdir()
    write_wav(tmp_path / "wavs" / "b.wav", tone(0.5, 300))
    split = "test" if is_held_out("seven") else "train"
    (tmp_path / "metadata.csv").write_bytes("b|seven\n".encode("utf-8-sig"))
    assert Speech(root=tmp_path, split=split, **SMALL).length == 1
    (tmp_path / "metadata.csv").write_bytes("b|na\u00efve\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"is not UTF-8 text .*: save it as UTF-8"):
        print(Speech(root=tmp_path, **SMALL).length)


def test_stereo_is_averaged_and_8_bits_are_read(tmp_path):
    wave = tone(0.3, 440)
    write_wav(tmp_path / "stereo.wav", torch.stack([wave, torch.zeros_like(wave)]))
    torch.testing.assert_close(
        read_sound(tmp_path / "stereo.wav", 16000), wave / 2, atol=1e-4, rtol=0
    )
    write_8_bit(tmp_path / "coarse.wav", wave)
    torch.testing.assert_close(read_sound(tmp_path / "coarse.wav", 16000), wave, atol=0.01, rtol=0)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
def test_a_resampled_sound_has_the_length_of_its_header(tmp_path, rate):
    write_wav(tmp_path / "a.wav", tone(0.31, 440))
    found = read_sound(tmp_path / "a.wav", rate)
    assert len(found) == sound_length(tmp_path / "a.wav", rate)
    inner = slice(rate // 20, -rate // 20)
    wanted = tone(0.4, 440, rate)[: len(found)]
    torch.testing.assert_close(found[inner], wanted[inner], atol=2e-3, rtol=0)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a sound at all"])
def test_a_corrupt_file_is_named(tmp_path, content):
    file = tmp_path / "bad.wav"
    file.write_bytes(content)
    for read in (read_sound, sound_length):
        with pytest.raises(DataError, match=r"bad\.wav: cannot be read as a sound"):
            read(file, 16000)


def test_a_file_cut_short_is_refused_or_read_without_its_end(tmp_path):
    write_wav(tmp_path / "a.wav", tone(0.5, 440))
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:2000])
    assert len(read_sound(tmp_path / "a.wav", 16000)) == (2000 - 44) // 2


def test_asterisk_reads_its_package(tmp_path):
    pytest.importorskip("G722")
    texts = tmp_path / TEXTS
    texts.parent.mkdir(parents=True)
    texts.write_bytes(
        gzip.compress(b"; names\nhello: Hello (you).\nbeep: [a beep]\nten: 10\ngone: Gone.\n")
    )
    (tmp_path / SOUNDS).mkdir(parents=True)
    for name in ("hello", "beep", "ten"):
        (tmp_path / SOUNDS / f"{name}.g722").write_bytes(bytes(8000))  # one second
    both = [Asterisk(root=tmp_path, split=split).clips() for split in ("train", "test")]
    (clip,) = [clip for clips in both for clip in clips]
    assert (clip.text, clip.samples) == ("hello you .", 16000)
    assert clip.wave(16000).shape == (16000,)


def test_missing_prompts_name_the_package(tmp_path):
    with pytest.raises(DataError, match=r"apt-get install asterisk-core-sounds-en .*data\.root"):
        print(Asterisk(root=tmp_path).length)


def test_digit_strings_are_different_and_a_function_of_the_seed():
    strings = digit_strings(200, 3)
    assert len(set(strings)) == 200
    assert digit_strings(200, 3) == strings != digit_strings(200, 4)
    assert {word for text in strings for word in text.split()} == set(DIGITS)


@needs_espeak
def test_the_table_of_digits_has_every_letter_and_its_statistics_are_the_defaults():
    data = SpokenDigits()
    mean, std = data.statistics()
    assert (mean, std) == pytest.approx((data.mean, data.std), abs=0.05)
    assert data.left_out == 0


@needs_espeak
def test_a_users_text_is_cut_into_sentences():
    data = SpokenDigits()
    found = data.encode({"text": "One two. three", "pace": 1.5})
    assert data.texts(found) == ["one two", "three"]
    assert found["pace"].tolist() == [1.5, 1.5]
    assert found["mask"].shape == (2, *data.entries["mask"].shape)
    assert len(data.encode({"text": ["one", "two"]})["text"]) == 2


@needs_espeak
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"text": "one x2"}, "unknown symbol '2' at place 6 of 'one x2'"),
        ({"text": " "}, "the text is empty"),
        ({"text": "one " * 20}, r"data\.max_text is 32"),
        ({"text": "one", "pace": 9}, "from 0.2 to 5"),
        ({"text": 7}, "should be a text: write numbers in words"),
        ({"txet": "one"}, "did you mean 'text'"),
    ],
)
def test_a_users_text_that_cannot_be_spoken_is_refused(given, named):
    with pytest.raises(ComponentError, match=named):
        SpokenDigits().encode(given)


def test_blanks_are_between_all_symbols():
    symbols = Symbols("ab", blank=True)
    assert symbols.indices("Ab") == [3, 1, 3, 2, 3]
    assert symbols.text([3, 1, 3, 2, 3, 0]) == "ab"


def test_sentences_end_at_marks_before_a_space():
    assert sentences("One. Two? 3.5 is; four!") == ["One.", "Two?", "3.5 is;", "four!"]


@needs_espeak
def test_the_phonemes_of_a_text_begin_in_order_within_its_sound():
    data = SpokenDigits(count=2, held_out=1)
    texts = digit_strings(3, 0)
    waves = [clip.wave(data.rate) for clip in data.clips()]
    for text, phonemes, wave in zip(texts, phoneme_starts(texts, data.rate), waves, strict=False):
        starts = [at for _, at in phonemes]
        assert starts == sorted(set(starts))
        assert starts[0] == 0
        assert starts[-1] < len(wave)
        # a vowel, which espeak-ng marks as stressed, in each digit
        assert sum("'" in name for name, _ in phonemes) == len(text.split())

"""Texts as letters and as phonemes."""

from __future__ import annotations

import pytest

from fmcore import ComponentError
from fmcore_audio.pronunciation import ARPABET, IPA, MARKS
from fmcore_audio.text import Symbols

CMUDICT = Symbols(front_end="cmudict")


@pytest.fixture(scope="module", autouse=True)
def packages():
    pytest.importorskip("pocketsphinx", reason="has CMUdict")


def test_words_of_the_dictionary_become_phonemes_without_stress():
    assert CMUDICT.symbols("Hello  there.") == ["HH", "AH", "L", "OW", " ", "DH", "EH", "R", "."]


def test_unknown_words_are_spelt():
    assert CMUDICT.symbols("zqx") == ["Z", "IY", "K", "Y", "UW", "EH", "K", "S"]


def test_every_phoneme_of_the_dictionary_has_an_index():
    from fmcore_audio.pronunciation import _dictionary

    assert set().union(*_dictionary().values()) == set(ARPABET)
    assert len(set(CMUDICT.names)) == len(CMUDICT.names) == CMUDICT.count - 1


@pytest.mark.parametrize("front_end", ["cmudict", "characters"])
def test_digits_are_refused_with_the_remedy(front_end):
    with pytest.raises(ComponentError, match=r"'4' .*write numbers in words"):
        Symbols(front_end=front_end).indices("press 4")


def test_blanks_are_between_all_symbols_and_at_both_ends():
    plain, blank = CMUDICT.indices("a dog"), Symbols(front_end="cmudict", blank=True)
    found = blank.indices("a dog")
    assert found[1::2] == plain
    assert set(found[::2]) == {blank.count - 1} == {CMUDICT.count}


def test_phonemes_are_shown_with_spaces():
    assert CMUDICT.text([*CMUDICT.indices("dog"), 0, 0]) == "D AO G"


def test_espeak_keeps_punctuation_and_reads_numbers():
    pytest.importorskip("espeakng_loader", reason="pronounces")
    spoken = "".join(Symbols(front_end="espeak").symbols("Two, 2?"))
    first, second = spoken.rstrip("?").split(", ")
    assert first == second
    assert set(spoken) <= {*IPA, *MARKS}

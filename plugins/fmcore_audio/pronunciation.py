"""Phonemes of English texts: by a dictionary, or by espeak-ng."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from fmcore import ComponentError, DataError

__all__ = ["ARPABET", "IPA", "MARKS", "cmudict_phonemes", "espeak_phonemes", "learn_espeak"]

MARKS = (" ", ",", ".", "?", "!", "-")
"""Symbols of every front end: the space between words, and what changes the melody."""

# fmt: off
ARPABET = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH",
    "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH",
    "UW", "V", "W", "Y", "Z", "ZH",
)
# fmt: on
"""The phonemes of CMUdict, without stress."""

IPA = tuple("abdefhijklmnoprstuvwxzæçðŋɐɑɒɔəɚɛɜɡɣɪɬɹɾʃʊʌʒʔʲˈˌː̩̪̃θᵻ")
"""The characters of espeak-ng's voice en-us: phonemes, stress and length."""

WORD = re.compile(r"[a-z']+|[^a-z'\s]|\s+")

MISSING = "front_end '{}' needs {}: pip install 'fmcore-flow[audio]'"


@lru_cache(maxsize=1)
def _dictionary() -> dict[str, tuple[str, ...]]:
    """Return the phonemes of the 126,000 words of CMUdict, which PocketSphinx has."""
    found = importlib.util.find_spec("pocketsphinx")
    if found is None or not found.submodule_search_locations:
        raise DataError(MISSING.format("cmudict", "CMUdict, which PocketSphinx has"))
    file = Path(found.submodule_search_locations[0]) / "model" / "en-us" / "cmudict-en-us.dict"
    if not file.is_file():
        raise DataError(f"{file}: the dictionary of PocketSphinx is missing: install it again")
    lines = (line.split() for line in file.read_text(encoding="utf-8").splitlines())
    # a second pronunciation has the name WORD(2)
    return {name: tuple(rest) for name, *rest in lines if rest and "(" not in name}


def cmudict_phonemes(text: str) -> list[str]:
    """Return the phonemes and marks of `text`, in lower case with single spaces.

    A word that the dictionary lacks is spelt, letter by letter.  Raises ComponentError for other
    symbols, such as digits.
    """
    words, found = _dictionary(), []
    for part in WORD.findall(text):
        if part.isspace():
            found.append(" ")
        elif part in MARKS:
            found.append(part)
        elif part in words:
            found.extend(words[part])
        elif part.strip("'") in words:
            found.extend(words[part.strip("'")])
        elif re.fullmatch(r"[a-z']+", part):
            found.extend(p for letter in part.replace("'", "") for p in words[letter])
        else:
            raise ComponentError(_unknown(part, text))
    return found


def _unknown(part: str, text: str) -> str:
    remedy = "write numbers in words" if part.isdigit() else "leave it out"
    marks = " ".join(MARKS).strip()
    return f"the text has the symbol {part!r} in '{text}': {remedy}; known: letters, ' and {marks}"


_ipa: dict[str, str] = {}
"""The phonemes of texts by espeak-ng, of this process."""


def learn_espeak(texts: Iterable[str]) -> None:
    """Have espeak-ng pronounce `texts`, in one process: its start takes longer than a text."""
    new = sorted(set(texts) - _ipa.keys())
    if not new:
        return
    if importlib.util.find_spec("espeakng_loader") is None:
        raise DataError(MISSING.format("espeak", "espeak-ng"))
    program = Path(__file__).with_name("espeak_phonemes.py")
    done = subprocess.run(
        [sys.executable, str(program)],
        input=json.dumps(new).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise DataError(f"espeak-ng failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    _ipa.update(zip(new, json.loads(done.stdout), strict=True))


def espeak_phonemes(text: str) -> list[str]:
    """Return the characters of the phonemes of `text` by espeak-ng, which also reads numbers."""
    learn_espeak([text])
    spoken = _ipa[text].replace("\u200d", "").replace("͡", "")
    unknown = sorted(set(spoken) - set(IPA) - set(MARKS))
    if unknown:
        raise ComponentError(f"espeak-ng pronounces '{text}' with the unknown symbols {unknown}")
    return list(spoken)

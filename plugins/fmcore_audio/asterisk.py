"""The English prompts of the Asterisk telephone exchange: a real voice in a Debian package."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, final

from annotated_types import Gt

from fmcore import DataError
from fmcore_audio.sounds import sound_length
from fmcore_audio.speech import Clip, SpeechData, is_held_out
from fmcore_audio.text import LETTERS

__all__ = ["Asterisk", "asterisk_files"]

TEXTS = Path("usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
SOUNDS = Path("usr/share/asterisk/sounds/en_US_f_Allison")
REMEDY = (
    "install it (apt-get install asterisk-core-sounds-en asterisk-core-sounds-en-g722), or unpack "
    "both packages into a folder (apt-get download NAME; dpkg -x NAME*.deb FOLDER) and set "
    "data.root=FOLDER"
)

NUMBERS = str.maketrans({"(": " ", ")": " ", '"': " ", ":": " ", ";": ",", "/": " "})


@final
@dataclass(frozen=True)
class Asterisk(SpeechData):
    """568 prompts of one woman at 16 kHz, 25 minutes (CC BY-SA 3.0).

    `root` is the folder that the packages asterisk-core-sounds-en and asterisk-core-sounds-en-g722
    are unpacked into: / where they are installed.  Prompts without a text, such as tones, are left
    out, and those with symbols that `symbols` lacks, such as digits.
    """

    root: Path = Path("/")
    rate: Annotated[int, Gt(0)] = 16000
    mean: float = -5.091
    std: Annotated[float, Gt(0)] = 2.312

    CLEANED: ClassVar[dict[int, str]] = NUMBERS

    def clips(self) -> Sequence[Clip]:
        found = []
        for name, text in asterisk_texts(self.root):
            spoken = self.alphabet.normal(text.translate(self.CLEANED))
            file = self.root / SOUNDS / f"{name}.g722"
            unknown = set(spoken) - set(LETTERS if self.front_end != "characters" else self.symbols)
            if not spoken or spoken.startswith("[") or unknown or not file.is_file():
                continue
            if is_held_out(spoken) == (self.split == "test"):
                found.append(Clip(spoken, sound_length(file, self.rate), file, name))
        return found


def asterisk_texts(root: Path) -> list[tuple[str, str]]:
    """Return the name and the text of every prompt, in the order of the package's list."""
    table = root / TEXTS
    if not table.is_file():
        raise DataError(f"{table}: Asterisk's prompts are missing: {REMEDY}")
    lines = gzip.decompress(table.read_bytes()).decode("utf-8", "replace").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line and not line.startswith(";"))
    return [(name.strip(), text.strip()) for name, text in pairs]


def asterisk_files(root: Path) -> list[Path]:
    """Return the sound files, sorted.  Raises DataError if there are none."""
    files = sorted((root / SOUNDS).rglob("*.g722"))
    if not files:
        raise DataError(f"{root / SOUNDS}: Asterisk's prompts are missing: {REMEDY}")
    return files

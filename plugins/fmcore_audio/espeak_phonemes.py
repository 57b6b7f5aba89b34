"""A process that pronounces texts with espeak-ng: a list of texts as JSON in, one of IPA out.

The library is under the GPL: it runs in a process of its own, and nothing of fmcore links to it.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys

SYNCHRONOUS = 1  # AUDIO_OUTPUT_RETRIEVAL: nothing is played
UTF8, AS_IPA = 1, 2
CLAUSE = re.compile(r"([,.?!-]+)")


def main() -> None:
    """Print the phonemes of the texts of standard input; punctuation stays between clauses."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int,
        ctypes.c_int,
    ]
    if library.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0) <= 0:
        sys.exit("espeak-ng does not start")
    library.espeak_SetVoiceByName(b"en-us")

    def pronounced(clause: str) -> str:
        left, parts = ctypes.c_char_p(clause.encode()), []
        while left.value:
            parts.append((library.espeak_TextToPhonemes(left, UTF8, AS_IPA) or b"").decode())
        return " ".join(parts).strip()

    found = []
    for text in json.load(sys.stdin):
        # odd pieces are punctuation, which espeak-ng would drop
        pieces = [
            piece[0] if place % 2 else pronounced(piece)
            for place, piece in enumerate(CLAUSE.split(text))
            if piece.strip()
        ]
        found.append(re.sub(r" (?=[,.?!])", "", " ".join(pieces)))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

"""A process that speaks texts with espeak-ng: a list of texts as JSON in, 16-bit sound out.

espeak-ng's second utterance in a process depends on the first.  The dataset therefore speaks the
whole set in one new process, in order.  This file imports nothing of fmcore, which would take
longer than to speak.
"""

from __future__ import annotations

import ctypes
import json
import struct
import sys

SYNCHRONOUS = 1  # AUDIO_OUTPUT_RETRIEVAL: the sound goes to the callback
BY_CHARACTER, UTF8 = 1, 1


def main() -> None:
    """Speak the texts of standard input: for each, its length and its samples, then the rate."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, data, 0)
    if rate <= 0:
        sys.exit("espeak-ng does not start")
    sound = bytearray()
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
    )

    def receive(samples: ctypes._Pointer[ctypes.c_short], count: int, events: int) -> int:
        if samples and count > 0:
            sound.extend(ctypes.string_at(samples, 2 * count))
        return 0

    callback = kind(receive)
    library.espeak_SetSynthCallback(callback)
    library.espeak_SetVoiceByName(b"en-us")
    for text in json.load(sys.stdin):
        sound.clear()
        words = text.encode() + b"\0"
        library.espeak_Synth(words, len(words), 0, BY_CHARACTER, 0, UTF8, None, None)
        library.espeak_Synchronize()
        sys.stdout.buffer.write(struct.pack("<i", len(sound) // 2) + bytes(sound))
    sys.stdout.buffer.write(struct.pack("<i", rate))


if __name__ == "__main__":
    main()

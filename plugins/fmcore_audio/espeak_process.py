"""A process that speaks texts with espeak-ng: a list of texts as JSON in, 16-bit sound out.

With the argument `phonemes`, the number of the phonemes follows the samples of each text, and for
each phoneme its first sample and its name, padded to 8 bytes.

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
WITH_PHONEMES = 1  # an option of espeak_Initialize
PHONEME = 7  # a type of event


class Name(ctypes.Union):
    """What an event of espeak-ng names: a phoneme, or a number."""

    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("phoneme", ctypes.c_char * 8))


class Event(ctypes.Structure):
    """An event of espeak-ng's speak_lib.h; a list of them ends with type 0."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("message", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", Name),
    )


def main() -> None:
    """Speak the texts of standard input: for each, its length and its samples, then the rate."""
    phonemes = sys.argv[1:] == ["phonemes"]
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, data, WITH_PHONEMES if phonemes else 0)
    if rate <= 0:
        sys.exit("espeak-ng does not start")
    sound, spoken = bytearray(), bytearray()
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event)
    )

    def receive(
        samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[Event]
    ) -> int:
        if samples and count > 0:
            sound.extend(ctypes.string_at(samples, 2 * count))
        place = 0
        while phonemes and events and events[place].type:
            event = events[place]
            if event.type == PHONEME:
                spoken.extend(struct.pack("<i8s", event.sample, event.name.phoneme))
            place += 1
        return 0

    callback = kind(receive)
    library.espeak_SetSynthCallback(callback)
    library.espeak_SetVoiceByName(b"en-us")
    for text in json.load(sys.stdin):
        sound.clear()
        spoken.clear()
        words = text.encode() + b"\0"
        library.espeak_Synth(words, len(words), 0, BY_CHARACTER, 0, UTF8, None, None)
        library.espeak_Synchronize()
        sys.stdout.buffer.write(struct.pack("<i", len(sound) // 2) + bytes(sound))
        if phonemes:
            sys.stdout.buffer.write(struct.pack("<i", len(spoken) // 12) + bytes(spoken))
    sys.stdout.buffer.write(struct.pack("<i", rate))


if __name__ == "__main__":
    main()

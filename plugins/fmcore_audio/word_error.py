"""The word error rate of spoken samples, by a speech recogniser."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

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

MISSING = "metric 'word_error' needs a recogniser: pip install 'fmcore-flow[audio]'"


@final
@dataclass(frozen=True)
class WordError(RowMetric):
    """Wrong, missing and surplus words of the recognised text, over the words of the text.

    The recogniser is PocketSphinx with its English model.  With `words` it expects any sequence of
    these, such as the digits; without, any English.  The recipe needs a codec that decodes to
    sounds.  The standard error is that of a ratio of sums over samples.
    """

    words: tuple[str, ...] = ()

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({"text"})

    def check(self, data: Dataset, path: Path) -> None:
        if not isinstance(data, SpeechData):
            raise ComponentError("metric 'word_error' measures spoken texts: use data 'speech'")
        if importlib.util.find_spec("pocketsphinx") is None:
            raise DataError(MISSING)

    def prepare(self, evaluation: Evaluation) -> Evaluation:
        self.__dict__["_recogniser"] = Recogniser(self.words)
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
        version = importlib.metadata.version("pocketsphinx")
        provenance = {"count": len(rows), "recogniser": f"pocketsphinx {version} en-us"}
        error = float(spread) if len(rows) > 1 else None
        return {"word_error": Result(rate, error, provenance)}


class Recogniser:
    """PocketSphinx with its English model, and optionally a closed list of words."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        try:
            import pocketsphinx
        except ImportError as error:
            raise DataError(MISSING) from error
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

"""What the networks of speech reach, with their floors and controls.

    python benchmarks/audio.py speech RUN RUN ...      runs of speech_quick with several seeds
    python benchmarks/audio.py whisper RUN RUN ...     the same runs, heard by Whisper
    python benchmarks/audio.py one_step RUN RUN ...    runs of it with several objectives
    python benchmarks/audio.py speed RUN
    python benchmarks/audio.py padding RUN
    python benchmarks/audio.py voice RUN               a run of speech, heard by Whisper
    python benchmarks/audio.py alignment
    python benchmarks/audio.py picture RUN [--first 1 --file docs/pictures/voice.png]

Writes a part of benchmarks/results/speech.json, and prints it.  The samples have the texts of the
test split.  Bandwidth extension and vocoders: benchmarks/audio_sr.py.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from pathlib import Path as FilePath
from statistics import mean
from typing import Any

import torch
from audio_sr import blurred
from machine import machine
from torch import Tensor

import fmcore
from fmcore import Evaluation, Field, MetricBatch, Problem, Rows, Run, Solution
from fmcore.interfaces.codec import Decoded
from fmcore_audio.alignment import best_alignment, log_likelihoods
from fmcore_audio.mel_metrics import Detail, MelL1
from fmcore_audio.spoken_digits import DIGITS, SpokenDigits, digit_strings, phoneme_starts
from fmcore_audio.word_error import WordError

RESULTS = FilePath(__file__).parent / "results" / "speech.json"
PICTURE = FilePath(__file__).parents[1] / "docs" / "pictures" / "speech.png"

STEPS = (1, 2, 4, 10)
REPEATS = 3
TEMPERATURES = (1.0, 0.667)
Condition = dict[str, Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = [
        "speech", "whisper", "one_step", "speed", "padding", "voice", "alignment", "picture"
    ]  # fmt: skip
    parser.add_argument("part", choices=parts)
    parser.add_argument("runs", type=FilePath, nargs="*")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="the first text of the picture")
    parser.add_argument("--file", type=FilePath, default=PICTURE, help="the picture")
    chosen = parser.parse_args()
    runs = [fmcore.open_run(folder) for folder in chosen.runs]
    if not runs and chosen.part != "alignment":
        parser.error(f"part {chosen.part} measures a run: name its folder")
    if chosen.part == "picture":
        picture(runs[0], chosen.first, chosen.file)
        return
    found: dict[str, Any] = {
        "speech": lambda: speech(runs, chosen.count),
        "whisper": lambda: whisper(runs, chosen.count),
        "one_step": lambda: one_step(runs, chosen.count),
        "speed": lambda: speed(runs[0], chosen.count),
        "padding": lambda: padding(runs[0]),
        "voice": lambda: voice(runs[0], chosen.count),
        "alignment": alignment,
    }[chosen.part]()
    found["machine"] = machine()
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    kept[chosen.part] = found
    RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def speech(runs: list[Run], count: int) -> dict[str, Any]:
    """Return word errors and distances of each row, a list of one number for each run, and the
    bounds of the acceptance.
    """
    seeds = [one_seed(run, count) for run in runs]
    rows = {
        row: {name: [seed[row][name] for seed in seeds] for name in seeds[0][row]}
        for row in seeds[0]
    }
    return {"seeds": [run.recipe.values["seed"] for run in runs], "count": count, "rows": rows,
            "bounds": bounds(rows)}  # fmt: skip


def bounds(rows: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, Any]]:
    """Return for each bound its two sides, a number for each run, and whether it is met."""
    errors = {name: row["word_error"] for name, row in rows.items()}
    ten, alone = rows["Euler 10"], rows["mean spectrogram"]
    far = [rows[f"Euler {n}"]["to 50 steps"] for n in STEPS]
    found: dict[str, dict[str, Any]] = {
        "word error of 10 steps <= recording's + .12": {
            "left": ten["word_error"],
            "right": [round(e + 0.12, 3) for e in errors["recording"]],
        },
        "2 x word error of 10 steps <= mean spectrogram's": {
            "left": [round(2 * e, 3) for e in ten["word_error"]],
            "right": alone["word_error"],
        },
        "true durations: distance of 10 steps <= .75 x mean spectrogram's": {
            "left": ten["true durations"],
            "right": [round(0.75 * d, 3) for d in alone["true durations"]],
        },
    }
    for more, fewer in ((10, 4), (4, 2), (2, 1)):
        found[f"distance to 50 steps: {more} <= {fewer}"] = {
            "left": far[STEPS.index(more)],
            "right": far[STEPS.index(fewer)],
        }
    for bound in found.values():
        pairs = zip(bound["left"], bound["right"], strict=True)
        bound["met"] = [left <= right for left, right in pairs]
    return found


def one_seed(run: Run, count: int) -> dict[str, dict[str, float]]:
    """Return the numbers of one run, row by row."""
    texts = Texts(run, count)
    fine = solved(texts.field, texts.noise, texts.prepared, 50).x
    found = {"recording": texts.measured(texts.x1, texts.given)}
    states = {"mean spectrogram": texts.prepared["mu"], "noise": texts.noise}
    for steps in STEPS:
        states[f"Euler {steps}"] = solved(texts.field, texts.noise, texts.prepared, steps).x
    for name, x in states.items():
        found[name] = texts.measured(x, {**texts.given, "mask": texts.prepared["mask"]})
        if name != "noise":  # its distance is that of two independent draws
            found[name]["to 50 steps"] = distance(x, fine, texts.prepared["mask"]) * texts.data.std
        print(name, found[name], flush=True)
    other = {**texts.given, "text": texts.given["text"].roll(1, 0), "mask": texts.prepared["mask"]}
    errors = texts.measured(states["Euler 10"], other)
    found["Euler 10, another text"] = {"word_error": errors["word_error"]}
    # with the durations of the recordings, samples and recordings have the same frames
    timed = texts.timed()
    ten = solved(texts.field, texts.true_noise, timed, 10).x
    for name, x in {"Euler 10": ten, "mean spectrogram": timed["mu"]}.items():
        far = distance(x, texts.x1, timed["mask"])
        found[name]["true durations"] = far * texts.data.std
    return {row: {k: round(v, 3) for k, v in values.items()} for row, values in found.items()}


class Texts:
    """The test split of a run: recordings, their texts, and one noise for all solves."""

    def __init__(self, run: Run, count: int, first: int = 0) -> None:
        self.field = run.field()
        self.codec: Any = run.components.codec
        self.data: Any = run.components.data.with_split("test")
        self.count = min(count, self.data.length - first)
        indices = range(first, first + self.count)
        self.given: Condition = self.data.batch(indices)
        self.x1 = self.given.pop("x1")
        prepared = self.field.prepare(self.given)
        assert prepared is not None
        self.prepared: Condition = dict(prepared)
        self.drawn = Rows(0, "noise", 0, indices).normal(tuple(self.data.shape))
        self.noise = self.drawn * self.prepared["mask"]
        self.true_noise = self.drawn * self.given["mask"]

    def timed(self) -> Condition:
        """Return the mean spectrograms with the durations of the recordings."""
        with torch.no_grad():
            prepared = self.field.model.prepare(self.given, self.x1).condition
        assert prepared is not None
        return dict(prepared)

    def measured(self, x: Tensor, condition: Condition) -> dict[str, float]:
        """Return word errors, `mel_l1` and `detail` of spectrograms."""
        decoded = self.codec.decode(x, condition)
        found: dict[str, float] = {}
        for name, metric in {
            "word_error": WordError(words=DIGITS),
            "mel_l1": MelL1(),
            "detail": Detail(),
        }.items():
            (found[name],) = value_of(metric, self.data, x, condition, decoded).values()
        return found


def whisper(runs: list[Run], count: int) -> dict[str, Any]:
    """Return the word errors by Whisper, which is not given the digits: a list of one number for
    each run.
    """
    rows: dict[str, list[float]] = {}
    for run in runs:
        texts = Texts(run, count)
        mask = texts.prepared["mask"]
        ten, two = (solved(texts.field, texts.noise, texts.prepared, n).x for n in (10, 2))
        own = {**texts.given, "mask": mask}
        other = {**own, "text": texts.given["text"].roll(1, 0)}
        states = {
            "recording": (texts.x1, texts.given),
            "Euler 10": (ten, own),
            "Euler 2": (two, own),
            "mean spectrogram": (texts.prepared["mu"], own),
            "noise": (texts.noise, own),
            "Euler 10, another text": (ten, other),
        }
        for name, (x, condition) in states.items():
            rows.setdefault(name, []).append(heard(texts, x, condition))
            print(name, rows[name], flush=True)
    return {"seeds": [run.recipe.values["seed"] for run in runs], "count": count,
            "word_error": rows}  # fmt: skip


def heard_recordings(texts: Texts) -> float:
    """Return the word error, by Whisper, of the recordings as they are."""
    waves = [clip.wave(texts.data.rate) for clip in texts.data.fitting[: texts.count]]
    sounds = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    decoded = Decoded(sounds, texts.data.rate, torch.tensor([len(wave) for wave in waves]))
    found = value_of(WordError(engine="whisper"), texts.data, texts.x1, texts.given, decoded)
    return round(found["word_error"], 3)


def heard(texts: Texts, x: Tensor, condition: Condition) -> float:
    """Return the word error, by Whisper, of decoded spectrograms."""
    decoded = texts.codec.decode(x, condition)
    found = value_of(WordError(engine="whisper"), texts.data, x, condition, decoded)
    return round(found["word_error"], 3)


def one_step(runs: list[Run], count: int) -> dict[str, Any]:
    """Return what few evaluations give, by Euler and by jumps of flow maps."""
    rows: dict[str, Any] = {}
    for run in runs:
        texts = Texts(run, count)
        name = run.recipe.values["objective"]["name"]
        solver = "flow_map" if texts.field.model.span else "euler"
        for steps in STEPS:
            x = solved(texts.field, texts.noise, texts.prepared, steps, solver).x
            found = texts.measured(x, {**texts.given, "mask": texts.prepared["mask"]})
            row = {k: round(v, 3) for k, v in found.items()}
            rows[f"{name}, {steps}"] = row
            print(name, solver, steps, row, flush=True)
    return {"count": count, "rows": rows}


def speed(run: Run, count: int) -> dict[str, Any]:
    """Return CPU seconds for a second of sound, one text at a time on one thread: the least of
    several repeats of the field alone, and of text encoder, field and decoder.
    """
    torch.set_num_threads(1)  # the CPU time of several threads would not be their wall time
    test: Any = run.components.data.with_split("test")
    codec = run.components.codec
    assert codec is not None
    field = run.field()
    rows: dict[str, Any] = {}
    for steps in STEPS:
        alone, whole, sound, calls = [], [], [], []
        for index in range(min(count, test.length)):
            given = test.batch([index])
            given.pop("x1")
            noise = Rows(0, "noise", 0, [index]).normal(tuple(test.shape))
            times = [spoken(field, codec, noise, given, steps) for _ in range(REPEATS)]
            alone.append(min(t[0] for t in times))
            whole.append(min(t[1] for t in times))
            sound.append(times[0][2] / test.rate)
            calls.append(times[0][3])
        rows[f"Euler {steps}"] = {
            "evaluations": mean(calls),
            "field": round(sum(alone) / sum(sound), 5),
            "with encoder and decoder": round(sum(whole) / sum(sound), 5),
        }
        print(steps, rows[f"Euler {steps}"], flush=True)
    return {"count": count, "rows": rows}


def voice(run: Run, count: int) -> dict[str, Any]:
    """Return the word errors of samples, by Whisper, for two temperatures, and of their floors:
    recordings as they are, after Griffin-Lim, and after Griffin-Lim of blurred spectrograms.
    """
    texts = Texts(run, count)
    mask = texts.prepared["mask"]
    whole = texts.given["mask"]
    states = {"recording": (texts.x1, whole), "recording, blurred": (blurred(texts.x1), whole)}
    for factor in TEMPERATURES:
        x = solved(texts.field, factor * texts.noise, texts.prepared, 10).x
        states[f"Euler 10, temperature {factor:g}"] = (x, mask)
    states["mean spectrogram"] = (texts.prepared["mu"], mask)
    rows = {"recording, not decoded": heard_recordings(texts)}
    for name, (x, own) in states.items():
        rows[name] = heard(texts, x, {**texts.given, "mask": own})
        print(name, rows[name], flush=True)
    words = sum(len(text.split()) for text in texts.data.texts(texts.given))
    return {"prompts": texts.count, "words": words, "word_error": rows}


def spoken(
    field: Field, codec: Any, noise: Tensor, given: Condition, steps: int
) -> tuple[float, float, int, float]:
    """Speak one text: CPU seconds of the field, of all, samples of the sound, and evaluations."""
    begun = time.process_time()
    prepared = dict(field.prepare(given) or {})
    start = time.process_time()
    solution = solved(field, noise * prepared["mask"], prepared, steps)
    alone = time.process_time() - start
    decoded = codec.decode(solution.x, prepared)
    whole = time.process_time() - begun
    return alone, whole, int(decoded.lengths[0]), float(solution.stats.nfe[0])


def padding(run: Run) -> dict[str, Any]:
    """Return the greatest difference of 8 texts sampled together from each sampled alone, over the
    standard deviation of the samples.
    """
    texts = Texts(run, 8)
    together = solved(texts.field, texts.noise, texts.prepared, 10).x
    differences = []
    for i in range(texts.count):
        given = {name: value[i : i + 1] for name, value in texts.given.items()}
        prepared = dict(texts.field.prepare(given) or {})
        frames = int(prepared["mask"].sum())
        cut = {name: value[..., :frames] for name, value in prepared.items()}
        alone = solved(texts.field, texts.noise[i : i + 1, :, :frames], cut, 10).x
        differences.append(float((alone - together[i : i + 1, :, :frames]).abs().max()))
    exists = texts.prepared["mask"].expand_as(together) > 0
    return {
        "rows": texts.count,
        "frames": [int(n) for n in texts.prepared["mask"].sum((1, 2))],
        "difference": max(differences) / float(together[exists].std()),
        "bound": 1e-4,
    }


def alignment() -> dict[str, Any]:
    """Return how far monotonic alignment search is from the true boundaries of phonemes, without
    training: on the mean frame of each phoneme, by its true durations in the train split.
    """
    train = SpokenDigits()
    test = train.with_split("test")
    assert isinstance(test, SpokenDigits)
    texts = digit_strings(train.count + train.held_out, train.seed)
    starts = phoneme_starts(texts, train.rate)
    means = phoneme_means(train, starts[: train.count])
    found, uniform = [], []
    for i, phonemes in enumerate(starts[train.count :]):
        mel = test.spectrogram(i)
        count, frames = len(phonemes), mel.shape[1]
        mu = torch.stack([means[name] for name, _ in phonemes], 1)
        scores = log_likelihoods(mu[None], mel[None])
        aligned = best_alignment(scores, torch.tensor([count]), torch.tensor([frames]))[0]
        true = torch.tensor([sample / train.hop for _, sample in phonemes[1:]])
        found.append((aligned.sum(1).cumsum(0)[:-1] - true).abs())
        uniform.append((torch.arange(1, count) * frames / count - true).abs())
    rows = {"alignment search": torch.cat(found), "uniform": torch.cat(uniform)}
    return {
        "boundaries": len(rows["uniform"]),
        "rows": {
            name: {
                "median_frames": round(float(errors.median()), 3),
                "within_2_frames": round(float((errors <= 2).double().mean()), 3),
            }
            for name, errors in rows.items()
        },
    }


def phoneme_means(data: SpokenDigits, starts: list[list[tuple[str, float]]]) -> dict[str, Tensor]:
    """Return the mean frame of each phoneme, `(mels,)`."""
    frames: dict[str, list[Tensor]] = {}
    for i, phonemes in enumerate(starts):
        mel = data.spectrogram(i)
        cuts = [round(sample / data.hop) for _, sample in phonemes] + [mel.shape[1]]
        for (name, _), begin, end in zip(phonemes, cuts, cuts[1:], strict=False):
            frames.setdefault(name, []).append(mel[:, begin:end])
    return {name: torch.cat(parts, 1).mean(1) for name, parts in frames.items()}


def picture(run: Run, first: int, file: FilePath) -> None:
    """Draw two texts, from the test example `first` on: recording, sample and mean spectrogram at
    the recording's durations, and the alignment of the recording.
    """
    from matplotlib.figure import Figure
    from PIL import Image

    texts = Texts(run, 2, first)
    timed = texts.timed()
    ten = solved(texts.field, texts.true_noise, timed, 10).x
    rows = {"recording": texts.x1, "10 steps": ten, "mean": timed["mu"]}
    figure = Figure(figsize=(9, 7.4), layout="constrained")
    axes = figure.subplots(4, texts.count, squeeze=False, height_ratios=[1, 1, 1, 1.8])
    aligned = alignments(texts)
    for column, text in enumerate(texts.data.texts(texts.given)):
        frames = int(texts.given["mask"][column].sum())
        seconds = frames * texts.data.hop / texts.data.rate
        for row, (name, x) in enumerate(rows.items()):
            axis = axes[row, column]
            axis.imshow(x[column, :, :frames], origin="lower", aspect="auto", cmap="magma",
                        vmin=-2, vmax=2.5, extent=(0, seconds, 0, texts.data.mels))  # fmt: skip
            axis.set_xticks([])
            axis.set_title(text if row == 0 else "", fontsize=9)
            axis.set_ylabel(f"{name}\nmel band" if column == 0 else "", fontsize=8)
        axis = axes[3, column]
        rows_of = int((texts.given["text"][column] > 0).sum())
        axis.imshow(aligned[column, :rows_of, :frames], aspect="auto", cmap="Greys",
                    interpolation="nearest", extent=(0, seconds, rows_of, 0))  # fmt: skip
        names = [name.replace(" ", "_") for name in texts.data.alphabet.symbols(text)]
        every = 1 + texts.data.blank  # between blanks, which have no name
        axis.set_yticks([every * i + every - 0.5 for i in range(len(names))], names)
        axis.tick_params(labelsize=6)
        axis.set_ylabel("alignment\nsymbol" if column == 0 else "", fontsize=8)
        axis.set_xlabel("seconds", fontsize=8)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=80)
    # a palette of 64 colours takes a third of the space
    Image.open(drawn).convert("RGB").quantize(64).save(file, optimize=True)


def alignments(texts: Texts) -> Tensor:
    """Return the best alignments of the recordings, `(batch, symbols, frames)`."""
    model: Any = texts.field.model
    text = texts.given["text"]
    symbols = (text > 0)[:, None].float()
    with torch.no_grad():
        mu, _ = model.encode(text, symbols)
    mask = texts.given["mask"]
    scores = log_likelihoods(mu, texts.x1 * mask)
    return best_alignment(scores, symbols.sum((1, 2)), mask.sum((1, 2)))


def solved(
    field: Field, start: Tensor, condition: Condition, steps: int, solver: str = "euler"
) -> Solution:
    """Return the end of `steps` steps."""
    problem = Problem(field, start, path=field.path, condition=condition)
    with torch.no_grad():
        return fmcore.create("solver", solver, nfe=steps).solve(problem)


def value_of(
    metric: Any, data: Any, x: Tensor, condition: Condition, decoded: Decoded
) -> dict[str, float]:
    """Return the value of `metric` on `x`."""
    path = fmcore.create("path", "ot")
    metric.begin(Evaluation(data, data, path, None, 0, 64, FilePath()))
    metric.update(MetricBatch(torch.arange(len(x)), x, None, condition, decoded=decoded))
    return {name: result.value for name, result in metric.compute().items()}


def distance(x: Tensor, y: Tensor, mask: Tensor) -> float:
    """Return the mean absolute difference where the mask is 1."""
    return float(((x - y).abs() * mask).sum() / (mask.sum() * x.shape[1]))


if __name__ == "__main__":
    main()

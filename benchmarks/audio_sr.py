"""Bandwidth extension and vocoders: distances, their controls, and what the metrics see.

    python benchmarks/audio_sr.py extension RUN RUN ... --constant RUN ...
    python benchmarks/audio_sr.py priors RUN RUN ... --constant RUN ...
    python benchmarks/audio_sr.py metrics RUN [--rows NAME ...]
    python benchmarks/audio_sr.py vocoder RUN

Runs of audio_sr with several seeds, and those trained with path.source.scale=1e-4; a run of
vocoder.  Writes a part of benchmarks/results/audio_sr.json, and prints it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path as FilePath
from statistics import mean, stdev
from typing import Any

import torch
from machine import machine
from torch import Tensor

import fmcore
from fmcore import Evaluation, Field, MetricBatch, Problem, Rows, Run
from fmcore.interfaces.codec import Decoded
from fmcore_audio.audio_sr import AudioSR
from fmcore_audio.dnsmos import DNSMOS
from fmcore_audio.flow_vocoder import FlowVocoder
from fmcore_audio.griffin_lim import GriffinLim
from fmcore_audio.lsd import LSDHF, log_spectral_distance
from fmcore_audio.mel_metrics import Detail
from fmcore_audio.spoken_digits import DIGITS
from fmcore_audio.visqol import ViSQOL
from fmcore_audio.word_error import WordError

RESULTS = FilePath(__file__).parent / "results" / "audio_sr.json"

STEPS = (1, 2, 4, 10)

WRONG = 1e-4
"""The scale of the noise of the wrong prior, and of `constant`."""

BLUR = 5
"""Bands and frames that a blurred spectrogram is averaged over."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["extension", "priors", "metrics", "vocoder"])
    parser.add_argument("runs", type=FilePath, nargs="+")
    parser.add_argument("--constant", type=FilePath, nargs="*", default=[])
    parser.add_argument("--count", type=int, default=137)
    parser.add_argument("--rows", nargs="*", help="of metrics: measure these, keep the others")
    chosen = parser.parse_args()
    runs, constant = ([fmcore.open_run(r) for r in g] for g in (chosen.runs, chosen.constant))
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if chosen.part == "extension":
        found = extension(runs, constant, chosen.count)
    elif chosen.part == "priors":
        found = priors(runs, constant, chosen.count)
    elif chosen.part == "metrics":
        before = kept.get("metrics", {}) if chosen.rows else {}
        found = before | what_metrics_see(runs[0], chosen.count, chosen.rows)
    else:
        found = vocoder(runs[0], chosen.count)
    kept |= {chosen.part: found, "machine": machine()}
    RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def extension(runs: list[Run], constant: list[Run], count: int) -> dict[str, Any]:
    """Return the numbers of each row: the mean over seeds, and their standard deviation."""
    seeds = [one_seed(run, count) for run in runs]
    controls = [one_seed(run, count, prior=1e-4, label="constant") for run in constant]
    found: dict[str, Any] = {"seeds": len(seeds), "constant_seeds": len(controls)}
    for group in (seeds, controls):
        for row in group[0] if group else ():
            found[row] = {
                name: spread([seed[row][name] for seed in group]) for name in group[0][row]
            }
    return found


def one_seed(
    run: Run, count: int, prior: float = 1.0, label: str = "adaptive"
) -> dict[str, dict[str, float]]:
    """Return the numbers of one run.  `prior` is the scale of the noise it was trained with."""
    test = run.components.data.with_split("test")
    count = min(count, test.length)
    batch = test.batch(range(count))
    batch.pop("x1")
    z = Rows(0, "noise", 0, range(count)).normal(tuple(test.shape))
    found = {"input": measured_sr(test, batch["low"])}
    starts = {label: batch["low"] + prior * z}
    if label == "adaptive":
        starts["wrong prior"] = batch["low"] + WRONG * z
    for name, start in starts.items():
        for steps in STEPS:
            found[f"{name} {steps}"] = measured_sr(test, solved(run.field(), start, batch, steps))
    if label == "adaptive":
        middle = solved(run.field(), starts[label], batch, 2, "midpoint")
        found["midpoint 1"] = measured_sr(test, middle)
        level = (starts[label] - batch["low"]).std()
        found["prior"] = {"scale": float(level)}
    return found


def priors(runs: list[Run], constant: list[Run], count: int) -> dict[str, Any]:
    """Return what separates the right prior from a wrong one at 4 steps, a list of one number for
    each run: the detail in louder and in quieter frames, and the spread of samples.
    """
    rows: dict[str, dict[str, list[float]]] = {}
    for run in runs + constant:
        scales = {"constant": WRONG} if run in constant else {"adaptive": 1.0, "wrong prior": WRONG}
        test = run.components.data.with_split("test")
        indices = range(min(count, test.length))
        batch = test.batch(indices)
        x1 = batch.pop("x1")
        draws = [Rows(seed, "noise", 0, indices).normal(tuple(test.shape)) for seed in (0, 1)]
        for name, scale in scales.items():
            x, other = (solved(run.field(), batch["low"] + scale * z, batch, 4) for z in draws)
            found = details_by_level(x, x1, batch["low"], test.first_band)
            found["spread"] = spread_of_samples(x, other, x1, test.first_band)
            for key, value in found.items():
                rows.setdefault(name, {}).setdefault(key, []).append(round(value, 3))
            print(name, found, flush=True)
    return {"count": len(indices), "rows": rows}


def details_by_level(x: Tensor, x1: Tensor, low: Tensor, first: int) -> dict[str, float]:
    """Return the detail of the bands from `first` on between frames whose bands below are louder
    than half of all frames, and between the others, and the latter's share of the recordings'
    differences.
    """
    level = low[:, :first].mean(1)
    loud = level > level.median()
    both = (loud[:, 1:] & loud[:, :-1])[:, None]
    own, true = (y[:, first:].diff(dim=2).square() for y in (x, x1))
    return {
        "louder": float((own * both).sum() / (true * both).sum()),
        "quieter": float((own * ~both).sum() / (true * ~both).sum()),
        "share of quieter": float((true * ~both).sum() / true.sum()),
    }


def spread_of_samples(x: Tensor, other: Tensor, x1: Tensor, first: int) -> float:
    """Return the mean square difference of two samples of each input over that of sample and
    recording: 1 where samples have the distribution of the recordings, given the input, and 0 where
    every noise gives the same sample.
    """
    between, far = ((x - y)[:, first:].square().mean() for y in (other, x1))
    return float(between / far)


def what_metrics_see(run: Run, count: int, rows: list[str] | None = None) -> dict[str, Any]:
    """Return what each metric gives to known changes of the recordings, all or those of `rows`."""
    test = run.components.data.with_split("test")
    count = min(count, test.length)
    batch = test.batch(range(count))
    x1 = batch.pop("x1")
    real = torch.stack([test.wide_sound(i) for i in range(count)])
    codec = replacing(test)
    noise = test.normal(0.01 * torch.randn(real.shape, generator=generator()))
    level = (x1 - noise)[:, test.first_band :].mean()
    z = Rows(0, "noise", 0, range(count)).normal(tuple(test.shape))
    one_step = solved(run.field(), batch["low"] + z, batch, 1)
    flat = x1.clone()
    flat[:, test.first_band :] = noise[:, test.first_band :] + level
    sounds: dict[str, tuple[Tensor, Tensor]] = {
        "truth": (x1, real),
        "low-passed": (batch["low"], batch["sound"]),
        "true mel, phase by Griffin-Lim above": (x1, codec.decode(x1, batch).values),
        "constant noise above": (flat, codec.decode(flat, batch).values),
        "audio_sr, 1 step": (one_step, codec.decode(one_step, batch).values),
        "whole through Griffin-Lim": (x1, codec.of.decode(x1).values),
        "blurred, through Griffin-Lim": (blurred(x1), codec.of.decode(blurred(x1)).values),
    }
    found: dict[str, Any] = {"count": count}
    for name, (x, sound) in sounds.items():
        if rows is not None and name not in rows:
            continue
        row = {"lsd_hf": measured_sr(test, x)["lsd_hf"]}
        row |= opinions(test, sound, real)
        found[name] = {k: round(v, 3) for k, v in row.items()}
        print(name, found[name], flush=True)
    return found


def blurred(x: Tensor) -> Tensor:
    """Return spectrograms, `(batch, mels, frames)`, each value averaged over 5 bands and 5 frames,
    fewer at the edges: a spectrogram without detail, as of a network that predicts means.
    """
    pooled = torch.nn.functional.avg_pool2d(x[:, None], BLUR, 1, BLUR // 2, count_include_pad=False)
    return pooled[:, 0]


def opinions(test: AudioSR, sound: Tensor, real: Tensor) -> dict[str, float]:
    """Return the opinion scores of sounds, `(batch, samples)`, by other packages."""
    from pesq import pesq
    from pystoi import stoi

    pairs = list(zip(real.double().numpy(), sound.double().numpy(), strict=True))
    found = {
        "pesq": mean(pesq(test.rate, a, b, "wb") for a, b in pairs),
        "stoi": mean(float(stoi(a, b, test.rate)) for a, b in pairs),
    }
    decoded = Decoded(sound.float(), test.rate)
    for metric in (DNSMOS(), ViSQOL()):
        found |= value_of(metric, test, torch.zeros(len(sound), *test.shape), {}, decoded)
    return found


def vocoder(run: Run, count: int) -> dict[str, Any]:
    """Return what a trained vocoder and Griffin-Lim make of the same spectrograms."""
    data = run.components.data.with_split("test")
    speech = data.speech
    batch = speech.batch(range(min(count, speech.length)))
    x1 = batch.pop("x1")
    clips = [clip.wave(speech.rate) for clip in speech.fitting]
    mel = {k: getattr(speech, k) for k in ("rate", "n_fft", "hop", "mels", "mean", "std")}
    codecs: dict[str, Any] = {"griffin_lim": GriffinLim(**mel)}
    option = fmcore.RunOption(run.folder.root)
    for steps in STEPS:
        codecs[f"flow_vocoder {steps}"] = FlowVocoder(run=option, steps=steps, **mel)
    codecs["flow_vocoder 10, uncorrected"] = FlowVocoder(run=option, corrections=0, **mel)
    codecs["griffin_lim, 4 rounds"] = GriffinLim(rounds=4, **mel)
    width = x1.shape[-1] * speech.hop
    truth = torch.stack([torch.nn.functional.pad(c[:width], (0, width - len(c))) for c in clips])
    exists = batch["mask"]
    found: dict[str, Any] = {"count": len(x1)}
    lengths = (exists.sum((1, 2)) * speech.hop).long()
    decoders: dict[str, Callable[[], Decoded]] = {
        "recordings": lambda: Decoded(truth[: len(x1)], speech.rate, lengths)
    }
    for name, codec in codecs.items():
        decoders[name] = lambda codec=codec: codec.decode(x1, batch)
    for name, decode in decoders.items():
        decoded = decode()
        again = torch.stack([speech.normal(wave) for wave in decoded.values])
        far = (log_spectral_distance(again * exists * speech.std, x1 * exists * speech.std)
               * exists.shape[-1] / exists.sum((1, 2)))  # fmt: skip
        row = value_of(WordError(words=DIGITS), speech, x1, batch, decoded)
        row |= {"lsd": float(far.mean())} | similarity(truth, decoded, speech.rate)
        found[name] = {k: round(v, 3) for k, v in row.items()}
        print(name, found[name], flush=True)
    return found


def similarity(truth: Tensor, decoded: Decoded, rate: int) -> dict[str, float]:
    """Return the mean PESQ and STOI of sounds against the recordings."""
    from pesq import pesq
    from pystoi import stoi

    assert decoded.lengths is not None
    rows = zip(truth.double(), decoded.values.double(), decoded.lengths.tolist(), strict=False)
    pairs = [(a[:n].numpy(), b[:n].numpy()) for a, b, n in rows]
    return {
        "pesq": mean(pesq(rate, a, b, "wb") for a, b in pairs),
        "stoi": mean(float(stoi(a, b, rate)) for a, b in pairs),
    }


def solved(
    field: Field, start: Tensor, condition: dict[str, Tensor], nfe: int, solver: str = "euler"
) -> Tensor:
    """Return the end of a solve of `nfe` evaluations."""
    problem = Problem(field, start, path=field.path, condition=condition)
    with torch.no_grad():
        return fmcore.create("solver", solver, nfe=nfe).solve(problem).x


def replacing(data: AudioSR) -> Any:
    """Return the codec of the recipe audio_sr for these data."""
    names = ("rate", "n_fft", "hop", "mels", "f_min", "f_max", "mean", "std")
    mel = {name: getattr(data, name) for name in names}
    return fmcore.create("codec", "band_replace", of={"name": "griffin_lim", **mel})


def measured_sr(test: AudioSR, x: Tensor) -> dict[str, float]:
    found: dict[str, float] = {}
    for metric in (LSDHF(), Detail(first=test.first_band)):
        found |= value_of(metric, test, x, {}, None)
    return found


def value_of(
    metric: Any, data: Any, x: Tensor, condition: dict[str, Tensor], decoded: Decoded | None
) -> dict[str, float]:
    """Return the values of `metric` on `x`."""
    path = fmcore.create("path", "ot")
    metric.begin(Evaluation(data, data, path, None, 0, 64, FilePath()))
    metric.update(MetricBatch(torch.arange(len(x)), x, None, condition, decoded=decoded))
    return {name: result.value for name, result in metric.compute().items()}


def spread(values: list[float]) -> dict[str, float]:
    return {
        "mean": round(mean(values), 3),
        "sd": round(stdev(values), 3) if len(values) > 1 else 0.0,
    }


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


if __name__ == "__main__":
    main()

"""What the networks of speech reach, with their floors and controls.

    python benchmarks/audio.py speech RUN     a run of speech_quick or speech

Prints a Markdown table.  The samples have the texts of the test split.  Bandwidth extension and
vocoders: benchmarks/audio_sr.py.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path as FilePath

import torch
from torch import Tensor

import fmcore
from fmcore import Evaluation, Field, MetricBatch, Problem, Rows, Run
from fmcore.interfaces.codec import Decoded

STEPS = (1, 2, 4, 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["speech"])
    parser.add_argument("run", type=FilePath)
    parser.add_argument("--count", type=int, default=40)
    chosen = parser.parse_args()
    run = fmcore.open_run(chosen.run)
    for row in speech(run, chosen.count):
        print(f"| {' | '.join(row)} |", flush=True)


def speech(run: Run, count: int) -> Iterator[list[str]]:
    """The table of a run of speech: word errors and spectrogram distances."""
    test = run.components.data.with_split("test")
    count = min(count, test.length)
    batch = test.batch(range(count))
    x1 = batch.pop("x1")
    field = run.field()
    prepared = field.prepare(batch)
    assert prepared is not None
    mask = prepared["mask"]
    noise = Rows(0, "noise", 0, range(count)).normal(tuple(test.shape)) * mask
    fine, _ = solved(field, noise, prepared, 50)

    yield ["", "word error", "mel L1 to truth", "L1 to 50 steps", "detail", "seconds a second"]
    yield ["---"] * 6
    yield ["truth", *measured(run, x1, batch, None)]
    yield ["mean spectrogram alone", *measured(run, prepared["mu"], {**batch, "mask": mask}, fine)]
    yield ["noise", *measured(run, noise, {**batch, "mask": mask}, fine)]
    for steps in STEPS:
        x, seconds = solved(field, noise, prepared, steps)
        spoken = float(mask.sum()) * test.spec.hop / test.rate
        found = measured(run, x, {**batch, "mask": mask}, fine)
        yield [f"Euler, {steps}", *found[:-1], f"{seconds / spoken:.3f}"]
    wrong = {**batch, "text": batch["text"].roll(1, 0), "mask": mask}
    yield ["Euler, 10, another text", *measured(run, solved(field, noise, prepared, 10)[0], wrong)]


def solved(
    field: Field, start: Tensor, condition: dict[str, Tensor], steps: int
) -> tuple[Tensor, float]:
    """Return the end of `steps` Euler steps, and the seconds that they take."""
    problem = Problem(field, start, path=field.path, condition=condition)
    begun = time.perf_counter()
    with torch.no_grad():
        x = fmcore.create("solver", "euler", nfe=steps).solve(problem).x
    seconds = time.perf_counter() - begun
    return x * condition.get("mask", 1.0), seconds


def measured(
    run: Run, x: Tensor, condition: dict[str, Tensor], fine: Tensor | None = None
) -> list[str]:
    codec = run.components.codec
    assert codec is not None
    decoded = codec.decode(x, condition)
    values = values_of(run, x, condition, decoded)
    std = run.components.data.std
    far = "" if fine is None else f"{distance(x, fine, condition['mask']) * std:.3f}"
    return [f"{values['word_error']:.2f}", f"{values['mel_l1']:.3f}", far,
            f"{values['detail']:.2f}", ""]  # fmt: skip


def values_of(
    run: Run, x: Tensor, condition: dict[str, Tensor], decoded: Decoded | None
) -> dict[str, float]:
    """Return the value of every metric of the recipe on `x`."""
    components = run.components
    test = components.data.with_split("test")
    evaluation = Evaluation(test, components.data, components.path, None, 0, 64, FilePath())
    found: dict[str, float] = {}
    for metric in components.metrics():
        metric.begin(evaluation)
        metric.update(MetricBatch(torch.arange(len(x)), x, None, condition, decoded=decoded))
        found |= {name: result.value for name, result in metric.compute().items()}
    return found


def distance(x: Tensor, y: Tensor, mask: Tensor) -> float:
    """The mean absolute difference where the mask is 1."""
    return float(((x - y).abs() * mask).sum() / (mask.sum() * x.shape[1]))


if __name__ == "__main__":
    main()

"""Time of a training step outside the network and the optimiser, and of a moving average.

    OMP_NUM_THREADS=1 python benchmarks/trainer_overhead.py [--steps 10] [--json FILE]

The trainer trains the U-Net of training_step.py (1x28x28, 32 channels, batch 64) on images in
memory; each part of a step is timed where the trainer calls it, in CPU seconds of this process. The
goal is less than 2 % outside forward, backward, clipping and the optimiser (its step and zero_grad,
which frees the gradients).

The moving average is compared with the usual Python loop over two state dicts, as in torchcfm's
examples; the two take turns. The goal is at most a tenth of the loop's time. Three networks: the
loop has a cost per tensor, which a fused operation avoids, and one per byte, which it reduces.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from machine import machine
from torch import nn

from fmcore import ImageDataset, create
from fmcore.recipe.sections import Train
from fmcore.training.batches import Batches
from fmcore.training.ema import Exponential, MovingAverage
from fmcore.training.trainer import Trainer
from fmcore_nets.unet import UNet

GOALS = {"outside": 0.02, "average": 0.1}
BATCH, SHAPE, DECAY = 64, (1, 28, 28), 0.9999
NETWORK_PARTS = ("forward", "backward", "clipping", "optimiser", "gradients freed")
NETWORK = {
    "channels": 32,
    "depth": 1,
    "channel_mult": (1, 2, 2),
    "attention_resolutions": (14,),
    "updown": "conv",
    "scale_shift": False,
}
NETWORKS: dict[str, dict[str, Any]] = {
    "1x28x28, 8 channels": {"shape": SHAPE, **NETWORK, "channels": 8},
    "1x28x28, 32 channels": {"shape": SHAPE, **NETWORK},
    "3x32x32, 128 channels": {
        "shape": (3, 32, 32),
        "channels": 128,
        "channel_mult": (1, 2, 2, 2),
        "attention_resolutions": (16,),
    },
}


@dataclass(frozen=True)
class Pictures(ImageDataset):
    """Images of noise, in memory."""

    levels = 256
    fingerprint = "0" * 16
    length = 4096

    @property
    def shape(self) -> tuple[int, ...]:
        return SHAPE

    def batch(self, indices: list[int]) -> dict[str, torch.Tensor]:
        return {"x1": PIXELS[torch.tensor(list(indices))]}


PIXELS = torch.randint(0, 256, (Pictures.length, *SHAPE), dtype=torch.uint8)


def training() -> Trainer:
    settings = Train(steps=10**6, batch_size=BATCH, grad_clip=1.0, ema=DECAY, lr=2e-4)
    batches = Batches(
        Pictures(),
        create("path", "ot"),
        create("coupling", "independent"),
        create("objective", "flow_matching"),
        BATCH,
        seed=0,
    )
    return Trainer(UNet(shape=SHAPE, **NETWORK), batches, settings, Accelerator(cpu=True))


def parts_of_a_step(made: Trainer, steps: int) -> dict[str, float]:
    """Return the mean CPU seconds of each part of a step and of all of it, after one to warm up."""
    spent: Counter[str] = Counter()

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            began = time.process_time()
            try:
                return work(*arguments, **options)
            finally:
                spent[name] += time.process_time() - began

        return call

    made.wrapped.forward = timed("forward", made.wrapped.forward)
    made.accelerator.backward = timed("backward", made.accelerator.backward)
    made.prepared.step = timed("optimiser", made.prepared.step)
    # timed as the optimiser's: freeing the gradients returns most of a step's memory to the system
    made.prepared.zero_grad = timed("gradients freed", made.prepared.zero_grad)
    made._clip = timed("clipping", made._clip)
    object.__setattr__(made.batches, "pairs", timed("batch: data and noise", made.batches.pairs))
    for average in made.averages.values():
        average.update = timed("moving average", average.update)
    for step in range(steps + 1):
        if step == 1:
            spent.clear()
        timed("all", made.train_step)()
    return {name: seconds / steps for name, seconds in spent.items()}


def python_loop(network: nn.Module, average: nn.Module) -> None:
    """Update a moving average in a loop over state dicts, as training scripts do."""
    weights, averages = network.state_dict(), average.state_dict()
    for key in weights:
        averages[key].data.copy_(averages[key].data * DECAY + weights[key].data * (1 - DECAY))


def average_and_loop(options: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Return the median CPU milliseconds of the fused update and of the loop, taking turns."""
    network = UNet(**options)
    fused, looped = MovingAverage(network, Exponential(DECAY)), copy.deepcopy(network)
    ways = {"fused": lambda: fused.update(10**6), "loop": lambda: python_loop(network, looped)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            began = time.process_time()
            way()
            seconds[name] += [time.process_time() - began] if turn else []  # the first warms up
    fused_ms, loop_ms = (1e3 * statistics.median(seconds[name]) for name in ways)
    return {
        "tensors": len(list(network.parameters())),
        "parameters": sum(p.numel() for p in network.parameters()),
        "fused_ms": fused_ms,
        "loop_ms": loop_ms,
        "ratio": fused_ms / loop_ms,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    parts = parts_of_a_step(training(), options.steps)
    network = sum(parts[name] for name in NETWORK_PARTS)
    outside = 1 - network / parts["all"]
    for name, seconds in sorted(parts.items(), key=lambda item: -item[1]):
        print(f"{name:<24}{seconds * 1e3:>9.2f} ms{seconds / parts['all']:>8.2%}")
    print(f"{'outside the network':<24}{'':>12}{outside:>8.2%}  goal {GOALS['outside']:.0%}")
    averages = {name: average_and_loop(given, options.repeats) for name, given in NETWORKS.items()}
    for name, row in averages.items():
        print(
            f"average, {name:<24}{row['tensors']:>4} tensors "
            f"{row['fused_ms']:>8.3f} ms, loop {row['loop_ms']:>8.3f} ms: {row['ratio']:.2f}x"
        )
    if options.json is not None:
        report = {
            "steps": options.steps,
            "cpu_ms_of_a_step": {name: 1e3 * seconds for name, seconds in parts.items()},
            "outside_share": outside,
            "moving_average": averages,
            "goals": GOALS,
            "machine": machine(),
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Time of a training step outside the network and the optimiser, and of a moving average.

    OMP_NUM_THREADS=1 python benchmarks/trainer_overhead.py [--steps 10] [--json FILE]

The trainer trains the U-Net of training_step.py (1x28x28, 32 channels, batch 64) on images in
memory; each part of a step is timed where the trainer calls it, in CPU seconds of this process. The
goal is less than 2 % outside forward, backward, clipping and the optimiser (its step and zero_grad,
which frees the gradients).

The moving average is compared with the usual Python loop over two state dicts, as in torchcfm's
examples; the two take turns. The goal is at most a tenth of the loop's time. Three networks: the
loop has a cost per tensor, which a fused operation avoids, and one per byte, which it reduces.

On a small problem the trainer's own work shows: on the recipe `checkerboard` (MLP 4x128, batch
1024) it is compared with a plain loop of torch alone: the same network, an order of the examples,
noise, the loss, clipping, fused Adam and a fused moving average. The two take turns in rounds of
ROUND_STEPS steps; the ratio is of medians, its spread that of the rounds. The goal is 1.10.
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

from fmcore import ImageDataset, create, load_recipe
from fmcore.recipe.sections import Train
from fmcore.stages.components import Components
from fmcore.training.batches import Batches
from fmcore.training.ema import Exponential, MovingAverage
from fmcore.training.lr_schedule import learning_rate
from fmcore.training.trainer import Trainer
from fmcore_nets.unet import UNet

ROOT = Path(__file__).parents[1]
GOALS = {"outside": 0.02, "average": 0.1, "checkerboard": 1.1}
ROUND_STEPS = 40
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
    optimizer = made.prepared.optimizer  # called directly where there is no loss scaler
    optimizer.step = timed("optimiser", optimizer.step)
    # timed as the optimiser's: freeing the gradients returns most of a step's memory to the system
    optimizer.zero_grad = timed("gradients freed", optimizer.zero_grad)
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


def checkerboard_trainer() -> Callable[[], None]:
    recipe = load_recipe(ROOT / "recipes/checkerboard.yaml")
    made = Components.of(recipe)
    settings = made.train
    assert settings is not None
    return Trainer(made.model(), made.batches(settings), settings, Accelerator(cpu=True)).train_step


def checkerboard_loop() -> Callable[[], None]:
    """A training step of the same recipe as a script would write it, with torch alone."""
    made = Components.of(load_recipe(ROOT / "recipes/checkerboard.yaml"))
    settings = made.train
    assert settings is not None
    network, points = made.model().train(), made.data.batch(range(made.data.length))["x1"]
    weights = list(network.parameters())
    averages = [weight.detach().clone() for weight in weights]
    optimizer = torch.optim.Adam(weights, lr=settings.lr, fused=True)
    size, sigma_min, order, step = settings.batch_size, 1e-4, torch.randperm(len(points)), 0

    def train_step() -> None:
        nonlocal order, step
        place = step * size % len(points)
        if place + size > len(points):
            order, place = torch.randperm(len(points)), 0
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings)
        x1 = points[order[place : place + size]]
        x0, t = torch.randn_like(x1), torch.rand(size)
        scale = (1 - (1 - sigma_min) * t)[:, None]
        xt, ut = t[:, None] * x1 + scale * x0, x1 - (1 - sigma_min) * x0
        loss = (network(xt, t) - ut).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, settings.grad_clip, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        with torch.no_grad():
            torch._foreach_lerp_(averages, weights, 1 - DECAY)

    return train_step


def checkerboard(rounds: int) -> dict[str, Any]:
    """Return the CPU milliseconds of a step of the trainer and of the plain loop, by rounds."""
    steps = {"trainer": checkerboard_trainer(), "loop": checkerboard_loop()}
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            began = time.process_time()
            for _ in range(ROUND_STEPS):
                step()
            mean = 1e3 * (time.process_time() - began) / ROUND_STEPS
            spent[name] += [mean] if turn else []  # the first warms up
    ratios = [a / b for a, b in zip(spent["trainer"], spent["loop"], strict=True)]
    return {
        **{f"{name}_ms": statistics.median(values) for name, values in spent.items()},
        "ratio": statistics.median(spent["trainer"]) / statistics.median(spent["loop"]),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "rounds": rounds,
        "steps_a_round": ROUND_STEPS,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    small = checkerboard(options.rounds)
    print(
        f"checkerboard: trainer {small['trainer_ms']:.2f} ms, plain loop {small['loop_ms']:.2f} ms "
        f"a step: {small['ratio']:.2f}x, rounds {min(small['ratios']):.2f} to "
        f"{max(small['ratios']):.2f}  goal {GOALS['checkerboard']}"
    )
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
            "checkerboard": small,
            "moving_average": averages,
            "goals": GOALS,
            "machine": machine(),
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

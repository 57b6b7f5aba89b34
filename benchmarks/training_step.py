"""Compare one training step of the U-Net with torchcfm's of the same configuration.

    python benchmarks/training_step.py [--steps 20] [--bf16-steps 20] [--threads 1] [--json FILE]

U-Net for 1x28x28: 32 channels, multiples 1,2,2, one block, attention at 14x14, batch 64; loss,
backward, clipping, Adam, moving average. The two networks take turns, step by step, so that other
load slows both; times are CPU seconds of this process. The result is the ratio of a step's time to
that of the peer's fp32 step in the same round: its median and quartiles over the rounds. The
matrix-product rate in the same run is the upper bound of the machine.

The peer is optional: pip install --no-deps torchcfm==1.0.7 (its dependencies include Jupyter).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable
from operator import truediv
from pathlib import Path

import torch
from machine import machine
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fmcore_nets.unet import UNet

BATCH, SHAPE = 64, (1, 28, 28)
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
GOALS = {"fp32": 1.0, "bf16": 0.65}  # ratios to the peer in fp32
Step = Callable[[], object]


def ours() -> nn.Module:
    return UNet(
        shape=SHAPE,
        channels=32,
        depth=1,
        channel_mult=(1, 2, 2),
        attention_resolutions=(14,),
        head_channels=64,
        updown="conv",
        scale_shift=False,
    )


def peer() -> nn.Module | None:
    """Return torchcfm's network as a field `(x, t)`; None if it is not installed."""
    try:
        from torchcfm.models.unet.unet import UNetModelWrapper
    except ImportError:
        return None

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = UNetModelWrapper(
                dim=SHAPE,
                num_channels=32,
                num_res_blocks=1,
                channel_mult=(1, 2, 2),
                attention_resolutions="14",
            )

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return self.inner(t, x)

    return Turned()


def training_step(model: nn.Module, precision: str) -> Step:
    """Return a function that trains for one step on new noise."""
    parameters = list(model.parameters())
    averages = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.Adam(parameters, lr=2e-4, fused=True)
    x1 = torch.randn(BATCH, *SHAPE)

    def step() -> None:
        x0, t = torch.randn_like(x1), torch.rand(BATCH)
        s = t[:, None, None, None]
        xt = s * x1 + (1 - s) * x0
        with torch.autocast("cpu", PRECISIONS[precision], enabled=precision != "fp32"):
            vt = model(xt, t)
        loss = (vt.float() - (x1 - x0)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        torch._foreach_lerp_(averages, [p.detach() for p in parameters], 1e-4)

    return step


def product_rate(precision: str, size: int = 1024, repeats: int = 20) -> float:
    """Return the GFLOP/s of a square matrix product, the best of `repeats`."""
    a, b = torch.randn(2, size, size).to(PRECISIONS[precision])
    return max(2 * size**3 / _seconds(lambda: a @ b) for _ in range(repeats)) / 1e9


def in_turns(steps: dict[str, Step], count: int) -> dict[str, list[float]]:
    """Return the seconds of `count` calls of each step, taking turns, after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(count + 1):
        for name, step in steps.items():
            seconds = _seconds(step)
            if round_ > 0:
                times[name].append(seconds)
    return times


def quartiles(values: Iterable[float]) -> list[float]:
    return statistics.quantiles(values, n=4, method="inclusive")


def _seconds(work: Step) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def flops(step: Step) -> float:
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() / 1e9


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--bf16-steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    makers = {"fmcore": ours, "torchcfm": peer}
    networks = {name: model for name, make in makers.items() if (model := make()) is not None}
    baseline = f"{list(networks)[-1]} fp32"
    counts = {"fp32": options.steps, "bf16": options.bf16_steps}
    rates = {precision: product_rate(precision) for precision in PRECISIONS}
    work = flops(training_step(ours(), "fp32"))
    print(f"torch {torch.__version__}, {options.threads} thread(s)")
    print(
        f"{work:.1f} GFLOP per step; matrix products: {rates['fp32']:.0f} GFLOP/s fp32, "
        f"{rates['bf16']:.0f} bf16"
    )
    print(f"{'':<16}{'rounds':>7}{'median s':>10}{'of matmul':>11}  against {baseline}")
    rows = {}
    for precision, count in counts.items():
        steps = {
            f"{name} {precision}": training_step(networks[name], precision) for name in networks
        }
        steps.setdefault(baseline, training_step(list(networks.values())[-1], "fp32"))
        times = in_turns(steps, count)
        for name in list(steps)[: len(networks)]:
            low, ratio, high = quartiles(map(truediv, times[name], times[baseline]))
            median = statistics.median(times[name])
            part = work / median / rates[precision]
            rows[name] = {
                "rounds": count,
                "least_s": min(times[name]),
                "median_s": median,
                "of_matmul": part,
                "ratio": ratio,
                "quartiles": [low, high],
            }
            print(
                f"{name:<16}{count:>7}{median:>10.3f}{part:>10.0%}  "
                f"{ratio:.2f}x ({low:.2f} to {high:.2f})"
            )
    for precision, most in GOALS.items():
        ratio = rows[f"fmcore {precision}"]["ratio"]
        print(
            f"fmcore {precision}: {ratio:.2f}x, goal at most {most}x: "
            f"{'reached' if ratio <= most else 'MISSED'}"
        )
    if options.json is not None:
        report = {
            "what": "one training step: U-Net 1x28x28, 32 channels, batch 64, Adam, clip, EMA",
            "gflop": work,
            "matrix_products_gflop_s": rates,
            "against": baseline,
            "steps": rows,
            "goals": GOALS,
            "machine": machine(),
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Training on a GPU: throughput of imagenet64's network, and quality over time of a small one.

    python benchmarks/gpu_training.py [--batch 64] [--steps 20] [--minutes 20] [--json FILE]
    python benchmarks/gpu_training.py --smoke        test the script with tiny sizes

Throughput: images per second and model-FLOP utilisation (FLOP/s of the network's forward and
backward pass, divided by those of matrix products of size 8192 in the same run) in bf16: eager,
compiled, channels_last and both; and torchcfm's U-Net of the same size in a plain loop (optional:
pip install --no-deps torchcfm==1.0.7). Steps are those of fmcore's trainer, on images in memory.

Quality: FD-lite0 over wall time of a recipe, measured by the training itself: fashion, or with
`--recipe emoji64` and its data.root, the one of examples/fmcore-packaged-data (installed).

Has not run on a GPU yet.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from machine import machine
from torch import Tensor, nn

import fmcore
from fmcore import ImageDataset, create
from fmcore.errors import ExpectationError, Interrupted
from fmcore.recipe.sections import Train
from fmcore.stages import dry_run
from fmcore.training.batches import Batches
from fmcore.training.trainer import Trainer

SMALL = (
    "model={name: unet, channels: 32, depth: 1, channel_mult: [1, 1], attention_resolutions: [16]}",
    "data.image_size=32",
)
MODES: dict[str, dict[str, bool]] = {
    "eager": {},
    "channels_last": {"channels_last": True},
    "compiled": {"compile": True},
    "compiled channels_last": {"compile": True, "channels_last": True},
}


@dataclass(frozen=True)
class Pictures(ImageDataset):
    """Images of noise, in memory."""

    pixels: Tensor
    levels = 256
    fingerprint = "0" * 16

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.pixels.shape[1:])

    @property
    def length(self) -> int:
        return len(self.pixels)

    def batch(self, indices: list[int]) -> dict[str, Tensor]:
        return {"x1": self.pixels[torch.tensor(list(indices))]}


@dataclass(frozen=True)
class Sizes:
    """The network, image shape, batch size and number of steps to measure."""

    recipe: Any
    shape: tuple[int, ...]
    batch: int
    steps: int

    def network(self) -> nn.Module:
        return self.recipe.build("model", shape=self.shape)  # type: ignore[no-any-return]

    @property
    def flops(self) -> float:
        """The FLOPs of a forward and backward pass of one image."""
        return dry_run(self.recipe).flops_per_step / self.recipe.values["train"]["batch_size"]


def ours(sizes: Sizes, options: dict[str, bool]) -> Callable[[], None]:
    """Return a training step of fmcore's trainer."""
    AcceleratorState._reset_state(reset_partial_state=True)
    settings = Train(
        steps=10**6,
        batch_size=sizes.batch,
        lr=1e-4,
        grad_clip=1.0,
        ema=0.9999,
        precision="bf16",
        **options,
    )
    pixels = torch.randint(0, 256, (max(1024, sizes.batch), *sizes.shape), dtype=torch.uint8)
    made = (create("path", "ot"), create("coupling", "independent"))
    batches = Batches(
        Pictures(pixels), *made, create("objective", "flow_matching"), sizes.batch, seed=0
    )
    return Trainer(
        sizes.network(), batches, settings, Accelerator(mixed_precision="bf16")
    ).train_step


def peers(sizes: Sizes, device: torch.device) -> Callable[[], None] | None:
    """Return a training step as in torchcfm's examples, with its network of the same size.

    None if torchcfm is not installed.
    """
    try:
        from torchcfm.models.unet.unet import UNetModelWrapper
    except ImportError:
        return None
    given = sizes.recipe.values["model"]
    network = UNetModelWrapper(
        dim=sizes.shape,
        num_channels=given["channels"],
        num_res_blocks=given["depth"],
        channel_mult=tuple(given["channel_mult"]),
        attention_resolutions=",".join(map(str, given["attention_resolutions"])),
        num_head_channels=min(given["head_channels"], given["channels"]),
        use_scale_shift_norm=True,
        resblock_updown=True,
    ).to(device)
    average = [p.detach().clone() for p in network.parameters()]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    x1 = torch.randn(sizes.batch, *sizes.shape, device=device)

    def step() -> None:
        x0, t = torch.randn_like(x1), torch.rand(sizes.batch, device=device)
        s = t[:, None, None, None]
        with torch.autocast(device.type, torch.bfloat16):
            vt = network(t, s * x1 + (1 - s) * x0)
        loss = (vt.float() - (x1 - x0)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for kept, weight in zip(average, network.parameters(), strict=True):
                kept.mul_(0.9999).add_(weight, alpha=1e-4)

    return step


def seconds_of(step: Callable[[], None], steps: int, wait: Callable[[], object]) -> float:
    """Return the wall seconds of a step: the mean of `steps`, after three to warm up."""
    for _ in range(3):
        step()
    wait()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    wait()
    return (time.perf_counter() - began) / steps


def product_rate(device: torch.device, wait: Callable[[], object], size: int) -> float:
    """Return the FLOP/s of a square matrix product in bf16."""
    a, b = torch.randn(2, size, size, device=device).bfloat16()
    return 2 * size**3 / seconds_of(lambda: torch.mm(a, b), 10, wait)  # type: ignore[arg-type, return-value]


def throughput(sizes: Sizes, device: torch.device, modes: list[str], size: int) -> dict[str, Any]:
    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    rate, flops = product_rate(device, wait, size), sizes.flops
    ways: dict[str, Callable[[], Callable[[], None] | None]] = {
        f"fmcore {mode}": lambda mode=mode: ours(sizes, MODES[mode])  # type: ignore[misc]
        for mode in modes
    }
    ways["torchcfm eager"] = lambda: peers(sizes, device)
    rows = {}
    for name, make in ways.items():
        step = make()
        if step is None:
            print(f"{name}: torchcfm is not installed")
            continue
        seconds = seconds_of(step, sizes.steps, wait)
        rows[name] = {
            "images_per_s": sizes.batch / seconds,
            "utilisation": flops * sizes.batch / seconds / rate,
        }
        print(
            f"{name:<30}{rows[name]['images_per_s']:>10.1f} images/s"
            f"{rows[name]['utilisation']:>8.1%} of matrix products"
        )
        del step
    return {"flops_per_image": flops, "product_flops": rate, "batch": sizes.batch, "rows": rows}


def stop_after(seconds: float, done: threading.Event) -> None:
    """Send SIGTERM to this process every second, until `done`: it is ignored before training."""
    done.wait(seconds)
    while not done.wait(1):
        os.kill(os.getpid(), signal.SIGTERM)


def quality(recipe: str, overrides: tuple[str, ...], seconds: float) -> list[dict[str, float]]:
    """Return FD-lite0 over wall seconds of a training that is stopped by SIGTERM."""
    with tempfile.TemporaryDirectory() as folder:
        done, before = threading.Event(), signal.signal(signal.SIGTERM, signal.SIG_IGN)
        threading.Thread(target=stop_after, args=(seconds, done), daemon=True).start()
        try:
            fmcore.run(recipe, overrides, out=Path(folder, "run"), quiet=True)
        except Interrupted as stopped:
            print(stopped)
        except ExpectationError:
            pass  # the recipe's bounds are for a complete training
        finally:
            done.set()
            signal.signal(signal.SIGTERM, before)
        lines = Path(folder, "run", "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return [
        {"seconds": row["seconds"], "step": row["step"], "fd_lite0": row["evaluate/fd_lite0"]}
        for row in records
        if "evaluate/fd_lite0" in row
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--recipe", default="fashion")
    parser.add_argument("--override", nargs="*", default=[], help="overrides of that recipe")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if not (torch.cuda.is_available() or given.smoke):
        print("no CUDA device here: nothing was measured (--smoke tests the script)")
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    small = SMALL if given.smoke else ()
    recipe = fmcore.load_recipe("imagenet64", small, partial=True)
    edge = recipe.values["data"]["image_size"]
    batch, steps = (2, 1) if given.smoke else (given.batch, given.steps)
    modes = ["eager", "channels_last"] if given.smoke else list(MODES)
    sizes = Sizes(recipe, (3, edge, edge), batch, steps)
    report = {
        "throughput": throughput(sizes, device, modes, 256 if given.smoke else 8192),
        "quality": quality(
            "digits" if given.smoke else given.recipe,
            (*watched(given.smoke), *given.override),
            90 if given.smoke else 60 * given.minutes,
        ),
        "smoke": given.smoke,
        "machine": machine(),
    }
    for row in report["quality"]:
        print(f"{row['seconds']:>8.1f} s  step {row['step']:>7}  FD-lite0 {row['fd_lite0']:.4g}")
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


def watched(smoke: bool) -> tuple[str, ...]:
    """Return overrides: more steps than the time allows, and the metric while training."""
    if smoke:
        return (
            "train={steps: 4, evaluate_every: 2, checkpoint_every: 4, log_every: 2}",
            "train.evaluate={metrics: [fd_lite0], count: 4}",
            "model={name: unet, channels: 8, depth: 1, channel_mult: [1, 2]}",
            "sample={solver: {name: midpoint, nfe: 2}, count: 4}",
            "evaluate=null",
        )
    return (
        "train={steps: 1000000, precision: bf16, evaluate_every: 1000}",
        "train.evaluate={metrics: [fd_lite0], count: 5000}",
        "sample={solver: {name: midpoint, nfe: 40}}",
    )


if __name__ == "__main__":
    main()

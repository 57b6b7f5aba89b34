"""Read speed of packed images: batches of random indices from a memory map.

    python benchmarks/loader.py [--count 100000] [--size 64] [--batch 256] [--seconds 5] [--json F]

Packs random images once into a temporary folder (1.2 GB at 64x64) and reads shuffled batches from
it, as training does. The goal is 50,000 images of 64x64 per second on two cores; on a machine with
other load, CPU time is more reliable than wall time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from machine import machine

from fmcore import ImageDataset
from fmcore_data.packed import PackedImages
from fmcore_data.packing import pack

GOAL = 50_000


@dataclass(frozen=True)
class Noise(ImageDataset):
    """`count` images of noise."""

    count: int
    size: int
    levels = 256
    classes = 1000
    fingerprint = "0" * 16

    @property
    def shape(self) -> tuple[int, ...]:
        return (3, self.size, self.size)

    @property
    def length(self) -> int:
        return self.count

    def batch(self, indices: range) -> dict[str, torch.Tensor]:
        random = np.random.default_rng(indices[0])
        pixels = random.integers(0, 256, (len(indices), *self.shape), dtype=np.uint8)
        return {"x1": torch.from_numpy(pixels), "label": torch.tensor(indices) % 1000}


def rates(data: ImageDataset, batch: int, seconds: float) -> tuple[float, float]:
    """Return images per second in random order: by wall time, and by CPU time of this process."""
    random, read = np.random.default_rng(0), 0
    began, own = time.perf_counter(), time.process_time()
    while time.perf_counter() < began + seconds:
        indices = random.integers(0, data.length, batch)
        read += len(data.batch(indices)["x1"])
    return read / (time.perf_counter() - began), read / (time.process_time() - own)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "packed")
        began = time.perf_counter()
        pack(Noise(options.count, options.size), out, splits=["train"])
        print(f"packed {options.count / (time.perf_counter() - began):.0f} images/s")
        data = PackedImages(root=str(out))
        began = time.perf_counter()
        print(
            f"{data.length} images, {data.fingerprint}, "
            f"opened in {time.perf_counter() - began:.2f} s"
        )
        rates(data, options.batch, 1.0)
        found, alone = rates(data, options.batch, options.seconds)
    size = 3 * options.size**2
    print(
        f"{found:.0f} images of 3x{options.size}x{options.size} a second "
        f"({found * size / 1e9:.2f} GB/s), {torch.get_num_threads()} threads; "
        f"{alone:.0f} per CPU second; goal {GOAL}: "
        f"{'reached' if found >= GOAL else 'MISSED'}"
    )
    if options.json is not None:
        report = {
            "what": "shuffled batches read from a packed file, in one process",
            "images_per_s": round(found),
            "images_per_cpu_s": round(alone),
            "goal": GOAL,
            "shape": [3, options.size, options.size],
            "images": options.count,
            "batch": options.batch,
            "seconds": options.seconds,
            "machine": machine(),
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

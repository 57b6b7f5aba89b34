"""Processors, accelerators and disk space."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from fmcore.cli.doctor.finding import Finding

__all__ = ["machine"]

TOPIC = "machine"
LITTLE_SPACE = 2**30
"""Free bytes below which the disk is a note: a few checkpoints of the paper's network."""


def machine() -> Iterator[Finding]:
    """Check the devices, and the space for runs."""
    import torch

    yield Finding(
        TOPIC, "cpu", "ok", f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()}"
    )
    yield from _cuda()
    if torch.backends.mps.is_available():
        yield Finding(TOPIC, "mps", "ok", "available")
    yield _disk(Path.cwd())


def _cuda() -> Iterator[Finding]:
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        text = (
            f"torch {torch.__version__} is a build without CUDA: runs use the CPU; for an NVIDIA "
            "GPU install another build, see https://pytorch.org/get-started/locally"
        )
        yield Finding(TOPIC, "cuda", "note", text)
        return
    if not torch.cuda.is_available():
        text = (
            f"torch {torch.__version__} is built for {_toolkit()}, but finds no device: runs use "
            "the CPU; for a GPU check the driver (nvidia-smi or rocm-smi)"
        )
        yield Finding(TOPIC, "cuda", "note", text)
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        text = f"{card.name}, {card.total_memory / 2**30:.0f} GiB"
        yield Finding(TOPIC, f"cuda:{index}", "ok", text)


def _toolkit() -> str:
    """Return the toolkit that torch is built for, with its version."""
    import torch

    return f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}"


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB free in {folder}"
    if free < LITTLE_SPACE:
        text += ": little for checkpoints; write runs to another disk with --out"
        return Finding(TOPIC, "disk", "note", text)
    return Finding(TOPIC, "disk", "ok", text)

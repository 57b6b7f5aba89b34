"""The machine: processors, accelerators and disk space."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from fmcore.cli.doctor.finding import Finding

__all__ = ["machine"]

TOPIC = "machine"
LITTLE = 2**30
"""Bytes of free disk under which a word is due: a few checkpoints of the paper's network."""


def machine() -> Iterator[Finding]:
    """What there is to compute with, and room for runs."""
    import torch

    yield Finding(TOPIC, "cpu", "ok", f"{os.cpu_count()} cores, {torch.get_num_threads()} threads")
    yield from _cuda()
    if torch.backends.mps.is_available():
        yield Finding(TOPIC, "mps", "ok", "available")
    yield _disk(Path.cwd())


def _cuda() -> Iterator[Finding]:
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        yield Finding(TOPIC, "cuda", "note", "this build of torch has none; it computes on the CPU")
        return
    if not torch.cuda.is_available():
        yield Finding(TOPIC, "cuda", "note", "torch sees no device; it computes on the CPU")
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        text = f"{card.name}, {card.total_memory / 2**30:.0f} GiB"
        yield Finding(TOPIC, f"cuda:{index}", "ok", text)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB free in {folder}"
    if free < LITTLE:
        return Finding(
            TOPIC, "disk", "note", f"{text}: little for checkpoints; use --out elsewhere"
        )
    return Finding(TOPIC, "disk", "ok", text)

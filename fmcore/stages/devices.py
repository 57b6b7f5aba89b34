"""Where a run computes, and in which precision the network runs."""

from __future__ import annotations

import os

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from fmcore.errors import ComponentError
from fmcore.stages.components import Components

__all__ = ["accelerator_for", "usable"]

MIXED = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def accelerator_for(components: Components, device: str | None = None) -> Accelerator:
    """The accelerator for the recipe's precision on `device` (`cpu`, `cuda`, `mps`; by default the
    best there is).
    """
    usable(device)
    # said outright, since accelerate joins processes on the CPU only if it is told
    together = int(os.environ.get("WORLD_SIZE", "1")) > 1
    has_gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    on_cpu = device == "cpu" or (device is None and together and not torch.cuda.is_available())
    precision = components.train.precision if components.train else "fp32"
    if precision == "fp16" and (on_cpu or not has_gpu):
        raise ComponentError(
            "train.precision=fp16 scales its gradients, which needs a GPU; use fp32, or bf16"
        )
    # accelerate keeps one state a process; another run may want another device or precision
    AcceleratorState._reset_state(reset_partial_state=not together)
    return Accelerator(cpu=on_cpu, mixed_precision=MIXED[precision])


def usable(device: str | None) -> None:
    """Raise ComponentError for a device that is not there."""
    if device not in (None, "cpu", "cuda", "mps"):
        raise ComponentError(f"no device named '{device}'; choose cpu, cuda or mps")
    if device == "cuda" and not torch.cuda.is_available():
        raise ComponentError(
            "device 'cuda' was asked for, but torch sees no CUDA device; leave --device out"
        )
    if device == "mps" and not torch.backends.mps.is_available():
        raise ComponentError("device 'mps' was asked for, but torch sees none; leave --device out")

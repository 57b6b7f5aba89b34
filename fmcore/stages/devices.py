"""The device of a run, and the precision of its network."""

from __future__ import annotations

import os

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs

from fmcore.errors import ComponentError
from fmcore.runs.distributed import process_timeout
from fmcore.stages.components import Components

__all__ = ["accelerator_for", "usable"]

MIXED = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def accelerator_for(components: Components, device: str | None = None) -> Accelerator:
    """Return the accelerator for the recipe's precision on `device`.

    `device` is `cpu`, `cuda` or `mps`; by default the fastest one available.  Raises ComponentError
    for a device that is not available, or without the recipe's precision.
    """
    usable(device)
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    has_gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    # explicit, since accelerate connects processes on the CPU only with cpu=True
    on_cpu = device == "cpu" or (device is None and several and not torch.cuda.is_available())
    # without training nothing is scaled or cast: sampling runs in float32
    precision = components.train.precision if components.train else "fp32"
    if precision == "fp16" and (on_cpu or not has_gpu):
        raise ComponentError(
            "train.precision=fp16 scales its gradients, which needs a GPU; use fp32, or bf16"
        )
    # accelerate keeps one state a process; another run may need another device or precision
    AcceleratorState._reset_state(reset_partial_state=not several)
    # the processes' own exchange has this limit too: no wait of a gradient is without end
    handlers = [InitProcessGroupKwargs(timeout=process_timeout())] if several else []
    return Accelerator(cpu=on_cpu, mixed_precision=MIXED[precision], kwargs_handlers=handlers)


def usable(device: str | None) -> None:
    """Raise ComponentError for a device that is not available."""
    if device not in (None, "cpu", "cuda", "mps"):
        raise ComponentError(f"no device named '{device}'; choose cpu, cuda or mps")
    if device == "cuda" and not torch.cuda.is_available():
        raise ComponentError("device 'cuda': torch finds no CUDA device; leave --device out")
    if device == "mps" and not torch.backends.mps.is_available():
        raise ComponentError("device 'mps': torch finds none here; leave --device out")

"""Makes torchvision importable beside a CPU build of torch.

torchvision's wheel on the package index is built for CUDA: beside CPU torch its compiled operators
do not load, and its import stops at the first one it describes.  Nothing that fmcore uses of it
needs those operators; declaring the two that are missed lets the rest come in.  The only place in
fmcore that knows of this.
"""

from __future__ import annotations

import importlib
import sys

import torch

__all__ = ["import_torchvision"]

MISSED = "operator torchvision::nms does not exist"

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_declared: list[torch.library.Library] = []
"""Kept for ever: what a Library declares goes when it goes."""


def import_torchvision() -> None:
    """Import torchvision, declaring the operators that a CPU machine lacks if that is what it
    stops at.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if MISSED not in str(error):
            raise
        _forget_half_imported()
        _declare()
        importlib.import_module("torchvision")


def _declare() -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(f"{operator}{SCHEMA}")  # type: ignore[no-untyped-call]
    _declared.append(library)


def _forget_half_imported() -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[module]

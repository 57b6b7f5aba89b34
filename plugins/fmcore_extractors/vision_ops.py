"""A workaround that makes torchvision importable with a CPU build of torch.

torchvision's wheel on the package index is built for CUDA: with CPU torch its compiled operators do
not load, and its import fails at the first one that it registers a description for.  fmcore uses
none of those operators, so declaring the two missing ones lets the import succeed.
"""

from __future__ import annotations

import importlib
import sys

import torch

__all__ = ["import_torchvision"]

MISSING = "operator torchvision::nms does not exist"

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_declared: list[torch.library.Library] = []
"""Never emptied: the declarations of a Library are removed with it."""


def import_torchvision() -> None:
    """Import torchvision, declaring the operators that a CPU machine lacks if it fails for them."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if MISSING not in str(error):
            raise
        _remove_partial_import()
        _declare()
        importlib.import_module("torchvision")


def _declare() -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(f"{operator}{SCHEMA}")  # type: ignore[no-untyped-call]
    _declared.append(library)


def _remove_partial_import() -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[module]

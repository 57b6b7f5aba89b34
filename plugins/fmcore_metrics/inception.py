"""torch-fidelity's Inception-v3, on whose features FID is defined, with weights from a file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fmcore import DataError
from fmcore_metrics.feature_space import Extractor, in_chunks
from fmcore_metrics.files import checked_bytes, read_tensors
from fmcore_metrics.rgb import Pictures
from fmcore_metrics.vision_ops import import_torchvision

__all__ = [
    "FEATURES",
    "LOGITS",
    "WEIGHTS_SHA256",
    "inception_extractor",
    "inception_provenance",
    "require_weights",
]

FEATURES, LOGITS = 2048, 1008
"""The widths of the pooled features, and of the unbiased logits for the Inception score."""

NAME = "inception-v3-compat"
WEIGHTS_FILE = "weights-inception-2015-12-05-6726825d.pth"
WEIGHTS_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{WEIGHTS_FILE}"
WEIGHTS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"

CHUNK = 16


def require_weights(given: str | Path | None, metric: str) -> Path:
    """Return the file of the weights: `given`, or the one in torch.hub's cache.

    Raises DataError, with instructions, if it does not exist.
    """
    file = (
        Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS_FILE if given is None else Path(given)
    )
    if file.is_file():
        return file
    raise DataError(
        f"{metric} needs the Inception weights, which no package ships, and {file} is not there.\n"
        f"  from:  {WEIGHTS_URL}  (91 MiB)\n"
        f"  to:    {file}, or anywhere, with the metric's option weights=FILE\n"
        "  Without them, use fd_lite0, kid_lite0 or prc_lite0, whose weights a package ships"
    )


def inception_provenance(sha256: str, pictures: Pictures, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the identity of the extractor and the preprocessing of images of `shape`."""
    return {
        "extractor": NAME,
        "extractor_sha256": sha256,
        "extractor_package": f"torch-fidelity {version('torch-fidelity')}",
        **pictures.provenance(shape),
        "resize": "bilinear to 299x299, as TensorFlow 1 (torch-fidelity)",
        "uint8": "exact" if pictures.levels == 256 else "round(255 k / (levels - 1))",
    }


@cache
def inception_extractor(
    file: Path, sha256: str, pictures: Pictures, device: torch.device
) -> Extractor:
    """Return features and logits of images.  Raises DataError unless the file has `sha256`."""
    network = _network(checked_bytes(file, sha256, "the Inception weights")).to(device)

    def features(rgb: Tensor) -> Mapping[int, Tensor]:
        pooled, logits = network(rgb)
        return {FEATURES: pooled, LOGITS: logits}

    def preprocess(levels: Tensor) -> Tensor:
        return pictures.rgb(levels).round().to(torch.uint8)

    return in_chunks(features, preprocess, device, CHUNK)


def _network(content: bytes) -> torch.nn.Module:
    """Return torch-fidelity's network with the weights in `content`.

    torch-fidelity loads with pickle, which may execute code: it gets only bytes that `read_tensors`
    has read as plain tensors.
    """
    read_tensors(content)
    import_torchvision()
    from torch_fidelity.utils import create_feature_extractor

    try:
        network: torch.nn.Module = create_feature_extractor(
            NAME,
            ["2048", "logits_unbiased"],
            cuda=False,
            verbose=False,
            feature_extractor_weights_path=io.BytesIO(content),
        )
    except RuntimeError as error:  # parameters of other names or shapes
        raise DataError(
            f"the weights are not those of torch-fidelity's Inception: {error}"
        ) from error
    return network

"""torch-fidelity's Inception-v3, on whose features FID is defined, with weights from a file."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import torch

from fmcore import DataError
from fmcore_extractors.files import checked_bytes, read_tensors
from fmcore_extractors.vision_ops import import_torchvision

__all__ = ["NAME", "WEIGHTS_SHA256", "WHAT", "inception", "require_weights"]

NAME = "inception-v3-compat"
WHAT = "the Inception weights"
WEIGHTS_FILE = "weights-inception-2015-12-05-6726825d.pth"
WEIGHTS_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{WEIGHTS_FILE}"
WEIGHTS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


def require_weights(given: str | Path | None) -> Path:
    """Return the file of the weights: `given`, or the one in torch.hub's cache.

    Raises DataError, with instructions, if it does not exist.
    """
    file = (
        Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS_FILE if given is None else Path(given)
    )
    if file.is_file():
        return file
    raise DataError(
        "extractor 'inception' needs the Inception weights, which no package ships, and "
        f"{file} is not there.\n"
        f"  from:  {WEIGHTS_URL}  (91 MiB, sha256 {WEIGHTS_SHA256[:8]}...)\n"
        f"  to:    {file}, or anywhere, with the metric's option weights=FILE (extractor.file=FILE "
        "for extractor: {name: inception})\n"
        "  Without them, use extractor lite0 (fd_lite0, kid_lite0, prc_lite0), whose weights a "
        "package ships"
    )


@cache
def inception(file: Path, sha256: str, device: torch.device) -> torch.nn.Module:
    """Return the network, which gives pooled features and logits of uint8 images.

    Raises DataError unless the file has `sha256`.
    """
    return _network(checked_bytes(file, sha256, WHAT)).to(device)


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

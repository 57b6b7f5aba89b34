"""Colouring by a run: the grid of input, sample and truth, as a file and in the report."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

import fmcore
from fmcore import load_recipe, stages
from fmcore.runs.samples import Shards

SMALL = [
    "path=linear",
    "model={name: mlp, width: 8, depth: 1}",
    "train={steps: 1, batch_size: 4}",
    "sample={solver: {name: euler, nfe: 4}, count: 3, batch_size: 3}",
    "evaluate=null",
    "expect={}",
]


def test_measured_examples_are_shown_with_their_samples_and_the_truth(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "images" / f"{i}.png")
    data = (
        f"data={{name: image_folder, root: {tmp_path / 'images'}, held_out: 3, dequantize: none}}"
    )
    run = fmcore.run(
        load_recipe("digits", [data, *SMALL]), out=tmp_path / "run", device="cpu", quiet=True
    )
    options = ("condition=test", "guidance=[{name: replacement, operator: {name: grey, noise: 0}}]")
    made = stages.sample(
        run.folder.root, options, to=tmp_path / "coloured", device="cpu", quiet=True
    )
    kept = Shards.on_disk(made.folder.samples).first(3)
    truth = run.components.data.with_split("test").batch(range(3))["x1"].double() / 127.5 - 1
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    wanted = (truth * weights[:, None, None]).sum(1, keepdim=True)
    measured = kept["condition/measurement"].double()
    torch.testing.assert_close(measured, wanted, rtol=0, atol=1e-5)
    with Image.open(made.folder.samples / "comparison.png") as grid:
        assert grid.size == (6 * 66 + 2, 2 * 66 + 2)  # two samples a row: grey, sample, truth
        shown = np.asarray(grid)
    first = shown[2:66:8, 2:66:8].astype(int)
    assert (first == first[..., :1]).all()
    assert abs(first[..., 0] / 127.5 - 1 - wanted[0, 0].numpy()).max() < 1 / 127
    third = shown[2:66:8, 134:198:8]
    assert (third == np.moveaxis(((truth[0] + 1) * 127.5).round().numpy(), 0, -1)).all()
    assert "Comparison" in (made.folder.root / "report.html").read_text()

"""The network of docs/write-a-model.md trains, samples labels and takes guidance."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import fmcore
from fmcore.registry import forget, registry

PAGE = Path(__file__).parents[2] / "docs" / "write-a-model.md"
RECIPE = """
data: digits
path: ot
model: {name: fourier, classes: 10, width: 16}
train: {steps: 4, batch_size: 32, label_dropout: 0.1, lr: 0.05}
sample: {solver: {name: euler, nfe: 2}, count: 4}
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe with the network of the page, in a registry that has its file as a plugin."""
    code = PAGE.read_text(encoding="utf-8").partition("```python\n# fourier.py\n")[2]
    (tmp_path / "fourier.py").write_text(code.partition("```")[0])
    forget()
    registry().add_file(tmp_path / "fourier.py")
    file = tmp_path / "fourier.yaml"
    file.write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    yield file
    forget()


def test_the_network_of_the_page_samples_labels_and_takes_guidance(recipe, tmp_path):
    overrides = ("sample.label=3", "sample.guidance=[{name: cfg, scale: 3}]")
    run = fmcore.run(recipe, overrides, out=tmp_path / "run", quiet=True)
    (file,) = run.folder.samples.glob("shard-*.safetensors")
    assert load_file(file)["label"].tolist() == [3, 3, 3, 3]
    x0, label = torch.zeros(2, 1, 8, 8), torch.tensor([3, -1])
    labelled, null = run.field()(x0, torch.full((2,), 0.5), {"label": label})
    assert not torch.allclose(labelled, null)

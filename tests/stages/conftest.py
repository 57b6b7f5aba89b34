"""A recipe that runs in a second."""

import sys
from pathlib import Path

import pytest

TINY = """
seed: 3
data: {name: toy, figure: checkerboard}
path: ot
model: {name: mlp, width: 16, depth: 2}
train: {steps: 40, batch_size: 64, checkpoint_every: 10, log_every: 5, keep_last: 3}
sample: {solver: {name: midpoint, nfe: 8}, count: 32, batch_size: 16}
evaluate: {metrics: [nfe]}
"""


@pytest.fixture
def tiny(tmp_path) -> Path:
    """The file of that recipe."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def no_pictures():
    """They take most of the time of a small run, and have tests of their own."""
    module = sys.modules["fmcore.stages.run"]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("illustrate_samples", "illustrate_training", "write_report"):
            patch.setattr(module, name, lambda *_: None)
        yield

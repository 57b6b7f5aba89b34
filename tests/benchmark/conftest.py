"""A recipe that trains within a second."""

from pathlib import Path

import pytest

TINY = """
data: {name: toy, figure: checkerboard}
path: ot
model: {name: mlp, width: 8, depth: 1}
train: {steps: 6, batch_size: 16, keep_last: 1}
sample: {solver: {name: midpoint, nfe: 8}, count: 16}
evaluate: {metrics: [nfe]}
"""


@pytest.fixture
def tiny(tmp_path) -> Path:
    """The file of that recipe."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path

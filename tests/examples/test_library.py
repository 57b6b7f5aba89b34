"""examples/library.py and its notebook run as they are, with few steps."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from matplotlib import pyplot as plt

import fmcore

EXAMPLES = Path(__file__).parents[2] / "examples"
FEW = "STEPS, BATCH, SAMPLES = 20, 64, 32"


def shortened(code: str) -> str:
    long = next(line for line in code.splitlines() if line.startswith("STEPS, BATCH, SAMPLES = "))
    return code.replace(long, FEW)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plt.close("all")
    yield tmp_path
    plt.close("all")


def test_the_file_trains_samples_measures_and_draws(elsewhere, capsys):
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(shortened((EXAMPLES / "library.py").read_text()), "library.py", "exec"), names)
    losses = names["losses"]
    assert len(losses) == 20
    assert sum(losses[-5:]) < sum(losses[:5])
    assert names["solution"].x.shape == (32, 2)
    assert (names["solution"].status == 0).all()
    assert names["result"].log_prob.isfinite().all()
    assert (elsewhere / "library.png").stat().st_size > 10_000
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "mean loss of the last tenth",
        "NFE",
        "negative log-likelihood",
    ]


def test_the_notebook_s_cells_are_the_file_s(elsewhere):
    cells = json.loads((EXAMPLES / "library.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    text = (EXAMPLES / "library.py").read_text()
    assert all(part in text for part in code)
    compile("\n".join(code), "library.ipynb", "exec")
    assert sum(map(len, code)) > len(text) / 2


def test_it_uses_public_names_only():
    tree = ast.parse((EXAMPLES / "library.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    imported = {name.name for node in imports for name in node.names}
    assert imported == {"fmcore", "torch", "matplotlib.pyplot"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "fmcore"
    }
    assert used <= set(fmcore.__all__)

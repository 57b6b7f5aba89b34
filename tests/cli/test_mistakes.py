"""Mistakes of a newcomer at the shell: each is one clear message, without a traceback."""

from __future__ import annotations

import pytest

SMALL = """\
data: toy
path: ot
model: {name: mlp, width: 8, depth: 1}
train: {steps: 4, batch_size: 8}
"""
FILES = {
    "small.yaml": SMALL,
    "empty.yaml": "# only a comment\n",
    "tabs.yaml": "seed: 0\ndata:\n\tname: toy\n",
    "data.yaml": "data: toy\n",
    "misspelt.yaml": SMALL.replace("train:", "trian:"),
    "a_file": "x",
    "syntax.py": "def f(:\n",
    "nohook.py": "x = 1\n",
    "folder/notes.txt": "x",
    "finished/recipe.yaml": SMALL,
}

MISTAKES = {
    "run small.yaml train.stpes=3": "train has no option 'stpes'; did you mean 'steps'?",
    "run small.yaml train.steps=-3": "train.steps: expected an integer > 0, got -3",
    "run small.yaml train.steps=ten": "train.steps: expected an integer > 0, got the text",
    "run small.yaml path=oot": "no path named 'oot'; did you mean 'ot'?",
    "run small.yaml --out a_file": "'a_file' is a file",
    "run small.yaml --out a_file/x": "a_file/x: cannot be written: a file is where a folder",
    "run small.yaml --plugin syntax.py": "SyntaxError: invalid syntax",
    "run small.yaml --plugin nohook.py": "no hooks found",
    "run empty.yaml": "empty.yaml:1:1: the recipe is empty",
    "run tabs.yaml": "tabs.yaml:3:1: not valid YAML: found character '\\t'",
    "run data.yaml": "a recipe needs the section 'path'",
    "run misspelt.yaml": "misspelt.yaml:4:1: a recipe has no section 'trian'; did you mean",
    "run digts": "no recipe named 'digts'; did you mean 'digits'?",
    "sample small.yaml": (
        "small.yaml: a run folder is needed, not a recipe; first: fmcore run small.yaml"
    ),
    "sample finished/recipe.yaml": "name the folder of the run: finished",
    "sample finishd": "finishd: no such run folder; did you mean 'finished'?",
    "evaluate gone": "gone: no such run folder; runs are in runs/ unless --out was given",
    "report a_file": "a_file: a file, not a run folder",
    "sample finished --device gpu": "no device named 'gpu'; choose cpu, cuda or mps",
    "data show digits --picture x.jpg": "name a file that ends in .png, not x.jpg",
    "data show ./gone": "no file or folder",
    "plugins show dopri55": "did you mean 'dopri5'?",
    "plugins new mine --kind path --out a_file/x": "a_file/x cannot be written: Not a directory",
}


@pytest.fixture(autouse=True)
def _files(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_answered_in_words_without_a_traceback(call, tmp_path, words):
    before = set(tmp_path.rglob("*"))
    ended = call(*words.split())
    assert (ended.code in (1, 2), ended.out) == (True, "")
    assert "Traceback" not in ended.err
    assert MISTAKES[words] in ended.err
    assert set(tmp_path.rglob("*")) == before

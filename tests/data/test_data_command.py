from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from fmcore.cli import command_line
from fmcore.cli.outcome import exit_code_of

sys.path.insert(0, str(Path(__file__).parent))
import standins


@pytest.fixture
def fmcore(capsys):
    """Run `fmcore ...` in this process: its exit code, stdout and stderr."""

    def run(*arguments):
        arguments = [str(argument) for argument in arguments]
        code = exit_code_of(lambda: command_line.main(arguments, "fmcore", standalone_mode=False))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def size_of(picture):
    with Image.open(picture) as image:
        return image.size


def test_show_tells_what_there_is(fmcore):
    code, out, _ = fmcore("data", "show", "digits")
    assert code == 0
    assert out.splitlines()[:6] == [
        "digits, train",
        "  count        1500",
        "  shape        1x8x8",
        "  values       uint8, 17 levels",
        "  classes      10",
        "  fingerprint  edf8515fd93f6052",
    ]


def test_show_takes_options_and_draws(fmcore, tmp_path):
    file = tmp_path / "points.png"
    code, out, err = fmcore(
        "data", "show", "toy", "figure=rings", "count=300", "--json", "--picture", file
    )
    assert (code, err.split()) == (0, ["picture", str(file)])
    assert json.loads(out)["splits"]["test"]["count"] == 300
    assert size_of(file) == (720, 720)


@pytest.mark.parametrize("form", [standins.npz, standins.image_folder, standins.webdataset])
def test_a_place_is_recognised_packed_and_shown(fmcore, tmp_path, form):
    (tmp_path / "source").mkdir()
    form(tmp_path / "source")
    options = ["image_size=8"] if form is standins.npz else []
    code, out, err = fmcore("data", "pack", tmp_path / "source", tmp_path / "out", *options)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == f"use it: data.name=packed data.root={tmp_path / 'out'}"
    picture = tmp_path / "grid.png"
    code, packed, _ = fmcore("data", "show", tmp_path / "out", "--picture", picture)
    assert code == 0
    assert size_of(picture)[0] > 8 * 8
    code, direct, _ = fmcore("data", "show", tmp_path / "source", *options)
    assert packed.splitlines()[1:6] == direct.splitlines()[1:6]


def test_a_recipe_is_a_source_too(fmcore, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("data: {name: toy, count: 100}\npath: ot\nmodel: mlp\n")
    code, out, _ = fmcore("data", "show", recipe, "figure=rings", "--json")
    assert code == 0
    assert json.loads(out)["splits"]["train"]["classes"] == 3


def test_a_single_split_is_packed_with_a_word(fmcore, tmp_path):
    (tmp_path / "source").mkdir()
    standins.edm_zip(tmp_path / "source")
    (tmp_path / "source" / "val.zip").unlink()
    only = tmp_path / "source" / "train.zip"
    code, out, err = fmcore("data", "pack", only, tmp_path / "out")
    assert code == 0
    assert "packing the train split alone" in err
    assert "23 images" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "digitz"], "did you mean 'digits'?"),
        (["show", "npz"], "needs the option 'root'"),
        (["show", "npz", "root=/nowhere", "imagesize=8"], "did you mean 'image_size'?"),
        (["show", "npz", "root=/nowhere"], "no file or folder /nowhere"),
        (["show", "{tmp}"], "is in no format that is known: name the format"),
        (["pack", "toy", "{tmp}/out"], "holds no images"),
        (["pack", "digits", "{tmp}"], "exists: give a new folder"),
        (["pack", "npz", "{tmp}/out", "root=/nowhere"], "no file or folder /nowhere"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(fmcore, tmp_path, arguments, message):
    arguments = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    code, out, err = fmcore("data", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []

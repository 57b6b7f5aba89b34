from __future__ import annotations

import json
import os
import shutil
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
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def size_of(picture):
    with Image.open(picture) as image:
        return image.size


def test_show_prints_count_shape_values_classes_and_fingerprint(fmcore):
    code, out, _ = fmcore("data", "show", "digits")
    assert code == 0
    assert out.splitlines()[:7] == [
        "digits, train",
        "  count        1500",
        "  shape        1x8x8",
        "  values       uint8, 17 levels",
        "  classes      10",
        "  class names  0 zero, 1 one, 2 two, 3 three, 4 four, 5 five, 6 six, 7 seven, 8 eight, "
        "9 nine",
        "  fingerprint  edf8515fd93f6052",
    ]


def test_show_reads_options_and_draws_a_picture(fmcore, tmp_path):
    file = tmp_path / "points.png"
    code, out, err = fmcore(
        "data", "show", "toy", "figure=rings", "count=300", "--json", "--picture", file
    )
    assert (code, err.split()) == (0, ["picture", str(file)])
    assert json.loads(out)["splits"]["test"]["count"] == 300
    assert size_of(file) == (720, 720)


@pytest.mark.parametrize("form", [standins.npz, standins.image_folder, standins.webdataset])
def test_a_folder_is_recognised_packed_and_shown(fmcore, tmp_path, form):
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


def test_a_single_split_is_packed_with_a_warning(fmcore, tmp_path):
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
        (["show", "{tmp}"], "is in no known format; it contains no files: name the format"),
        (["show", "/nowhere/at/all"], "no file or folder /nowhere/at/all"),
        (["show", "some/samples.npz"], "/some/samples.npz, and no data named"),
        (["pack", "toy", "{tmp}/out"], "holds no images"),
        (["pack", "digits", "{tmp}"], "exists: give a new folder"),
        (["pack", "npz", "{tmp}/out", "root=/nowhere"], "no file or folder /nowhere"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_written(fmcore, tmp_path, arguments, message):
    arguments = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    code, out, err = fmcore("data", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_split_is_named_and_not_shown_as_missing(fmcore, tmp_path):
    (tmp_path / "source").mkdir()
    standins.edm_zip(tmp_path / "source")
    (tmp_path / "source" / "val.zip").write_bytes(b"PK damaged")
    for command in (["show"], ["pack", tmp_path / "out"]):
        code, out, err = fmcore("data", command[0], tmp_path / "source", *command[1:])
        assert (code, out) == (2, "")
        assert f"cannot read {tmp_path / 'source' / 'val.zip'}" in err
    assert "the test split is corrupt" in fmcore("data", "show", tmp_path / "source")[2]
    assert not (tmp_path / "out").exists()


def test_a_missing_split_is_left_out(fmcore, tmp_path):
    standins.image_folder(tmp_path)
    shutil.rmtree(tmp_path / "val")
    code, out, err = fmcore("data", "show", tmp_path, "--json")
    assert (code, err, [*json.loads(out)["splits"]]) == (0, "", ["train"])


def test_a_folder_of_an_unsupported_format_is_described(fmcore, tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.gif").write_bytes(b"GIF89a")
    code, _, err = fmcore("data", "show", tmp_path)
    assert code == 2
    assert f"{tmp_path} is in no known format; it contains .gif (3)" in err


def test_a_fifo_is_never_opened(fmcore, tmp_path):
    standins.image_folder(tmp_path)
    fifo = tmp_path / "train" / standins.CLASSES[0] / "9.png"
    os.mkfifo(fifo)
    for source, message in ((tmp_path, f"{fifo} is a FIFO"), (fifo, "neither a folder nor a reg")):
        code, out, err = fmcore("data", "show", source)
        assert (code, out) == (2, "")
        assert message in err

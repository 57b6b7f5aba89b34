"""`fmcore recipes new` and `fmcore samples export`: from a folder of images to files of samples."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import fmcore
from fmcore import load_recipe, stages
from fmcore.stages.probe import Probe

SHAPES = ("circle", "square", "tri angle")


@pytest.fixture
def shapes(tmp_path) -> Path:
    """Three classes of twelve gray images of 16x16."""
    for i, name in enumerate(SHAPES):
        (tmp_path / "shapes" / name).mkdir(parents=True)
        for j in range(12):
            Image.new("L", (16, 16), 60 * i + j).save(tmp_path / "shapes" / name / f"{j}.png")
    return tmp_path / "shapes"


@pytest.fixture
def a_step_takes(monkeypatch):
    """Set the seconds of a step of the smallest network; others cost as the square of the width."""

    def seconds(value: float) -> None:
        def fixed(recipe, device=None, probe=False):
            values = recipe.values
            cost = values["model"]["channels"] ** 2 * values["train"]["batch_size"]
            time = Probe(value * cost / (16**2 * 64)) if probe else None
            return SimpleNamespace(flops_per_step=cost, time=time, missing=())

        monkeypatch.setattr(stages, "dry_run", fixed)

    return seconds


def test_a_recipe_fits_the_folder(call, shapes, a_step_takes):
    a_step_takes(0.1)
    ended = call("recipes", "new", "--data", str(shapes))
    assert (ended.code, ended.out) == (0, "shapes.yaml\n")
    assert ended.err == "next: fmcore run shapes.yaml\n"
    recipe = load_recipe("shapes.yaml")
    values = recipe.values
    assert values["data"]["name"] == "image_folder"
    assert (values["data"]["channels"], values["data"]["held_out"]) == (1, 3)
    assert values["model"]["classes"] == "auto"
    assert values["train"]["label_dropout"] > 0
    assert values["sample"]["guidance"][0]["name"] == "cfg"
    text = Path("shapes.yaml").read_text()
    assert "circle, square, tri angle" in text
    assert len([line for line in text.splitlines() if not line.startswith("#")]) <= 9
    recipe.check()


def test_the_steps_and_the_network_grow_with_the_time(call, shapes, a_step_takes):
    a_step_takes(0.1)
    sizes = []
    for minutes in (1, 60, 3000):
        call("recipes", "new", "--data", str(shapes), "--minutes", str(minutes), "--force")
        values = load_recipe("shapes.yaml").values
        sizes.append((values["model"]["channels"], values["train"]["steps"]))
        cost = (values["model"]["channels"] / 16) ** 2 * values["train"]["batch_size"] / 64
        # samples take part of the time
        assert values["train"]["steps"] * 0.1 * cost <= 60 * minutes
    assert sizes[0][1] < sizes[1][1] < sizes[2][1]
    assert sizes[0][0] < sizes[2][0]


def test_images_of_several_sizes_need_a_size(call, shapes, a_step_takes):
    a_step_takes(0.1)
    Image.new("L", (20, 13)).save(shapes / "circle" / "wide.png")
    ended = call("recipes", "new", "--data", str(shapes))
    assert ended.code == 2
    assert "16x16 (36), 20x13 (1)" in ended.err
    assert "image_size=12 trains fastest" in ended.err
    assert call("recipes", "new", "--data", str(shapes), "image_size=12").code == 0
    assert load_recipe("shapes.yaml").values["data"]["image_size"] == 12


def test_flat_colours_have_no_classes_and_large_images_are_reduced(call, tmp_path, a_step_takes):
    a_step_takes(0.1)
    (tmp_path / "photos").mkdir()
    for i in range(4):
        Image.new("RGB", (100, 100), (i, 0, 9)).save(tmp_path / "photos" / f"{i}.png")
    assert call("recipes", "new", "--data", "photos", "mine.yaml").code == 0
    values = load_recipe("mine.yaml").values
    assert (values["data"]["image_size"], values["data"]["channels"]) == (64, 3)
    assert values["sample"]["guidance"] is None
    assert "classes" not in Path("mine.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--data", "empty"], "empty: the folder contains no files: give a folder of images"),
        (["--data", "texts"], "texts: the folder contains no images (.bmp, .jpeg"),
        (["--data", "broken"], "a.png cannot be read as an image; replace or remove it"),
        (["--data", "empty", "out.txt"], "out.txt: the name of a recipe ends in .yaml"),
        (["--data", "empty", "a.yaml", "b.yaml"], "one recipe is written, got a.yaml and b.yaml"),
        (["--data", "empty", "there.yaml"], "there.yaml: there is a file already; use --force"),
    ],
)
def test_what_is_no_folder_of_images_is_refused(call, tmp_path, words, reason):
    for name in ("empty", "texts", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    (tmp_path / "broken" / "a.png").write_text("a")
    (tmp_path / "there.yaml").write_text("path: ot\n")
    ended = call("recipes", "new", *words)
    assert ended.code == 2
    assert reason in ended.err


@pytest.fixture
def run(shapes, tmp_path):
    (tmp_path / "r.yaml").write_text(
        f"data: {{name: image_folder, root: {shapes}, channels: 1}}\n"
        "path: linear\n"
        "model: {name: mlp, width: 8, depth: 1, classes: auto}\n"
        "train: {steps: 1, batch_size: 4}\n"
        "sample: {solver: {name: euler, nfe: 1}, count: 5, batch_size: 3, seed: 7}\n"
    )
    return fmcore.run(tmp_path / "r.yaml", out=tmp_path / "run", device="cpu", quiet=True)


def test_samples_are_exported_with_their_pixels_seeds_and_classes(call, run, tmp_path):
    ended = call("samples", "export", "run", "png")
    assert (ended.code, ended.out) == (0, "png: 5 PNG files and index.csv\n")
    with (tmp_path / "png" / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == [*SHAPES, *SHAPES[:2]]
    assert [row["file"] for row in rows[1:3]] == ["000001-square.png", "000002-tri-angle.png"]
    assert {(row["seed"], row["nfe"], row["status"]) for row in rows} == {("7", "1", "success")}
    drawn = run.samples()
    for row in rows:
        pixels = np.asarray(Image.open(tmp_path / "png" / row["file"]))
        assert torch.equal(torch.from_numpy(pixels.copy()), drawn[int(row["index"])][0])


def test_an_export_replaces_nothing_and_knows_how_many_samples_there_are(call, run, tmp_path):
    (tmp_path / "png").mkdir()
    refused = call("samples", "export", "run", "png")
    assert (refused.code, refused.err) == (2, "error: png: exists; give the name of a new folder\n")
    few = call("samples", "export", "run", "few", "--count", "2")
    assert (few.code, few.out) == (0, "few: 2 PNG files and index.csv\n")
    assert len(list((tmp_path / "few").glob("*.png"))) == 2


def test_samples_that_are_no_images_are_not_exported(call, tmp_path):
    (tmp_path / "r.yaml").write_text(
        "data: {name: toy, count: 8}\npath: linear\nmodel: {name: mlp, width: 8, depth: 1}\n"
        "train: {steps: 1, batch_size: 4}\nsample: {solver: {name: euler, nfe: 1}, count: 2}\n"
    )
    fmcore.run(tmp_path / "r.yaml", out=tmp_path / "points", device="cpu", quiet=True)
    ended = call("samples", "export", "points", "png")
    assert ended.code == 2
    assert "the samples are not images" in ended.err
    assert not (tmp_path / "png").exists()


def test_the_grid_of_data_shows_the_classes_of_the_samples(run):
    # each image is one gray level, so that pixels tell the class of a cell
    grid = np.asarray(Image.open(run.folder.samples / "data.png").convert("L"))
    cells = [int(grid[2 + 32, 2 + 66 * i + 32]) for i in range(5)]
    assert [level // 60 for level in cells] == [0, 1, 2, 0, 1]
    assert cells[0] != cells[3]

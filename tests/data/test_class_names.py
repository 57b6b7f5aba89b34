"""Names of classes: from folders to recipes, captions and run.json."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

import fmcore
from fmcore import ComponentError, create
from fmcore_data.packing import pack, unpacked

SHAPES = ("circle", "square", "triangle")


@pytest.fixture
def shapes(tmp_path):
    """A folder of three classes of four images of 8x8."""
    for i, name in enumerate(SHAPES):
        (tmp_path / "shapes" / name).mkdir(parents=True)
        for j in range(4):
            Image.new("L", (8, 8), 60 * i + j).save(tmp_path / "shapes" / name / f"{j}.png")
    return tmp_path / "shapes"


def test_the_names_of_folders_are_those_of_the_classes_in_both_splits(shapes):
    data = create("data", "image_folder", root=shapes, held_out=3, channels=1)
    assert data.class_names == SHAPES
    assert data.with_split("test").class_names == SHAPES
    of = create("data", "image_folder", root=shapes, channels=1)
    assert create("data", "super_resolution", of=of, factor=2).class_names == SHAPES
    assert create("data", "image_folder", root=shapes, labels="none").class_names == ()


def test_packing_keeps_the_names(shapes, tmp_path):
    data = create("data", "image_folder", root=shapes, channels=1)
    pack(data, tmp_path / "packed", ["train"])
    assert create("data", "packed", root=tmp_path / "packed").class_names == SHAPES
    manifest = json.loads((tmp_path / "packed" / "manifest.json").read_text())
    del manifest["splits"]["train"]["names"]  # as earlier versions wrote it
    (tmp_path / "packed" / "manifest.json").write_text(json.dumps(manifest))
    assert unpacked(tmp_path / "packed", "train").names == ()


def test_a_class_is_given_by_its_name_or_its_number(shapes):
    data = create("data", "image_folder", root=shapes)
    assert [data.class_number(label) for label in ("square", 2)] == [1, 2]
    assert data.encode({"label": "triangle"})["label"].tolist() == [2]
    assert (data.label_text(1), data.label_text(-1)) == ("square", "label -1")


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("sqare", r"no class 'sqare'; did you mean 'square'\? Classes: circle, square, triangle"),
        ("-1", r"no class '-1'; classes: circle, square, triangle"),
    ],
)
def test_an_unknown_name_is_refused_with_the_list(shapes, label, reason):
    with pytest.raises(ComponentError, match=reason):
        create("data", "image_folder", root=shapes).class_number(label)


def test_a_name_is_refused_where_classes_have_none():
    with pytest.raises(ComponentError, match="have no names: give a number"):
        create("data", "toy").class_number("circle")


def test_a_run_samples_the_class_that_the_recipe_names_and_records_the_names(shapes, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"data: {{name: image_folder, root: {shapes}, channels: 1}}\n"
        "path: linear\n"
        "model: {name: mlp, width: 8, depth: 1, classes: auto}\n"
        "train: {steps: 1, batch_size: 4}\n"
        "sample: {solver: {name: euler, nfe: 1}, count: 3, label: square}\n"
    )
    run = fmcore.run(recipe, out=tmp_path / "run", device="cpu", quiet=True)
    facts = json.loads((run.folder.root / "run.json").read_text())
    assert facts["data"]["classes"] == list(SHAPES)
    captions = json.loads((run.folder.samples / "portraits.json").read_text())
    assert set(captions.values()) == {"square"}
    by_number = fmcore.sample(run, ["label=1"], to=tmp_path / "again", device="cpu", quiet=True)
    assert torch.equal(by_number.samples(), run.samples())

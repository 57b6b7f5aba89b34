"""examples/fmcore-packaged-data: two datasets, each a plugin of one file, and their recipes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fmcore import DataError
from fmcore.cli import command_line
from fmcore.registry import Registry, forget
from fmcore.testing import DatasetSuite, run_suite

EXAMPLE = Path(__file__).parents[2] / "examples" / "fmcore-packaged-data"
PACKAGE = EXAMPLE / "fmcore_packaged_data"
SMALL = [
    "model={name: unet, channels: 32, depth: 1, channel_mult: [1], attention_resolutions: []}",
    *["data.image_size=16", "train.batch_size=2", "train.precision=fp32", "train.label_dropout=0"],
]


def loaded(name: str) -> type:
    """The dataset of a plugin of one file."""
    known = Registry([])
    known.add_file(PACKAGE / f"{name}.py")
    return known.entry("data", name).load()


Emoji, Photos = loaded("emoji"), loaded("photos")


@pytest.fixture
def package(tmp_path):
    """An npm package of forty emoji in two categories, every fourth in two skin tones too."""
    place = tmp_path / "package" / "img" / "google" / "64"
    place.mkdir(parents=True)
    random, manifest = np.random.default_rng(0), []
    for number in range(40):
        names = [f"{number:04x}.png"]
        if number % 4 == 0:
            names += [f"{number:04x}-1f3fb.png", f"{number:04x}-1f3ff.png"]
        for name in names:
            pixels = random.integers(0, 256, (64, 64, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(place / name)
        manifest.append(
            {
                "unified": f"{number:04X}",
                "category": ["Flags", "Objects"][number % 2],
                "image": names[0],
                "sort_order": 40 - number,
                "skin_variations": {str(i): {"image": n} for i, n in enumerate(names[1:])},
            }
        )
    (tmp_path / "package" / "emoji.json").write_text(json.dumps(manifest))
    return tmp_path / "package"


@pytest.fixture
def album(tmp_path):
    random = np.random.default_rng(1)
    for number in range(6):
        shape = (40 + number, 60, 3)
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(
            tmp_path / f"{number}.png"
        )
    return tmp_path


def test_emoji_conform(package):
    class Suite(DatasetSuite):
        def component(self):
            return Emoji(root=str(package), image_size=16)

    assert [result for result in run_suite(Suite) if not result.passed] == []


def test_emoji_hold_out_families_not_images(package):
    train, test = (Emoji(root=str(package), split=split) for split in ("train", "test"))
    assert train.length + test.length == 60
    assert (train.shape, train.classes) == ((3, 64, 64), 2)
    families = [
        {path.name.split(".")[0].split("-")[0] for path in data._images.files.paths}
        for data in (train, test)
    ]
    assert families[0].isdisjoint(families[1])
    assert len(families[1]) == 4


def test_emoji_are_composited_onto_the_background(package):
    path = package / "img" / "google" / "64" / "0001.png"
    layer = Image.new("RGBA", (64, 64), (10, 20, 30, 0))
    layer.putpixel((0, 0), (10, 20, 30, 255))
    layer.save(path)
    for background, value in (("white", 255), ("black", 0), ("gray", 128)):
        data = Emoji(root=str(package), background=background)
        rows = [p.name for p in data._images.files.paths].index("0001.png")
        pixels = data.batch([rows])["x1"][0]
        assert pixels[:, 0, 0].tolist() == [10, 20, 30]
        assert pixels[:, 1, 1].tolist() == [value] * 3


def test_a_folder_without_emoji_is_refused_with_the_command_that_gets_them(tmp_path):
    with pytest.raises(DataError, match=r"npm pack emoji-datasource-google@16\.0\.0"):
        Emoji(root=str(tmp_path)).length  # noqa: B018


def test_photos_conform(album):
    class Suite(DatasetSuite):
        def component(self):
            return Photos(root=str(album), count=50, size=32, image_size=8)

        def missing(self):
            return Photos(root=str(album / "nowhere"))

    assert [result for result in run_suite(Suite) if not result.passed] == []


def test_patches_are_cut_from_the_photographs_of_their_split(album):
    whole = Photos(root=str(album), count=50, size=32, image_size=32)
    test = whole.with_split("test")
    images = {row.numpy().tobytes() for row in whole.batch(range(50))["x1"]}
    held_out = {row.numpy().tobytes() for row in test.batch(range(50))["x1"]}
    assert (len(images), len(held_out)) == (5, 1)
    assert images.isdisjoint(held_out)
    patches = Photos(root=str(album), count=50, size=32, image_size=8, split="test")
    picture = test.batch([0])["x1"][0]
    windows = picture.unfold(1, 8, 1).unfold(2, 8, 1).permute(1, 2, 0, 3, 4).reshape(-1, 3, 8, 8)
    for patch in patches.batch(range(50))["x1"]:
        assert (windows == patch).flatten(1).all(1).any()


def test_patches_are_a_function_of_the_seed(album):
    first, second = (
        Photos(root=str(album), count=50, size=32, image_size=8, seed=seed) for seed in (0, 1)
    )
    assert not torch.equal(first.batch(range(50))["x1"], second.batch(range(50))["x1"])


def test_a_folder_without_photographs_is_refused_with_the_name_of_the_package(tmp_path):
    with pytest.raises(DataError, match="apt-get install mate-backgrounds"):
        Photos(root=str(tmp_path)).length  # noqa: B018


def test_a_patch_larger_than_its_photograph_is_refused(album):
    with pytest.raises(DataError, match=r"image_size=64 is larger than data\.size=32"):
        Photos(root=str(album), image_size=64, size=32).length  # noqa: B018


@pytest.fixture
def command():
    """Run `fmcore ...` in this process; its plugins are forgotten afterwards."""
    yield lambda *words: command_line.main([*map(str, words)], "fmcore", standalone_mode=False)
    forget()


def with_plugin(name, recipe, root):
    files = (PACKAGE / "recipes" / f"{recipe}.yaml", "--plugin", PACKAGE / f"{name}.py")
    return ("run", *files, f"data.root={root}", *SMALL)


@pytest.mark.parametrize(
    ("name", "recipe", "missing"),
    [("emoji", "emoji64", "npm pack"), ("photos", "photos32", "apt-get install")],
)
def test_a_recipe_without_its_package_is_refused(name, recipe, missing, command, tmp_path):
    with pytest.raises(DataError, match=missing):
        command(*with_plugin(name, recipe, tmp_path), "--out", tmp_path / "run", "--quiet")


def test_the_emoji_recipe_runs_with_the_plugin(package, command, capsys):
    command(*with_plugin("emoji", "emoji64", package), "model.classes=2", "--dry-run")
    assert "a step over 10 steps" in capsys.readouterr().out  # it has read the data


def test_the_photos_recipe_runs_with_the_plugin(album, command, capsys):
    command(*with_plugin("photos", "photos32", album), "data.count=8", "data.size=40", "--dry-run")
    assert "a step over 10 steps" in capsys.readouterr().out


def test_the_distribution_offers_both_datasets_and_their_recipes(site, monkeypatch):
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))["project"]
    monkeypatch.syspath_prepend(EXAMPLE)
    site.declare(project["name"], project["version"], project["entry-points"]["fmcore"])
    installed = site.registry()
    assert [entry.name for entry in installed.entries("data")] == ["emoji", "photos"]
    assert installed.entry("data", "emoji").load().__name__ == "Emoji"
    offered = {entry.name: str(entry.target) for entry in installed.entries("recipe")}
    files = {
        file.stem: f"fmcore_packaged_data:recipes/{file.name}"
        for file in (PACKAGE / "recipes").iterdir()
    }
    assert offered == files

"""A flipped bit in what a run keeps is found when it is read."""

import json

import pytest
import torch

from fmcore import RunError, load_recipe
from fmcore.interfaces.metric import Result
from fmcore.runs.folder import RunFolder
from fmcore.runs.results import save_results
from fmcore.runs.samples import Shards

RECIPE = {
    "data": {"name": "toy", "figure": "rings"},
    "path": "ot",
    "model": {"name": "mlp", "width": 8, "depth": 1},
    "train": {"steps": 4, "batch_size": 4},
}
PROVENANCE = {"solver": {"name": "euler"}, "seed": 1}


@pytest.fixture
def folder(tmp_path):
    messages: list[str] = []
    return RunFolder.begin(load_recipe(RECIPE), tmp_path / "run", messages.append)


@pytest.fixture
def shards(tmp_path):
    made = Shards(tmp_path / "samples", 6, 2)
    made.begin(PROVENANCE)
    for indices in made.ranges():
        x = torch.arange(4.0).reshape(2, 2) + indices.start
        made.write(indices, {"x": x, "nfe": torch.ones(2), "status": torch.zeros(2)})
    return made


def flip(file, at=-1):
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def test_a_flipped_bit_in_a_shard_is_found_and_the_shard_drawn_again(shards):
    file = shards.files()[1]
    flip(file)
    with pytest.raises(RunError, match=r"shard-00000002-00000004\.safetensors: missing or corrupt"):
        shards.first(6)
    warnings = []
    assert shards.missing(warnings.append) == [range(2, 4)]
    assert warnings == [f"warning: {file}: corrupt: its samples are drawn again"]


def test_an_edited_provenance_of_samples_is_found(shards):
    file = shards.root / "made.json"
    file.write_text(file.read_text().replace('"seed": 1', '"seed": 2'))
    with pytest.raises(RunError, match=r"made\.json: corrupt or edited"):
        Shards.on_disk(shards.root)
    warnings = []
    shards.begin(PROVENANCE, warnings.append)
    assert warnings == [f"warning: {file}: corrupt or edited: all samples are drawn again"]
    assert len(shards.missing()) == 3


def test_a_flipped_bit_in_the_recipe_is_refused(folder):
    text = folder.recipe_file.read_text()
    folder.recipe_file.write_text(text.replace("steps: 4", "steps: 5"))
    with pytest.raises(RunError, match=r"recipe\.yaml: corrupt or edited"):
        RunFolder.open(folder.root).recipe()


def result(value):
    return {"fid": Result(value, None, {"count": 2})}


def test_a_flipped_bit_in_the_results_is_refused_until_they_are_measured_again(folder):
    save_results(result(2.5), folder)
    assert RunFolder.open(folder.root).results()["fid"]["value"] == 2.5
    folder.results_file.write_text(folder.results_file.read_text().replace("2.5", "1.5"))
    with pytest.raises(RunError, match=r"results\.json: corrupt or edited.*fmcore evaluate"):
        RunFolder.open(folder.root).results()
    save_results(result(3.5), folder)
    assert RunFolder.open(folder.root).results()["fid"]["value"] == 3.5


def test_a_crash_between_checksum_and_results_leaves_valid_results(folder, monkeypatch):
    save_results(result(2.5), folder)
    with monkeypatch.context() as patch:
        patch.setattr("fmcore.runs.folder.write_text", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception, match="killed"):
            save_results(result(3.5), folder)
    assert RunFolder.open(folder.root).results()["fid"]["value"] == 2.5


def test_a_file_is_parsed_once_until_it_is_replaced(folder, monkeypatch):
    parsed = []
    read = json.loads
    monkeypatch.setattr(
        "fmcore.runs.files.json.loads", lambda text: (parsed.append(text), read(text))[1]
    )
    opened = RunFolder.open(folder.root)
    for _ in range(3):
        assert opened.facts()["sha256"].keys() == {"recipe.yaml"}
    assert len(parsed) == 1
    opened.record({"x": 1})
    assert opened.facts()["x"] == 1
    assert opened.recipe() is opened.recipe()


def test_a_linked_folder_of_samples_is_not_emptied(shards, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(shards.root)
    with pytest.raises(RunError, match="is a link, and nothing is deleted through one"):
        Shards(link, 6, 2).begin({"seed": 9})
    assert len(shards.files()) == 3


def test_a_linked_shard_is_unlinked_and_its_target_kept(shards, tmp_path):
    file = shards.files()[0]
    target = file.rename(tmp_path / "elsewhere")
    file.symlink_to(target)
    shards.begin({"seed": 9})
    assert shards.files() == []
    assert target.exists()

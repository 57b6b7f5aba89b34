"""One process at a time holds a lock, and a dead one none."""

import subprocess
import sys

import pytest

from fmcore import RunError, load_recipe
from fmcore.runs.files import locked
from fmcore.runs.folder import RunFolder

RECIPE = {"data": "toy", "path": "ot", "model": {"name": "mlp", "width": 8, "depth": 1}}
HOLD = """
import sys
from pathlib import Path
from fmcore.runs.files import locked
with locked(Path(sys.argv[1]), "busy"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_held_by_one_process_and_released_by_its_death(tmp_path):
    file = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="busy"), locked(file, "busy"):
            pytest.fail("two processes hold it")
        holder.kill()
        holder.wait(timeout=30)
        with locked(file, "busy"):
            assert file.exists()


def test_a_lock_that_is_removed_at_the_end_leaves_no_file(tmp_path):
    with locked(tmp_path / "lock", "busy", remove=True):
        assert (tmp_path / "lock").exists()
    assert list(tmp_path.iterdir()) == []


def begin(root, **changed):
    return RunFolder.begin(load_recipe({**RECIPE, **changed}), root, lambda line: None)


def test_a_locked_folder_gets_no_recipe_of_another_process(tmp_path):
    root = tmp_path / "run"
    root.mkdir()
    with RunFolder(root).claimed(), pytest.raises(RunError, match="another process"):
        begin(root)
    assert [p.name for p in root.iterdir()] == [".lock"]


def test_a_kill_while_the_recipe_was_written_does_not_block_the_folder(tmp_path):
    root = tmp_path / "run"
    root.mkdir()
    (root / ".recipe.yaml.abcd.part").write_text("half")
    begin(root)
    assert sorted(p.name for p in root.iterdir()) == [
        ".lock",
        "origins.json",
        "recipe.yaml",
        "run.json",
    ]


def test_a_recipe_that_trained_nothing_is_replaced_and_any_other_is_not(tmp_path):
    root = tmp_path / "run"
    begin(root)
    folder = begin(root, seed=5)
    assert folder.recipe().values["seed"] == 5
    assert RunFolder.open(root).recipe().values["seed"] == 5
    (root / "checkpoints").mkdir()
    (root / "checkpoints" / "step-000000001.safetensors").write_bytes(b"corrupt")
    with pytest.raises(RunError, match="seed: 5 there, 6 asked for"):
        begin(root, seed=6)


def test_two_runs_of_one_second_get_two_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(RECIPE)
    roots = {RunFolder.located(recipe).root for _ in range(4)}
    assert len(roots) == 4

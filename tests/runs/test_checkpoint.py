"""Corrupt checkpoints are skipped, and reading one executes nothing."""

import json
import pickle

import pytest
import torch

from fmcore.errors import CheckpointError
from fmcore.runs.checkpoint import Checkpoint, CheckpointFolder, load_into


def checkpoint(step: int) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    tensors = {"model/w": torch.randn(3, 2, generator=generator), "ema/w": torch.zeros(3, 2)}
    return Checkpoint(step, tensors, {"scaler": None})


@pytest.fixture
def folder(tmp_path):
    warnings: list[str] = []
    made = CheckpointFolder(tmp_path, warn=warnings.append)
    return made, warnings


def test_what_is_saved_is_read_back_bit_for_bit(folder):
    made, _ = folder
    made.save(checkpoint(7), keep=2)
    back = made.latest()
    assert back.step == 7
    assert torch.equal(back.tensors["model/w"], checkpoint(7).tensors["model/w"])
    assert set(back.part("ema")) == {"w"}


def test_only_the_newest_are_kept(folder):
    made, _ = folder
    for step in (10, 20, 30, 40):
        made.save(checkpoint(step), keep=2)
    assert made.steps() == [30, 40]
    assert sorted(p.suffix for p in made.root.iterdir()) == [".json"] * 2 + [".safetensors"] * 2


@pytest.mark.parametrize("harm", ["flip a bit", "cut short", "delete", "another file"])
def test_a_corrupt_checkpoint_is_skipped_with_a_warning(folder, harm):
    made, warnings = folder
    made.save(checkpoint(1), keep=5)
    path = made.save(checkpoint(2), keep=5)
    content = bytearray(path.read_bytes())
    if harm == "flip a bit":
        content[-3] ^= 1
        path.write_bytes(content)
    elif harm == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif harm == "delete":
        path.unlink()
    else:
        path.write_bytes(pickle.dumps({"a": 1}))
    assert made.latest().step == 1
    assert len(warnings) == 1
    assert "step-000000002" in warnings[0]


def test_tensors_without_their_json_are_ignored(folder):
    made, _ = folder
    path = made.save(checkpoint(5), keep=5)
    path.with_suffix(".json").unlink()
    assert made.latest() is None


def test_only_corrupt_checkpoints_are_an_error_rather_than_a_new_start(folder):
    made, _ = folder
    made.save(checkpoint(5), keep=5).write_bytes(b"")
    with pytest.raises(CheckpointError, match="no checkpoint is valid"):
        made.latest()


def test_a_pickle_with_a_right_checksum_is_still_not_executed(folder, tmp_path):
    made, _ = folder
    path = made.save(checkpoint(5), keep=5)

    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    path.write_bytes(pickle.dumps(Harm()))
    described = json.loads(path.with_suffix(".json").read_text())
    from fmcore.runs.files import sha256_of

    described["sha256"] = sha256_of(path)
    path.with_suffix(".json").write_text(json.dumps(described))
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        made.load(5)
    assert not (tmp_path / "executed").exists()


def test_weights_of_another_network_are_refused_by_name():
    with pytest.raises(CheckpointError, match=r"another network.*'weight'"):
        load_into(torch.nn.Linear(2, 3), {"weight": torch.zeros(4, 2), "bias": torch.zeros(3)}, "x")


def test_the_best_is_kept_until_another_one_is_saved(folder):
    made, _ = folder
    assert made.best is None
    made.mark_best(10, {"value": 1.0})
    for step in (10, 20, 30):
        made.save(checkpoint(step), keep=1)
    assert (made.best, made.steps()) == (10, [10, 30])
    made.mark_best(40)
    assert made.steps() == [10, 30]  # the previous best stays until the new one is saved
    made.save(checkpoint(40), keep=1)
    assert made.steps() == [40]
    made.mark_best(None)
    assert made.best is None


def test_checkpoints_at_multiples_of_keep_every_are_kept(folder):
    made, _ = folder
    for step in range(10, 80, 10):
        made.save(checkpoint(step), keep=2, keep_every=30)
    assert made.steps() == [30, 60, 70]

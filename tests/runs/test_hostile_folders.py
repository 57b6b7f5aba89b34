"""Hostile run folders, checkpoints, references: refused with a message, nothing written outside."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import pytest
import torch
from safetensors.torch import save_file

from fmcore import CheckpointError, DataError, RunError, load_recipe
from fmcore.benchmark.compare import compare
from fmcore.benchmark.results_csv import COLUMNS, ResultsCsv
from fmcore.interfaces.model import VectorField
from fmcore.runs.checkpoint import Checkpoint, CheckpointFolder
from fmcore.runs.folder import RunFolder
from fmcore.runs.metrics_log import Curve
from fmcore.runs.samples import Shards
from fmcore_couplings.pairs import Pairs
from fmcore_extractors.files import read_tensors
from fmcore_metrics.reference import load_reference

DEEP = "[" * 100_000 + "]" * 100_000
RECIPE = {
    "data": {"name": "toy", "figure": "rings"},
    "path": "ot",
    "model": {"name": "mlp", "width": 8, "depth": 1},
    "train": {"steps": 4, "batch_size": 4},
}


def quiet(line: str) -> None:
    """Drop a message."""


@pytest.fixture
def folder(tmp_path):
    return RunFolder.begin(load_recipe(RECIPE), tmp_path / "run", quiet)


@pytest.mark.parametrize("name", ["log.txt", ".lock", "metrics.jsonl"])
def test_nothing_is_written_through_a_link_out_of_the_folder(folder, name, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("precious")
    (folder.root / name).unlink(missing_ok=True)
    (folder.root / name).symlink_to(mine)
    writers = {
        "log.txt": lambda: folder.log("$(harm)"),
        ".lock": lambda: folder.claimed().__enter__(),
        "metrics.jsonl": lambda: Curve(folder.curve_file).append({"step": 1}),
    }
    with pytest.raises(RunError, match="it is a link"):
        writers[name]()
    assert mine.read_text() == "precious"


@pytest.mark.parametrize(
    "text",
    [
        DEEP,
        "[]",
        '{"nll": 1}',
        '{"nll": {"value": 1}}',
        '{"nll": {"value": "x", "error": null, "provenance": {}}}',
        '{"nll": {"value": 1, "error": [], "provenance": {}}}',
    ],
)
def test_files_that_are_no_results_are_refused(folder, text):
    folder.results_file.write_text(text)
    with pytest.raises(RunError, match=r"results\.json"):
        compare([folder])


@pytest.mark.parametrize("text", [DEEP, '{"seconds": [1]}', '{"seconds": {"train": "x"}}', "1"])
def test_files_that_are_no_run_json_are_refused(folder, text):
    (folder.root / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json"):
        folder.facts()


def test_a_curve_keeps_only_lines_with_a_step(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b'{"step": 1}\n[]\n' + DEEP.encode() + b'\n{"step": "2"}\n\xff\n{"step": 3}\n')
    curve = Curve(file)
    assert curve.lines() == [{"step": 1}, {"step": 3}]
    curve.rewind(2)
    assert curve.lines() == [{"step": 1}]


# --- checkpoints


@pytest.fixture
def checkpoints(tmp_path):
    made = CheckpointFolder(tmp_path / "checkpoints", quiet)
    made.save(Checkpoint(3, {"model/a": torch.zeros(2)}), keep=None)
    return made


def test_files_that_only_look_like_checkpoints_are_ignored(checkpoints):
    for name in ("step-x.json", "step-.json", "step--1.json", f"step-{'9' * 5000}.json"[:200]):
        (checkpoints.root / name).write_text("{}")
    assert checkpoints.steps() == [3]


@pytest.mark.parametrize("text", [DEEP, "[]", '{"sha256": 1, "facts": {}}'])
def test_a_description_of_something_else_is_refused(checkpoints, text):
    (checkpoints.root / "step-000000003.json").write_text(text)
    with pytest.raises(CheckpointError):
        checkpoints.load(3)


def test_facts_that_are_no_mapping_are_refused(checkpoints):
    file = checkpoints.root / "step-000000003.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "facts": [1]}))
    with pytest.raises(CheckpointError, match="description"):
        checkpoints.load(3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_a_device_in_place_of_tensors_does_not_hang(checkpoints):
    file = checkpoints.root / "step-000000003.safetensors"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(CheckpointError, match="missing"):
        checkpoints.load(3)
    file.unlink()
    file.symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match="missing"):
        checkpoints.load(3)


class Net(VectorField):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, x, t, condition=None):
        return self.layer(x)


def resumed_with(change) -> None:
    """Resume from a checkpoint whose tensors `change` has changed."""
    from accelerate import Accelerator

    from fmcore import create
    from fmcore.recipe.sections import Train
    from fmcore.training.trainer import Trainer

    @dataclass
    class NoBatches:
        device: torch.device | None = None
        data = None
        objective = create("objective", "flow_matching")
        path = create("path", "ot")

    def training() -> Trainer:
        return Trainer(Net(), NoBatches(), Train(steps=2), Accelerator(cpu=True))

    first = training()
    first.model.layer.weight.grad = torch.ones(2, 2)
    first.model.layer.bias.grad = torch.ones(2)
    first.prepared.step()
    saved = first.checkpoint()
    tensors = dict(saved.tensors)
    change(tensors)
    training().resume(Checkpoint(1, tensors, saved.facts), "here")


def test_a_valid_checkpoint_is_resumed():
    resumed_with(lambda tensors: None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer/layer.weight/exp_avg", torch.zeros(3)),
        ("optimizer/layer.weight/exp_avg", None),
        ("optimizer/nowhere/exp_avg", torch.zeros(2)),
        ("ema/layer.weight", None),
        ("ema/layer.weight", torch.zeros(1)),
        ("model/layer.bias", torch.zeros(9)),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(name, value):
    def change(tensors):
        tensors.pop(name, None)
        if value is not None:
            tensors[name] = value

    with pytest.raises(CheckpointError):
        resumed_with(change)


# --- samples


def write_shards(root, **tensors):
    root.mkdir()
    whole = {"x": torch.zeros(2, 2), "nfe": torch.ones(2), "status": torch.zeros(2)} | tensors
    kept = {name: tensor for name, tensor in whole.items() if tensor is not None}
    save_file(kept, root / "shard-00000000-00000002.safetensors")
    (root / "made.json").write_text('{"count": 2, "batch_size": 2}')
    return root


def test_a_claim_of_a_trillion_samples_is_refused_at_once(tmp_path):
    root = write_shards(tmp_path / "samples")
    (root / "made.json").write_text('{"count": 1000000000000, "batch_size": 1}')
    with pytest.raises(RunError, match="too many"):
        Shards.on_disk(root)
    for count in ("0", "-1", '"2"', "2.0", "true"):
        (root / "made.json").write_text(f'{{"count": {count}, "batch_size": 1}}')
        with pytest.raises(RunError, match="above 0"):
            Shards.on_disk(root)


@pytest.mark.parametrize("odd", [{"nfe": None}, {"x": torch.zeros(3, 2)}, {"nfe": torch.ones(())}])
def test_shards_that_lack_something_are_refused(odd, tmp_path):
    root = write_shards(tmp_path / "samples", **odd)
    with pytest.raises(RunError, match="missing or corrupt"):
        Shards.on_disk(root).first(1)


# --- files of tensors


def test_files_that_are_no_pairs_are_refused(tmp_path):
    x = torch.zeros(3, 2)
    odd = [
        {"x0": x, "x1": x, "label": torch.zeros(3)},
        {"x0": x, "x1": x, "label": torch.tensor([0, 1, 10**12])},
        {"x0": x, "x1": x, "label": torch.zeros(2, dtype=torch.int64)},
        {"x0": x.long(), "x1": x.long()},
        {"x0": torch.zeros(()), "x1": torch.zeros(())},
    ]
    for number, tensors in enumerate(odd):
        own = {name: tensor.clone() for name, tensor in tensors.items()}
        save_file(own, tmp_path / f"{number}.safetensors")
        with pytest.raises(DataError, match=f"{number}.safetensors"):
            assert Pairs(file=str(tmp_path / f"{number}.safetensors")).length


@pytest.mark.parametrize("notes", [{"fmcore_reference": DEEP}, {"fmcore_reference": "[]"}, {}])
def test_a_reference_that_does_not_say_how_it_was_made_is_refused(notes, tmp_path):
    file = tmp_path / "r.safetensors"
    save_file({"mean": torch.zeros(2, dtype=torch.bfloat16)}, file, {**notes, "sha256": "x"})
    with pytest.raises(DataError, match=r"r\.safetensors"):
        load_reference(file, {})


def test_weights_that_call_a_function_are_refused(tmp_path):
    import pickle

    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "pwned"),)

    with pytest.raises(DataError, match="not a plain state dict"):
        read_tensors(pickle.dumps(Harm(), 2))
    for content in (b"", b"PK\3\4", b"\x80\x02."):
        with pytest.raises(DataError):
            read_tensors(content)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("line", [b"a,b\n", b"\xff\n", b"x," * (len(COLUMNS) - 1) + b"x\n"])
def test_a_broken_ledger_is_named(line, tmp_path):
    (tmp_path / "cells.csv").write_bytes(",".join(COLUMNS).encode() + b"\n" + line)
    with pytest.raises(RunError, match=r"cells\.csv"):
        ResultsCsv(tmp_path / "cells.csv")

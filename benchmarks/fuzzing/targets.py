"""What is fuzzed: each reader, valid input for it, and how a case of it is made."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from fmcore.benchmark.compare import compare
from fmcore.benchmark.results_csv import COLUMNS, ResultsCsv
from fmcore.cli.summary import summary
from fmcore.errors import FmcoreError
from fmcore.recipe.diff import annotated
from fmcore.recipe.load import load_recipe
from fmcore.report.page import make_report
from fmcore.runs.checkpoint import CheckpointFolder, load_into
from fmcore.runs.folder import RunFolder
from fmcore.runs.metrics_log import Curve
from fmcore.runs.samples import Shards
from fmcore_couplings.pairs import Pairs
from fmcore_couplings.pairs import _read as read_file
from fmcore_data.cifar10 import CIFAR10
from fmcore_data.decoding import Decoder
from fmcore_data.edm_zip import EDMZip
from fmcore_data.huggingface import HuggingFace
from fmcore_data.idx import IDX
from fmcore_data.npz import Npz
from fmcore_data.packed import PackedImages
from fmcore_data.webdataset import WebDataset
from fmcore_metrics.files import read_tensors
from fmcore_metrics.reference import load_reference, save_reference
from fuzzing import files, recipes
from fuzzing.files import SIDE, Folder
from fuzzing.mutation import any_text, broken

Make = Callable[[random.Random], Folder]


@dataclass(frozen=True)
class Target:
    """A reader; `share` is how many of 1,000 cases are its own."""

    name: str
    share: int
    make: Make
    read: Callable[[Path], object]


def quiet(line: str) -> None:
    """Say nothing."""


def one_broken(valid: Sequence[Folder]) -> Make:
    """A valid folder with one of its files broken."""

    def make(dice: random.Random) -> Folder:
        folder = dict(dice.choice(valid))
        name = dice.choice(list(folder))
        return {**folder, name: broken(folder[name], dice, list(folder.values()))}

    return make


def either(*makers: Make) -> Make:
    return lambda dice: dice.choice(makers)(dice)


def read_all(data: Any) -> None:
    """Everything that a run asks of a data set, of both splits."""
    for split in ("train", "test"):
        own = data.with_split(split)
        own.batch(range(min(own.length, 4)))
        assert 0 <= own.classes <= 1_000_000
        assert own.fingerprint
        assert isinstance(own.description, str)


def data_of(kind: Callable[..., Any], **options: Any) -> Callable[[Path], object]:
    def read(root: Path) -> None:
        kind.recognizes(root)  # type: ignore[attr-defined]
        read_all(kind(root=str(root), **options))

    return read


def read_recipe(root: Path) -> None:
    overrides = json.loads((root / "overrides.json").read_text("utf-8"))
    annotated(load_recipe(root / "r.yaml", overrides, partial=True))


def read_values(root: Path) -> None:
    """A mapping, as from Python: the schema alone, without YAML."""
    values, overrides = (json.loads((root / f).read_text("utf-8")) for f in recipes.VALUES)
    recipe = load_recipe(values if isinstance(values, dict) else {}, overrides, partial=True)
    assert load_recipe(recipe.values, partial=True).digest == recipe.digest


def read_checkpoints(root: Path) -> None:
    found = CheckpointFolder(root, warn=quiet).latest()
    if found is not None:
        load_into(torch.nn.Linear(2, 2), found.part("model"), "here")


def read_run(root: Path) -> None:
    folder = RunFolder.open(root, quiet)
    Curve(folder.curve_file).rewind(10)
    folder.recipe()
    folder.origins()
    summary(root, folder.results())
    compare([folder, folder]).markdown()
    if len((root / "run.json").read_bytes()) % 50 == 0:  # a page takes a while
        page = make_report(folder).read_text("utf-8")
        assert "<script" not in page.lower()


def read_shards(root: Path) -> None:
    found = Shards.there(root)
    for _ in found.all():
        pass
    found.first(3)


def read_image(root: Path) -> None:
    Decoder(image_size=SIDE)((root / "a.png").read_bytes(), "a.png")


def make_image(dice: random.Random) -> Folder:
    found = files.images()
    if dice.random() < 0.4:
        return {"a.png": files.rechecked_png(found[dice.choice((0, 1, 2))], dice)}
    content = dice.choice(found)
    return {"a.png": broken(content, dice, found) if dice.random() < 0.95 else content}


def make_pickle(dice: random.Random) -> Folder:
    found = files.pickled()
    content = (
        files.opcodes(dice) if dice.random() < 0.4 else broken(dice.choice(found), dice, found)
    )
    return {"train_data_batch_1": content, "val_data": content}


def make_checkpoints(dice: random.Random) -> Folder:
    found = files.checkpoints()
    kind = dice.randrange(4)
    if kind == 0:
        return one_broken([found])(dice)
    if kind == 1:
        name = dice.choice([name for name in found if name.endswith(".json")])
        return {**found, name: files.any_json(found[name], dice)}
    tensors = found["step-000000020.safetensors"]
    made = files.with_header(tensors, dice) if kind == 2 else broken(tensors, dice, [tensors])
    extra = {} if dice.random() < 0.8 else {f"step-{any_name(dice)}.json": b"{}"}
    last = {"step-000000020.safetensors": made, "step-000000020.json": files.facts_of(made, 20)}
    return {**found, **last, **extra}


def any_name(dice: random.Random) -> str:
    return any_text(dice).replace("/", "").replace("\0", "")[:20]


def make_tensors(valid: Folder) -> Make:
    """One of the safetensors or JSON files of a folder changed, within its structure or not."""

    def make(dice: random.Random) -> Folder:
        name = dice.choice(list(valid))
        change = files.with_header if name.endswith(".safetensors") else files.any_json
        made = (
            change(valid[name], dice) if dice.random() < 0.6 else broken(valid[name], dice, [b""])
        )
        return {**valid, name: made}

    return make


def make_run(dice: random.Random) -> Folder:
    found = recipes.run_folder()
    name = dice.choice([name for name in found if name.endswith(".json")])
    if dice.random() < 0.25:
        return one_broken([found])(dice)
    return {**found, name: files.any_json(found[name], dice)}


def shards() -> Folder:
    x = torch.arange(4.0).reshape(2, 2)
    whole = {"x": x, "nfe": torch.tensor([1, 2]), "status": torch.tensor([0, 0])}
    made = json.dumps({"count": 4, "batch_size": 2, "solver": {"name": "euler"}}).encode()
    content = files.safetensors(whole)
    names = ("shard-00000000-00000002.safetensors", "shard-00000002-00000004.safetensors")
    return {"made.json": made, **dict.fromkeys(names, content)}


REFERENCE = {"extractor": "x", "holds": "moments", "reference_count": 3}


def reference(folder: Path) -> Folder:
    file = folder / "reference.safetensors"
    save_reference(file, {"mean": torch.zeros(2), "scatter": torch.eye(2)}, REFERENCE)
    return {file.name: file.read_bytes()}


def pairs() -> Folder:
    content = {"x0": torch.zeros(3, 2), "x1": torch.ones(3, 2), "label": torch.tensor([0, 1, 2])}
    return {"pairs.safetensors": files.safetensors(content)}


def read_pairs(root: Path) -> None:
    read_file.cache_clear()
    data = Pairs(file=str(root / "pairs.safetensors"), held_out=1)
    assert data.shape is not None
    read_all(data)


def weights(folder: Path) -> Folder:
    file = folder / "w.pth"
    torch.save({"a": torch.zeros(2), "b": torch.ones(1, dtype=torch.int64)}, file)
    return {"w.pth": file.read_bytes(), "evil.pth": pickle.dumps(files.Harm(), 2)}


def ledger() -> Folder:
    row = ",".join("1" if i % 2 else "a" for i in range(len(COLUMNS)))
    return {"cells.csv": f"{','.join(COLUMNS)}\n{row}\n{row}\n".encode()}


def parquet(folder: Path) -> Folder:
    import pyarrow as pa
    import pyarrow.parquet as pq

    image = [{"bytes": content, "path": None} for content in files.images()[:3]]
    pq.write_table(pa.table({"image": image, "label": [0, 1, 2]}), folder / "t.parquet")
    content = (folder / "t.parquet").read_bytes()
    return {"train.parquet": content, "val.parquet": content}


def targets(folder: Path) -> list[Target]:
    """Every target; `folder` is a place to make valid files in."""
    zips, tar = files.edm_zip(), files.webdataset()
    npz = [files.npz(False), files.npz(True)]
    both: Make = either(one_broken(npz), files.npz_with_header)
    read_reference = partial(_read_reference, wanted=REFERENCE)
    packed = files.packed(folder)
    return [
        Target("recipe text", 100, recipes.make_text, read_recipe),
        Target("recipe values", 150, recipes.make_values, read_values),
        Target("idx", 120, one_broken([files.idx()]), data_of(IDX)),
        Target("npz", 140, both, data_of(Npz, image_size=SIDE)),
        Target("edm_zip", 25, either(one_broken([zips]), files.edm_zip), data_of(EDMZip)),
        Target("webdataset", 25, either(one_broken([tar]), files.webdataset), data_of(WebDataset)),
        Target("pickle", 200, make_pickle, data_of(Npz, image_size=SIDE)),
        Target("packed", 70, make_either(packed, "manifest.json"), data_of(PackedImages)),
        Target("cifar10 binary", 20, one_broken([files.cifar(True)]), data_of(CIFAR10)),
        Target("cifar10 pickle", 5, one_broken([files.cifar(False)]), data_of(CIFAR10)),
        Target("image", 15, make_image, read_image),
        Target("parquet", 5, one_broken([parquet(folder)]), data_of(HuggingFace)),
        Target("checkpoint", 50, make_checkpoints, read_checkpoints),
        Target("run folder", 5, make_run, read_run),
        Target("shards", 30, make_tensors(shards()), read_shards),
        Target("reference", 20, make_tensors(reference(folder)), read_reference),
        Target("pairs", 20, make_tensors(pairs()), read_pairs),
        Target("weights", 15, one_broken([weights(folder)]), read_weights),
        Target("ledger", 25, one_broken([ledger()]), lambda root: ResultsCsv(root / "cells.csv")),
    ]


def make_either(valid: Folder, manifest: str) -> Make:
    """A folder with a file broken, or with other values in its manifest."""

    def other_values(dice: random.Random) -> Folder:
        return {**valid, manifest: files.any_json(valid[manifest], dice)}

    return either(one_broken([valid]), other_values)


def read_weights(root: Path) -> None:
    with suppress(FmcoreError):
        read_tensors((root / "evil.pth").read_bytes())
    read_tensors((root / "w.pth").read_bytes())


def _read_reference(root: Path, wanted: dict[str, Any]) -> None:
    load_reference(root / "reference.safetensors", wanted)

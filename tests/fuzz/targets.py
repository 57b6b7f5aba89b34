"""The readers that are tested: valid files for each, broken ones, and the call that reads them."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.font_manager  # noqa: F401 - creates its cache, which the guard would notice
import numpy as np
import torch
from hypothesis import strategies as st
from safetensors.torch import save

from fmcore import RecipeError
from fmcore.benchmark.compare import compare
from fmcore.benchmark.results_csv import ResultsCsv
from fmcore.cli.summary import summary
from fmcore.errors import FmcoreError
from fmcore.recipe.diff import annotate
from fmcore.recipe.load import load_recipe
from fmcore.recipe.recipe import Recipe
from fmcore.report.page import make_report
from fmcore.runs.checkpoint import CheckpointFolder, load_into
from fmcore.runs.folder import RunFolder
from fmcore.runs.metrics_log import Curve
from fmcore.runs.samples import Shards
from fmcore_couplings.pairs import Pairs
from fmcore_couplings.pairs import _read as read_pairs_file
from fmcore_data.cifar10 import CIFAR10
from fmcore_data.decoding import Decoder
from fmcore_data.edm_zip import EDMZip
from fmcore_data.huggingface import HuggingFace
from fmcore_data.idx import IDX
from fmcore_data.npz import Npz
from fmcore_data.packed import PackedImages
from fmcore_data.packing import pack
from fmcore_data.webdataset import WebDataset
from fmcore_extractors.files import read_tensors
from fmcore_metrics.reference import load_reference, save_reference

from . import formats, recipes
from .formats import SIDE
from .mutations import Folder, broken_bytes, broken_folder


@dataclass(frozen=True)
class Target:
    """A reader of `valid` and, without harm, of `broken` folders."""

    valid: Folder
    broken: st.SearchStrategy[Folder]
    read: Callable[[Path], object]


def dataset(
    valid: Folder,
    kind: Callable[..., Any],
    broken: st.SearchStrategy[Folder] | None = None,
    **options: Any,
) -> Target:
    """A dataset; `broken` is drawn as often as `valid` with one broken file."""

    def read(root: Path) -> None:
        kind.recognizes(root)  # type: ignore[attr-defined]
        data = kind(root=str(root), **options)
        for split in ("train", "test"):
            own = data.with_split(split)
            own.batch(range(min(own.length, 4)))
            assert 0 <= own.classes <= 1_000_000
            assert own.fingerprint
            assert isinstance(own.description, str)

    strategy = broken_folder(valid)
    return Target(valid, strategy if broken is None else strategy | broken, read)


def any_broken(valid: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of `valid`, broken or as it is."""
    found = st.sampled_from(valid)
    return found | found.flatmap(lambda content: broken_bytes(content, valid))


def recipe_text() -> Target:
    def read(root: Path) -> None:
        annotate(loaded(root / "recipe", root))

    return Target(recipes.case(recipes.TINY.encode(), ["seed=1"]), recipes.broken_texts(), read)


def recipe_values() -> Target:
    """A mapping, as from Python: the schema alone, without YAML."""

    def read(root: Path) -> None:
        values = json.loads((root / "recipe").read_text("utf-8"))
        recipe = loaded(values if isinstance(values, dict) else {}, root)
        again = load_recipe(recipe.values, partial=True)
        assert (again.digest, again.missing) == (recipe.digest, recipe.missing)

    valid = recipes.case(json.dumps(recipes.tiny()).encode(), ["seed=1"])
    return Target(valid, recipes.broken_values(), read)


def loaded(source: Path | dict[str, Any], root: Path) -> Recipe:
    """The recipe; if it is refused, by faults that can be printed."""
    overrides = json.loads((root / "overrides.json").read_text("utf-8"))
    try:
        return load_recipe(source, overrides, partial=True)
    except RecipeError as error:
        if not all(fault and fault.replace("\n", "").isprintable() for fault in error.faults):
            raise AssertionError(f"cannot be printed: {error.faults!r}") from error
        raise


def npz() -> Target:
    broken = broken_folder(formats.npz(np.savez_compressed)) | formats.damaged_npz()
    return dataset(formats.npz(), Npz, broken, image_size=SIDE)


def npz_pickles() -> Target:
    def folder(content: bytes) -> Folder:
        return formats.both_splits(content, "train_data_batch_1", "val_data")

    broken = any_broken(formats.pickles()) | formats.opcodes
    return dataset(folder(formats.pickles()[2]), Npz, broken.map(folder), image_size=SIDE)


def edm_zip() -> Target:
    valid = formats.edm_zip(formats.zipped(formats.zip_members()))
    return dataset(valid, EDMZip, formats.damaged_zip())


def webdataset() -> Target:
    valid = formats.webdataset(formats.tarred(formats.tar_members()))
    return dataset(valid, WebDataset, formats.damaged_tar())


def packed() -> Target:
    def write(folder: Path) -> None:
        for name, content in formats.npz().items():
            (folder / name).write_bytes(content)
        pack(Npz(root=str(folder), image_size=SIDE), folder / "packed")

    return dataset(formats.written(write, "packed"), PackedImages)


def image() -> Target:
    def read(root: Path) -> None:
        Decoder(image_size=SIDE)((root / "a.png").read_bytes(), "a.png")

    found = formats.images()
    contents = formats.damaged_png() | any_broken(found)
    return Target({"a.png": found[0]}, st.fixed_dictionaries({"a.png": contents}), read)


def checkpoint() -> Target:
    names = [f"{part}/{name}" for part in ("model", "ema") for name in ("weight", "bias")]
    content = save({name: torch.zeros((2, 2) if "weight" in name else 2) for name in names})

    def saved(content: bytes, step: int) -> Folder:
        facts = {"step": step, "sha256": hashlib.sha256(content).hexdigest()}
        text = json.dumps({**facts, "facts": {"scaler": None}})
        name = f"step-{step:09d}"
        return {f"{name}.safetensors": content, f"{name}.json": text.encode()}

    def read(root: Path) -> None:
        found = CheckpointFolder(root, warn=lambda line: None).latest()
        if found is not None:
            load_into(torch.nn.Linear(2, 2), found.part("model"), "here")

    valid = {**saved(content, 10), **saved(content, 20)}
    damaged = formats.damaged_safetensors(content) | broken_bytes(content)
    renewed = damaged.map(lambda content: {**valid, **saved(content, 20)})
    texts = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), max_size=20)
    named = texts.map(lambda name: {**valid, f"step-{name}.json": b"{}"})
    return Target(valid, broken_folder(valid) | renewed | named, read)


def run_folder() -> Target:
    def read(root: Path) -> None:
        folder = RunFolder.open(root, lambda line: None)
        Curve(folder.curve_file).rewind(10)
        folder.recipe()
        folder.origins()
        summary(root, folder.results())
        compare([folder, folder]).markdown()
        if len((root / "run.json").read_bytes()) % 50 == 0:  # a page takes a while
            assert "<script" not in make_report(folder).read_text("utf-8").lower()

    valid = recipes.run_folder()
    return Target(valid, broken_folder(valid), read)


def shards() -> Target:
    def read(root: Path) -> None:
        found = Shards.on_disk(root)
        for _ in found.all():
            pass
        found.first(3)

    tensors = {"x": torch.arange(4.0).reshape(2, 2), "nfe": torch.tensor([1, 2])}
    content = save({**tensors, "status": torch.tensor([0, 0])})
    facts = json.dumps({"count": 4, "batch_size": 2, "solver": {"name": "euler"}}).encode()
    names = ("shard-00000000-00000002.safetensors", "shard-00000002-00000004.safetensors")
    return tensor_files({"made.json": facts, **dict.fromkeys(names, content)}, read)


def reference() -> Target:
    facts = {"extractor": "x", "holds": "moments", "reference_count": 3}
    moments = {"mean": torch.zeros(2), "scatter": torch.eye(2)}
    name = "reference.safetensors"
    valid = formats.written(lambda folder: save_reference(folder / name, moments, facts))
    return tensor_files(valid, lambda root: load_reference(root / name, facts))


def pairs() -> Target:
    def read(root: Path) -> None:
        read_pairs_file.cache_clear()
        data = Pairs(file=str(root / "pairs.safetensors"), held_out=1)
        for split in ("train", "test"):
            data.with_split(split).batch(range(1))

    tensors = {"x0": torch.zeros(3, 2), "x1": torch.ones(3, 2), "label": torch.tensor([0, 1, 2])}
    return tensor_files({"pairs.safetensors": save(tensors)}, read)


def tensor_files(valid: Folder, read: Callable[[Path], object]) -> Target:
    name = next(name for name in valid if name.endswith(".safetensors"))
    damaged = formats.damaged_safetensors(valid[name])
    headers = damaged.map(lambda content: {**valid, name: content})
    return Target(valid, broken_folder(valid) | headers, read)


def weights() -> Target:
    def read(root: Path) -> None:
        with suppress(FmcoreError):
            read_tensors((root / "evil.pth").read_bytes())
        read_tensors((root / "w.pth").read_bytes())

    tensors = {"a": torch.zeros(2), "b": torch.ones(1, dtype=torch.int64)}
    valid = formats.written(lambda folder: torch.save(tensors, folder / "w.pth"))
    valid = {**valid, "evil.pth": pickle.dumps(formats.Harm(), 2)}
    return Target(valid, broken_folder(valid), read)


def ledger() -> Target:
    def read(root: Path) -> ResultsCsv:
        return ResultsCsv(root / "cells.csv")

    def write(folder: Path) -> None:
        for key in ("a", "b"):
            read(folder).add({"key": key, "problem": "gaussian", "dim": 2, "error_rms": 0.5})

    valid = formats.written(write)
    return Target(valid, broken_folder(valid), read)


TARGETS: dict[str, Callable[[], Target]] = {
    "recipe text": recipe_text,
    "recipe values": recipe_values,
    "idx": lambda: dataset(formats.idx(), IDX),
    "npz": npz,
    "edm_zip": edm_zip,
    "webdataset": webdataset,
    "pickle": npz_pickles,
    "packed": packed,
    "cifar10 binary": lambda: dataset(formats.cifar(binary=True), CIFAR10),
    "cifar10 pickle": lambda: dataset(formats.cifar(binary=False), CIFAR10),
    "image": image,
    "parquet": lambda: dataset(formats.tables("parquet"), HuggingFace),
    "arrow": lambda: dataset(formats.tables("arrow"), HuggingFace),
    "checkpoint": checkpoint,
    "run folder": run_folder,
    "shards": shards,
    "reference": reference,
    "pairs": pairs,
    "weights": weights,
    "ledger": ledger,
}


@cache
def target(name: str) -> Target:
    """The target of that name."""
    return TARGETS[name]()

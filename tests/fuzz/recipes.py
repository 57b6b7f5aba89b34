"""Recipes and run folders that are nearly valid."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import yaml
from hypothesis import strategies as st

from fmcore import load_recipe
from fmcore.recipe.catalog import list_recipes

from .formats import CANARY
from .mutations import Folder, broken_bytes, changed_json, json_values, words

TINY = """\
# A tiny run.
seed: 0
data: {name: toy, figure: checkerboard}
path: {name: ot, sigma_min: 1.0e-4}
coupling: {name: minibatch_ot}
model: {name: mlp, width: 8, depth: 2}
train: {steps: 10, batch_size: 8, lr: 1.0e-3, optimizer: {betas: [0.9, 0.99]}, ema: [0.9, 0.99]}
sample: {solver: {name: midpoint, nfe: 8}, count: 4}
evaluate: {metrics: [nfe, {name: nll}]}
expect: {nll: {max: 9}}
"""
KEYS = [
    *["seed", "data", "path", "model", "train", "sample", "evaluate", "expect", "name", "extends"],
    *["toy", "ot", "vp", "unet", "mlp", "sigma_min", "source", "steps", "solver", "dopri5", "nfe"],
]
PIECES = [
    *KEYS,
    *["???", "${seed}", "'${data.name}'", "${oc.env:HOME}", "${a", "\\${x}", "null", "1e-5"],
    *["&a", "*a", "&a [*a]", f"!!python/object/apply:os.mkdir [{CANARY}]", "!x", "<<", "|", ">"],
    *["- ", "%YAML 1.1", "---", "...", "#", '"\\0"', '"\\x1b[31m"', "12:30", "yes"],
    *["9" * 5000, "a" * 5000, "0x" + "f" * 9000],
]
GLUE = ["\n", "\n  ", "\n- ", ": ", ", ", "{", "}", "[", "]", '"', "'", " ", "\t", "", "? ", "\r"]

pieces = st.sampled_from(PIECES)
yaml_like = st.lists(st.sampled_from(PIECES + GLUE), max_size=40).map("".join)
keys = st.lists(st.sampled_from([*KEYS, "0", "1", "", "lr", "betas"]), max_size=4).map(".".join)
values = pieces | words | st.text(max_size=40) | json_values.map(json.dumps)
overrides = st.just([]) | st.lists(
    st.builds("{}={}".format, keys, values) | st.text(max_size=40) | pieces, max_size=3
)


@cache
def shipped() -> list[bytes]:
    """The shipped recipes, and one that uses most kinds of values."""
    return [TINY.encode(), *(found.file.read_bytes() for found in list_recipes())]


@st.composite
def _reworded(draw: st.DrawFn) -> str:
    """A shipped recipe with a few words replaced and lines repeated."""
    lines = draw(st.sampled_from(shipped())).decode().splitlines()
    for _ in range(draw(st.sampled_from([1, 2, 4]))):
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at].split(" ")
        line[draw(st.integers(0, len(line) - 1))] = draw(pieces)
        lines[at] = " ".join(line)
        if draw(st.integers(0, 4)) == 0:
            lines.insert(at, draw(st.sampled_from(lines)))
    return "\n".join(lines)


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def case(recipe: bytes, words: list[str]) -> Folder:
    """The files of a case: a recipe and its overrides."""
    return {"recipe": recipe, "overrides.json": json.dumps(words).encode()}


def broken_texts() -> st.SearchStrategy[Folder]:
    """Recipe files and overrides."""
    shipped_bytes = st.sampled_from(shipped()).flatmap(broken_bytes)
    texts = (_reworded() | yaml_like | st.text(max_size=80)).map(encoded)
    contents = _reworded().map(encoded) | shipped_bytes | texts | st.binary(max_size=80)
    return st.builds(case, contents, overrides)


def broken_values() -> st.SearchStrategy[Folder]:
    """The values of the tiny recipe with some changed, and overrides."""
    changed = changed_json(load_recipe(tiny()).values)
    return st.builds(case, changed.map(lambda value: json.dumps(value).encode()), overrides)


def tiny() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(TINY)
    return loaded


def run_folder() -> Folder:
    """The text files of a finished run."""
    recipe = load_recipe(tiny())
    result = {"value": 1.5, "error": 0.1, "provenance": {"count": 4, "sampler": {"path": "ot"}}}
    facts = {
        "recipe": "tiny",
        "seconds": {"train": 1.0, "sample": 2.0},
        "machine": {"device": "cpu", "device_name": "x"},
        "versions": {"torch": "2"},
        "plugins": {"fmcore_paths": "0.1"},
        "command": ["fmcore", "run"],
        "git": "abc+",
    }
    curve = [json.dumps({"step": s, "loss": 1.0, "seconds": 0.1}) + "\n" for s in (5, 10, 20)]
    texts = {
        "recipe.yaml": recipe.to_yaml(),
        "origins.json": json.dumps(recipe.origins),
        "run.json": json.dumps(facts),
        "results.json": json.dumps({"nll": {**result, "details": {"nfe": 8.0}}, "nfe": result}),
        "metrics.jsonl": "".join(curve),
        "log.txt": "2026-01-01 00:00:00Z  warning: <script>alert(1)</script>\n",
        "samples/made.json": json.dumps({"count": 4, "solver": {"name": "midpoint"}}),
    }
    return {name: text.encode() for name, text in texts.items()}

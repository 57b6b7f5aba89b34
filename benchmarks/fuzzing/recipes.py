"""Recipes and run folders that are nearly right."""

from __future__ import annotations

import json
import random
from functools import cache

from fmcore import load_recipe
from fmcore.recipe.catalog import catalogue
from fuzzing.files import CANARY, Folder
from fuzzing.mutation import WORDS, any_text, any_value, broken, changed

TINY = """\
# A tiny run.
seed: 0
data: {name: toy, figure: checkerboard}
path: {name: ot, sigma_min: 1.0e-4}
coupling: {name: minibatch_ot}
model: {name: mlp, width: 8, depth: 2}
train: {steps: 10, batch_size: 8, lr: 1e-3, betas: [0.9, 0.99], ema: [0.9, 0.99]}
sample: {solver: {name: midpoint, nfe: 8}, count: 4}
evaluate: {metrics: [nfe, {name: nll}]}
expect: {nll: {max: 9}}
"""

PIECES = [
    *["seed", "data", "path", "model", "train", "sample", "evaluate", "expect", "name", "extends"],
    *["toy", "ot", "vp", "unet", "mlp", "sigma_min", "source", "steps", "solver", "dopri5", "nfe"],
    *[
        "???",
        "${seed}",
        "'${data.name}'",
        "${oc.env:HOME}",
        "${a",
        "\\${x}",
        "null",
        "1e-5",
        "0x" + "f" * 9000,
    ],
    *[
        "&a",
        "*a",
        "&a [*a]",
        f"!!python/object/apply:os.mkdir [{CANARY}]",
        "!x",
        "<<",
        "|",
        ">",
        "- ",
    ],
    *[
        "%YAML 1.1",
        "---",
        "...",
        "#",
        '"\\0"',
        '"\\x1b[31m"',
        "9" * 5000,
        "a" * 5000,
        "12:30",
        "yes",
    ],
]
GLUE = ["\n", "\n  ", "\n- ", ": ", ", ", "{", "}", "[", "]", '"', "'", " ", "\t", "", "? ", "\r"]


@cache
def shipped() -> tuple[bytes, ...]:
    """The recipes that come with fmcore, and one that uses most kinds of values."""
    return (TINY.encode(), *(found.file.read_bytes() for found in catalogue()))


def make_text(dice: random.Random) -> Folder:
    """A recipe file and overrides."""
    kind = dice.choice((0, 1, 2, 2, 2, 3 if dice.random() < 0.2 else 2))
    if kind == 0:
        text = "".join(dice.choice(PIECES) + dice.choice(GLUE) for _ in range(dice.randrange(30)))
    elif kind == 1:
        text = broken(dice.choice(shipped()), dice, list(shipped())).decode("latin1")
    else:
        text = _reworded(dice) if kind == 2 else _bomb(dice)
    content = text.encode("latin1" if kind == 1 else "utf-8", "replace")
    return {"r.yaml": content, VALUES[1]: json.dumps(_overrides(dice)).encode()}


VALUES = ("values.json", "overrides.json")


def make_values(dice: random.Random) -> Folder:
    """The values of the tiny recipe with some changed, and overrides."""
    value: object = _values()
    for _ in range(dice.choice((0, 1, 1, 2, 3))):
        value = changed(value, dice)
    contents = (value, _overrides(dice))
    return {name: json.dumps(c).encode() for name, c in zip(VALUES, contents, strict=True)}


def _reworded(dice: random.Random) -> str:
    """A shipped recipe with a few words exchanged or lines moved."""
    lines = dice.choice(shipped()).decode().splitlines()
    for _ in range(dice.choice((1, 2, 4))):
        at = dice.randrange(len(lines))
        words = lines[at].split(" ")
        words[dice.randrange(len(words))] = dice.choice(PIECES)
        lines[at] = " ".join(words)
        if dice.random() < 0.2:
            lines.insert(at, dice.choice(lines))
    return "\n".join(lines)


@cache
def _values() -> dict[str, object]:
    return load_recipe({**_plain()}).values


def _plain() -> dict[str, object]:
    import yaml

    loaded: dict[str, object] = yaml.safe_load(TINY.replace("1e-3", "0.001"))
    return loaded


def _bomb(dice: random.Random) -> str:
    """Small text that stands for much, or is nested far."""
    wide = "\n".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    depth = dice.choice((60, 1_000, 50_000))
    return dice.choice(
        [
            f"a: &a [x]\n{wide}\n",
            "a: " + "[" * depth + "]" * depth,
            "a: " + "{a: " * depth,
            "\n".join(" " * i + "a:" for i in range(min(depth, 500))),
            "- " * depth,
            "? " * depth,
            "a: &a {b: *a}",
            "a: '" + "x" * 200_000 + "'",
            "x" * 300_000,
            "a: ${" * min(depth, 1000) + "}" * min(depth, 1000),
            f"extends: {'../' * 300}etc/passwd",
            f"extends: {'a' * 400}",
            "extends: r.yaml",
            'extends: "\\0"',
            "[" * 20_000 + ", ".join("a: b" for _ in range(2_000)),
        ]
    )


def _overrides(dice: random.Random) -> list[str]:
    keys = [*PIECES[:21], "0", "1", "", "lr", "betas", "x" * 50]

    def one() -> str:
        key = ".".join(dice.choice(keys) for _ in range(dice.choice((1, 2, 2, 3, 60))))
        values = (
            dice.choice(PIECES),
            any_text(dice),
            json.dumps(any_value(dice)),
            dice.choice(WORDS),
        )
        return f"{key}{dice.choice(('=', '=', '=', ''))}{dice.choice(values)}"

    return [one() for _ in range(dice.choice((0, 0, 1, 1, 3)))]


@cache
def run_folder() -> Folder:
    """A finished run, as far as it is text."""
    recipe = load_recipe(_plain())
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
    curve = "".join(
        json.dumps({"step": s, "loss": 1.0, "seconds": 0.1}) + "\n" for s in (5, 10, 20)
    )
    texts = {
        "recipe.yaml": recipe.to_yaml(),
        "origins.json": json.dumps(recipe.origins),
        "run.json": json.dumps(facts),
        "results.json": json.dumps({"nll": {**result, "details": {"nfe": 8.0}}, "nfe": result}),
        "metrics.jsonl": curve,
        "log.txt": "2026-01-01 00:00:00Z  warning: <script>alert(1)</script>\n",
        "samples/made.json": json.dumps({"count": 4, "solver": {"name": "midpoint"}}),
    }
    return {name: text.encode() for name, text in texts.items()}

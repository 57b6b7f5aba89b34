"""Collect the results of runs of the recipes on spaces into benchmarks/results/spaces.json.

python benchmarks/spaces.py runs/torsions runs/airports ...

Rows of runs that are not given stay as they are.  With --three-gram the file also gets the figures
of a 3-gram of the words, which needs Debian's package wamerican.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import yaml
from machine import machine

from fmcore import create

STRENGTH = 2.0
"""The counts that the smoothing adds."""

TEMPERATURES = (0.8, 0.6)
"""Temperatures of drawing, besides 1."""

OUT = Path(__file__).parent / "results" / "spaces.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--three-gram", action="store_true")
    given = parser.parse_args()
    old = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    rows = old.get("rows", {})
    for folder in given.runs:
        # the files alone: a run of an earlier version is read too
        recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        rows[folder.name] = {
            "steps": recipe["train"]["steps"],
            "batch_size": recipe["train"]["batch_size"],
            "seed": recipe["seed"],
            "results": {
                name: {k: result[k] for k in ("value", "error", "details") if result.get(k)}
                | {"count": result["provenance"]["count"]}
                for name, result in results.items()
            },
        }
    report = {"machine": machine(), "rows": rows, "three_gram": old.get("three_gram")}
    if given.three_gram:
        found: dict[str, object] = {**three_gram()}
        found["in_training_list_at_temperature"] = {
            str(t): three_gram(temperature=t)["in_training_list"] for t in TEMPERATURES
        }
        report["three_gram"] = found
    given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{given.out}\n")


def three_gram(drawn: int = 20_000, temperature: float = 1.0) -> dict[str, float]:
    """Return the bits per letter of the held-out words under a 3-gram, and the shares of words
    drawn from it that are in the training list and in both lists.

    Each of the 8 positions has its own probabilities given the two tokens before it, smoothed
    towards those given one token, and these towards those given none, by `STRENGTH` counts each.
    Words are drawn with the probabilities to the power of 1 / temperature.
    """
    train, test = (create("data", "words").with_split(s) for s in ("train", "test"))
    known, new = (d.batch(range(d.length))["x1"].numpy() for d in (train, test))
    tokens, length = train.space.classes, known.shape[1]
    rng = np.random.default_rng(0)
    words = np.zeros((drawn, length), dtype=int)
    bits = np.zeros(len(new))
    for place in range(length):
        shares = np.full((1, tokens), 1 / tokens)
        for order in range(min(place, 2) + 1):
            counts = np.zeros((tokens**order, tokens))
            np.add.at(counts, (_before(known, place, order, tokens), known[:, place]), 1)
            # the probabilities given one token less are those of the last tokens
            wider = np.tile(shares, (tokens**order // len(shares), 1))
            smoothed = counts + STRENGTH * wider
            shares = smoothed / smoothed.sum(1, keepdims=True)
        order = min(place, 2)
        bits -= np.log2(shares[_before(new, place, order, tokens), new[:, place]])
        below = (shares[_before(words, place, order, tokens)] ** (1 / temperature)).cumsum(1)
        chance = rng.random((drawn, 1)) * below[:, -1:]
        words[:, place] = (below <= chance).sum(1)
    listed = {row.tobytes() for row in known.astype(int)}
    every = listed | {row.tobytes() for row in new.astype(int)}
    return {
        "bits": float(bits.mean() / length),
        "in_training_list": sum(row.tobytes() in listed for row in words) / drawn,
        "in_both_lists": sum(row.tobytes() in every for row in words) / drawn,
    }


def _before(x: np.ndarray, place: int, order: int, tokens: int) -> np.ndarray:
    """Return one number for the `order` tokens before `place`, the nearest last."""
    found = np.zeros(len(x), dtype=int)
    for back in range(order, 0, -1):
        found = found * tokens + x[:, place - back]
    return found


if __name__ == "__main__":
    main()

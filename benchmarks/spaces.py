"""Collect the results of runs of the recipes on spaces into benchmarks/results/spaces.json.

python benchmarks/spaces.py runs/torsions runs/airports ...
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import yaml
from machine import machine

OUT = Path(__file__).parent / "results" / "spaces.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    rows = {}
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
    report = {"machine": machine(), "rows": rows}
    given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{given.out}\n")


if __name__ == "__main__":
    main()

"""What a run found and where it lies, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["drawn", "numbers", "summary"]

PICTURES = {
    "training.png": "training curve",
    "samples/grid.png": "samples",
    "samples/density.png": "density, noise to data",
    "samples/trajectories.png": "trajectories, noise to data",
    "samples/trajectories.webp": "the same, moving",
    "results.json": "results",
    "report.html": "report",
}
SHOWN = ("count", "solver", "nfe_mean", "layer", "divergence", "k", "reference")
"""What is printed behind a number; results.json holds the rest."""


WARNED = ("biased", "note", "unfinished_samples", "not_finite", "unfinished")
"""Details without which a number misleads, each on a line of its own."""

WIDEST = 44
"""Letters of a value that are shown: the first options of a solver tell enough."""


def summary(root: Path, results: Mapping[str, Any]) -> str:
    """A line for every result, then a line for every file worth opening."""
    return "\n".join([*numbers(results), *_files(root)])


def drawn(root: Path, nfe: Sequence[int], count: int) -> str:
    """What was drawn of `count` samples, at what cost, and where it lies."""
    cost = f"{min(nfe)}" if min(nfe) == max(nfe) else f"{min(nfe)} to {max(nfe)}"
    of = f" of {count}" if count > len(nfe) else ""
    first = f"{len(nfe)}{of} samples in {root / 'samples'}, {cost} NFE each"
    return "\n".join([first, *_files(root, results=False)])


def numbers(results: Mapping[str, Any]) -> Iterator[str]:
    """A line for every result, with what is most worth knowing of how it was made."""
    width = max(map(len, results), default=0)
    for name, result in results.items():
        yield f"{name:<{width}}  {_value(result)}{_how(result['provenance'])}"
        for key in WARNED:
            if told := result.get("details", {}).get(key):
                yield f"{'':<{width}}  {key}: {told}"


def _value(result: Mapping[str, Any]) -> str:
    value = float(result["value"])
    error = result["error"]
    return f"{value:.4g}" if error is None else f"{value:.4g} ± {float(error):.2g}"


def _how(provenance: Mapping[str, Any]) -> str:
    parts = [
        f"{k} {_short(provenance[k])}" for k in SHOWN if provenance.get(k) not in (None, False)
    ]
    return f"   ({', '.join(parts)})" if parts else ""


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = " ".join(f"{k}={v}" for k, v in value.items() if k != "name" and v is not None)
        return f"{value.get('name', '')} {inner}".strip()
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= WIDEST else text[:WIDEST].rpartition(",")[0] + ", ...)"


def _files(root: Path, results: bool = True) -> Iterator[str]:
    wanted = {k: v for k, v in PICTURES.items() if results or k.startswith("samples/")}
    present = {name: what for name, what in wanted.items() if (root / name).exists()}
    width = max(map(len, present.values()), default=0)
    yield ""
    for name, what in present.items():
        yield f"{what:<{width}}  {root / name}"

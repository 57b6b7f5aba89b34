"""The results of a run as lines of text, and the files worth opening."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fmcore.report.numbers import value_text

__all__ = ["drawn", "numbers", "summary"]

PICTURES = {
    "training.png": "training curve",
    "samples/grid.png": "samples",
    "samples/comparison.png": "conditions, samples and true images",
    "samples/density.png": "density, noise to data",
    "samples/trajectories.png": "trajectories, noise to data",
    "samples/trajectories.webp": "the same, moving",
    "results.json": "results",
    "report.html": "report",
}
SHOWN = ("count", "solver", "nfe_mean", "layer", "divergence", "k", "reference")
"""Keys of the provenance that are printed after a value; results.json has the others."""

WARNED = ("biased", "note", "unfinished_samples", "not_finite", "unfinished")
"""Details that qualify the value, each on its own line."""

WIDEST = 44
"""Letters shown of a value: enough for the main options of a solver."""


def summary(root: Path, results: Mapping[str, Any]) -> str:
    """Return a line for every result, then a line for every file worth opening."""
    return "\n".join([*numbers(results), *_files(root)])


def drawn(root: Path, nfe: Sequence[int], count: int) -> str:
    """Return the number of samples drawn, their cost, and the paths of their pictures."""
    cost = f"{min(nfe)}" if min(nfe) == max(nfe) else f"{min(nfe)} to {max(nfe)}"
    of = f" of {count}" if count > len(nfe) else ""
    first = f"{len(nfe)}{of} samples in {root / 'samples'}, {cost} NFE each"
    return "\n".join([first, *_files(root, results=False)])


def numbers(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for every result with the main settings of its computation."""
    width = max(map(len, results), default=0)
    for name, result in results.items():
        yield f"{name:<{width}}  {value_text(result)}{_how(result['provenance'])}"
        for key in WARNED:
            if detail := result.get("details", {}).get(key):
                yield f"{'':<{width}}  {key}: {detail}"


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

"""What was measured, as a run folder holds it: results.json, and the values of single samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from fmcore.interfaces.metric import Result
from fmcore.runs.files import atomic, write_json
from fmcore.runs.folder import RunFolder
from fmcore.runs.samples import Shards

__all__ = ["as_json", "save_results"]


def save_results(results: Mapping[str, Result], folder: RunFolder) -> None:
    """Write `results` beside those that are still true, and their values of single samples."""
    for name, result in results.items():
        if result.per_sample is not None:
            kept: dict[str, Tensor] = {"values": result.per_sample.contiguous().cpu()}
            atomic(
                folder.root / "per_sample" / f"{name}.safetensors",
                lambda part, kept=kept: save_file(kept, part),  # type: ignore[misc]
            )
    new = as_json(results)
    write_json(folder.results_file, {**_still_true(folder, new), **new})


def _still_true(folder: RunFolder, new: Mapping[str, Any]) -> dict[str, Any]:
    """The earlier results but for those of samples that were replaced since: an NFE of theirs would
    stand beside a distance of others.
    """
    before = {name: r for name, r in folder.results().items() if name not in new}
    made = Shards.made_there(folder.samples)
    outdated = [n for n, r in before.items() if r["provenance"].get("sampler", made) != made]
    if outdated:
        folder.log(f"left out, as they are of earlier samples: {', '.join(outdated)}")
    return {name: result for name, result in before.items() if name not in outdated}


def as_json(results: Mapping[str, Result]) -> dict[str, Any]:
    """Results as results.json holds them."""
    return {
        name: {
            "value": _finite(result.value),
            "error": None if result.error is None else _finite(result.error),
            "provenance": dict(result.provenance),
            "details": dict(result.details),
        }
        for name, result in results.items()
    }


def _finite(value: float) -> float | str:
    """JSON has no infinities: they are written as words."""
    number = float(value)
    return number if abs(number) < float("inf") else str(number)

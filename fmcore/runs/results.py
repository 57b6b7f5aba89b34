"""Results of metrics in a run folder: results.json, and the values of single samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from fmcore.errors import RunError
from fmcore.interfaces.metric import Result
from fmcore.runs.files import atomic
from fmcore.runs.folder import RunFolder
from fmcore.runs.samples import Shards, samples_digest

__all__ = ["as_json", "save_results"]


def save_results(results: Mapping[str, Result], folder: RunFolder) -> None:
    """Add `results` to results.json, and save their values of single samples."""
    for name, result in results.items():
        if result.per_sample is not None:
            kept: dict[str, Tensor] = {"values": result.per_sample.contiguous().cpu()}
            atomic(
                folder.root / "per_sample" / f"{name}.safetensors",
                lambda part, kept=kept: save_file(kept, part),  # type: ignore[misc]
            )
    new = as_json(results)
    folder.save_results({**_still_valid(folder, new), **new})


def _still_valid(folder: RunFolder, new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the earlier results that are not replaced, and not of samples drawn since."""
    # else the NFE of one set of samples would appear next to a distance of another
    try:
        known = folder.results()
    except RunError as error:  # the new results replace what cannot be trusted
        folder.log(f"warning: {error}; the earlier results are dropped")
        return {}
    before = {name: r for name, r in known.items() if name not in new}
    made = samples_digest(Shards.provenance_in(folder.samples))
    outdated = [
        name
        for name, result in before.items()
        # results of earlier versions have no origin
        if "sampler" in result["provenance"] and result.get("origin", {}).get("samples") != made
    ]
    if outdated:
        folder.log(f"results of earlier samples removed: {', '.join(outdated)}")
    return {name: result for name, result in before.items() if name not in outdated}


def as_json(results: Mapping[str, Result]) -> dict[str, Any]:
    """Return results in the form of results.json."""
    return {
        name: {
            "value": _finite(result.value),
            "error": None if result.error is None else _finite(result.error),
            "provenance": dict(result.provenance),
            "details": dict(result.details),
            "origin": dict(result.origin),
        }
        for name, result in results.items()
    }


def _finite(value: float) -> float | str:
    """Return the number, or `inf`, `-inf`, `nan` as a string: JSON cannot hold those."""
    number = float(value)
    return number if abs(number) < float("inf") else str(number)

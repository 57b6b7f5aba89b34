"""Results as a person reads them: the value, its error, and in words how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

__all__ = ["Number", "describe_provenance", "flat", "notes_in", "number", "value_text"]

NOTES = ("biased", "note")
"""What a metric says against its own number, in `details` or the provenance."""


@final
@dataclass(frozen=True)
class Number:
    """A result.  `how` is a sentence; `facts` is all of its provenance, `seen` its details."""

    name: str
    summary: str
    value: str
    how: str
    facts: Mapping[str, str]
    seen: Mapping[str, str]
    notes: tuple[str, ...]


def number(name: str, result: Mapping[str, Any], summary: str = "") -> Number:
    """One entry of results.json."""
    provenance, details = _mapping(result, "provenance"), _mapping(result, "details")
    notes = notes_in(details, provenance)
    seen = {k: v for k, v in flat(details).items() if k not in NOTES}
    how = describe_provenance(provenance)
    return Number(name, summary, value_text(result), how, flat(provenance), seen, notes)


def notes_in(*parts: Mapping[str, Any]) -> tuple[str, ...]:
    """What a metric says against its own number."""
    return tuple(str(part[key]) for part in parts for key in NOTES if part.get(key))


def value_text(result: Mapping[str, Any]) -> str:
    """`4.356 ± 0.051`, or the value alone where no error is known."""
    value, error = result.get("value"), result.get("error")
    try:
        shown = f"{float(str(value)):.4g}"
        return shown if error is None else f"{shown} ± {float(str(error)):.2g}"
    except ValueError:
        return str(value)


def describe_provenance(provenance: Mapping[str, Any]) -> str:
    """How a number was made: over what, with which weights, by which solver and features."""
    sampler = provenance.get("sampler")
    drawn = isinstance(sampler, Mapping)
    inner: Mapping[str, Any] = sampler if isinstance(sampler, Mapping) else {}
    words = [
        _counted(provenance, drawn),
        *_weights(provenance),
        *_solved(inner.get("solver") or provenance.get("solver")),
        *_measured(provenance),
        *_seeded(provenance.get("seed", inner.get("seed"))),
    ]
    return "; ".join(word for word in words if word)


def flat(values: Mapping[str, Any], at: str = "") -> dict[str, str]:
    """Nested values by dotted key, as text."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{at}{key}.")
        else:
            found[f"{at}{key}"] = _plain(value)
    return found


def _counted(provenance: Mapping[str, Any], drawn: bool) -> str:
    count = provenance.get("count")
    if count is None:
        return ""
    split = provenance.get("split")
    what = "samples" if drawn else "examples" + (f" of the {split} split" if split else "")
    return f"over {count:,} {what}" if isinstance(count, int) else f"over {count} {what}"


def _weights(provenance: Mapping[str, Any]) -> Iterator[str]:
    weights, step = provenance.get("weights"), provenance.get("step")
    if weights is not None:
        after = "" if step is None else f" after {step} steps"
        yield f"weights '{weights}'{after}"


def _solved(solver: Any) -> Iterator[str]:
    if isinstance(solver, Mapping):
        told = [
            f"{k} {_plain(solver[k])}"
            for k in ("nfe", "steps", "rtol", "atol", "grid")
            if solver.get(k) is not None
        ]
        yield f"solver {solver.get('name', '')}" + (f" ({', '.join(told)})" if told else "")
    elif solver is not None:
        yield f"solver {str(solver).partition(', coupling=')[0].rstrip(')') + ')'}"


def _measured(provenance: Mapping[str, Any]) -> Iterator[str]:
    if provenance.get("divergence"):
        probes = provenance.get("n_probes")
        kind = f"{provenance.get('probe', '')} probe{'s' if probes != 1 else ''}"
        told = f", {probes} {kind}" if probes else ""
        yield f"divergence {provenance['divergence']}{told}"
    if provenance.get("extractor"):
        layer = provenance.get("layer")
        yield f"features of {provenance['extractor']}" + (f", layer {layer}" if layer else "")
    if provenance.get("reference_count"):
        split = provenance.get("reference_split", "")
        yield f"against {provenance['reference_count']} images of the {split} split"
    if provenance.get("dequantize"):
        yield f"dequantisation {provenance['dequantize']}"
    if provenance.get("precision"):
        yield str(provenance["precision"])


def _seeded(seed: Any) -> Iterator[str]:
    if seed is not None:
        yield f"seed {seed}"


def _plain(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _mapping(result: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = result.get(key)
    return value if isinstance(value, Mapping) else {}

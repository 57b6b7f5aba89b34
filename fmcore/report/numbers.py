"""Results as text: the value, its error, and how it was computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

__all__ = [
    "MARK",
    "MARK_NOTE",
    "Number",
    "cell_text",
    "describe_origin",
    "describe_provenance",
    "flat",
    "is_flawed",
    "notes_in",
    "number",
    "value_text",
]

NOTES = ("biased", "note")
"""Keys of `details` or the provenance under which a metric qualifies its value."""

FLAWS = ("unfinished_samples", "unfinished", "not_finite")
"""Keys of `details` that count samples or examples whose solve failed."""

MARK = "*"
MARK_NOTE = f"{MARK} includes failed solves: their number is in the details of results.json"


@final
@dataclass(frozen=True)
class Number:
    """A result.  `how` is a sentence; `facts` is its provenance, `seen` its details, `made` its
    origin.
    """

    name: str
    summary: str
    value: str
    how: str
    facts: Mapping[str, str]
    seen: Mapping[str, str]
    notes: tuple[str, ...]
    made: Mapping[str, str]


def number(name: str, result: Mapping[str, Any], summary: str = "") -> Number:
    """Return one entry of results.json as text."""
    provenance, details = _mapping(result, "provenance"), _mapping(result, "details")
    notes = notes_in(details, provenance)
    seen = {k: v for k, v in flat(details).items() if k not in NOTES}
    origin = _mapping(result, "origin")
    how = describe_provenance(provenance, origin)
    made = describe_origin(origin)
    return Number(name, summary, value_text(result), how, flat(provenance), seen, notes, made)


def notes_in(*parts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the notes of a metric on its value."""
    return tuple(str(part[key]) for part in parts for key in NOTES if part.get(key))


def value_text(result: Mapping[str, Any]) -> str:
    """Return `4.356 ± 0.051`, or the value alone without an error."""
    value, error = result.get("value"), result.get("error")
    try:
        shown = f"{float(str(value)):.4g}"
        return shown if error is None else f"{shown} ± {float(str(error)):.2g}"
    except ValueError:
        return str(value)


def cell_text(result: Mapping[str, Any] | None) -> str:
    """Return the value for a table, with MARK if it includes failed solves; '' for None."""
    return "" if result is None else value_text(result) + (MARK if is_flawed(result) else "")


def is_flawed(result: Mapping[str, Any]) -> bool:
    """Return whether the value includes samples or examples whose solve failed."""
    return any(_mapping(result, "details").get(key) for key in FLAWS)


def describe_origin(origin: Mapping[str, Any]) -> dict[str, str]:
    """Return an origin by dotted key, as text, without the recipe; a line for each component."""
    components = _mapping(origin, "components")
    return {
        **flat({k: v for k, v in origin.items() if k not in ("recipe", "components") and v != {}}),
        **{key: _component(found) for key, found in components.items()},
    }


def describe_provenance(
    provenance: Mapping[str, Any], origin: Mapping[str, Any] | None = None
) -> str:
    """Describe how a value was computed: examples, weights, solver, features, seed.

    The step of the weights is in the `origin`.
    """
    sampler = provenance.get("sampler")
    drawn = isinstance(sampler, Mapping)
    inner: Mapping[str, Any] = sampler if isinstance(sampler, Mapping) else {}
    parts = [
        _counted(provenance, drawn),
        *_weights(provenance, (origin or {}).get("step")),
        *_solved(inner.get("solver") or provenance.get("solver")),
        *_measured(provenance),
        *_seeded(provenance.get("seed", inner.get("seed"))),
    ]
    return "; ".join(part for part in parts if part)


def flat(values: Mapping[str, Any], at: str = "") -> dict[str, str]:
    """Return nested values by dotted key, as text."""
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


def _component(found: Any) -> str:
    if not isinstance(found, Mapping):
        return str(found)
    plugin = f"{found.get('plugin')} {found.get('version')}"
    distribution = found.get("distribution")
    return f"{found.get('name')}, plugin {plugin}" + (f" of {distribution}" * bool(distribution))


def _weights(provenance: Mapping[str, Any], step: Any) -> Iterator[str]:
    weights = provenance.get("weights")
    if weights is not None:
        after = "" if step is None else f" after {step} steps"
        yield f"weights '{weights}'{after}"


def _solved(solver: Any) -> Iterator[str]:
    if isinstance(solver, Mapping):
        options = [
            f"{k} {_plain(solver[k])}"
            for k in ("nfe", "steps", "rtol", "atol", "grid")
            if solver.get(k) is not None
        ]
        yield f"solver {solver.get('name', '')}" + (f" ({', '.join(options)})" if options else "")
    elif solver is not None:
        yield f"solver {str(solver).partition(', coupling=')[0].rstrip(')') + ')'}"


def _measured(provenance: Mapping[str, Any]) -> Iterator[str]:
    if provenance.get("divergence"):
        probes = provenance.get("n_probes")
        kind = f"{provenance.get('probe', '')} probe{'s' if probes != 1 else ''}"
        count = f", {probes} {kind}" if probes else ""
        yield f"divergence {provenance['divergence']}{count}"
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

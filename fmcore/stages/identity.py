"""The inputs of a run that its recipe names without their content: data, plugins, other runs.

They are recorded in run.json at the start, and compared whenever the run is resumed, sampled or
measured again.  Other data, other plugin code or another guiding network would make one run of two:
they are refused, unless the change is accepted, which records it.  Another version of fmcore or
torch, which should compute the same, is a warning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from fmcore.errors import DataError, RunError
from fmcore.registry import Plugin, registry
from fmcore.registry.kinds import KINDS
from fmcore.runs.folder import RunFolder
from fmcore.runs.provenance import environment
from fmcore.stages.components import Components
from fmcore.stages.other_runs import weights_used

__all__ = ["identity_of", "plugin_version", "record_start", "used_plugins"]

REFUSED = {
    "data": "fingerprint of the data",
    "plugin": "plugin",
    "run": "weights of the run",
}
WARNED = {"fmcore": "fmcore", "torch": "torch"}
SAMPLING_SECTIONS = ("data", "codec", "path", "objective", "model", "sample")
"""The sections whose components determine a sample."""


def identity_of(components: Components) -> dict[str, str]:
    """Return what a recipe's files contained, flat: `data.train` -> fingerprint, and so on."""
    found = {"data.train": components.data.fingerprint}
    evaluated = components.evaluated_data
    with suppress(DataError):  # a missing split is reported by the evaluation itself
        found[f"data.{evaluated.split}"] = evaluated.fingerprint
    plugins = used_plugins(components)
    found |= {f"plugin.{name}": version for name, version in plugins.items()}
    found |= {f"run.{key}": weights for key, weights in weights_used(components).items()}
    return found


def used_plugins(components: Components, sampling: bool = False) -> dict[str, str]:
    """Return version and code hash of each third-party plugin that the recipe uses.

    With `sampling`, only of those that samples depend on.
    """
    values = components.recipe.values
    sections = SAMPLING_SECTIONS if sampling else tuple(values)
    # names without their kinds: at worst a plugin is compared that the run does not use
    names = set(_names({section: values[section] for section in sections}))
    # built-in plugins change with fmcore, whose version is recorded apart
    third_party = (p for p in registry().plugins if not p.built_in)
    return {p.name: plugin_version(p) for p in third_party if names & _offered(p)}


def record_start(
    folder: RunFolder,
    components: Components,
    device: torch.device,
    processes: int,
    accept_changes: bool,
) -> None:
    """Record how this command was started: in full at first, later what changed since.

    Raises RunError, naming each, for changes of data, plugins or guiding weights that are not
    accepted; warns of another version of fmcore or torch.
    """
    surroundings = environment(device)
    # read at every command: a fingerprint that was stored once would not notice a change
    now = {**identity_of(components), **_versions(surroundings)}
    # both leave the result as it is, up to rounding: recorded without a warning
    quiet = {"processes": processes, "device": surroundings["machine"]["device_name"]}
    facts = folder.facts()
    if "identity" not in facts:
        folder.record(_first_start(components, processes, surroundings, now, facts))
        return
    changed = _changes(facts["identity"], now)
    added = not now.keys() <= facts["identity"].keys()  # by options such as other metrics
    refused = {k: v for k, v in changed.items() if k.partition(".")[0] in REFUSED}
    if refused and not accept_changes:
        raise _refusal(folder, refused)
    for key in [k for k in changed if k in WARNED]:
        then, this = changed[key]
        folder.log(f"warning: the run was started with {WARNED[key]} {then}; this is {this}")
    # of the last command, not the first: each change is recorded once
    last = facts.get("now", {"processes": facts.get("processes"), "device": _device(facts)})
    changed |= _changes(last, quiet)
    if added or changed:
        folder.record({"identity": {**facts["identity"], **now}, "now": quiet})
    if changed:
        entry = {
            "at": _utc(),
            "step": max(folder.checkpoints.steps(), default=0),
            "command": surroundings["command"],
            "accepted": bool(refused),
            "changed": {key: list(pair) for key, pair in changed.items()},
        }
        folder.record({"history": [*facts.get("history", []), entry]})


def _first_start(
    components: Components,
    processes: int,
    surroundings: Mapping[str, Any],
    identity: Mapping[str, str],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    data = components.data
    return {
        "recipe": components.recipe.name,
        "digest": components.recipe.digest,
        "began": facts.get("began", _utc()),
        "data": {
            "fingerprint": data.fingerprint,
            "length": data.length,
            "shape": list(data.shape),
            "levels": data.levels,
            **({"classes": list(data.class_names)} if data.class_names else {}),
            **data.recorded,
        },
        "processes": processes,
        **surroundings,
        "identity": dict(identity),
    }


def _changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what differs of what both have, as pairs of then and now."""
    return {k: (then[k], now[k]) for k in now if k in then and then[k] != now[k]}


def _refusal(folder: RunFolder, refused: Mapping[str, tuple[Any, Any]]) -> RunError:
    lines = [f"  {_title(key)}: {then} then, {now} now" for key, (then, now) in refused.items()]
    return RunError(
        f"{folder.root}: the data or code of this run changed since it was started:\n"
        + "\n".join(lines)
        + "\nrestore what was there, start another run with another --out, or continue with "
        "--accept-changes, which records the change in run.json"
    )


def _title(key: str) -> str:
    kind, _, name = key.partition(".")
    return f"{REFUSED[kind]} '{name}'" if name else REFUSED[kind]


def _versions(surroundings: Mapping[str, Any]) -> dict[str, str]:
    commit = surroundings["git"]
    version = surroundings["versions"].get("fmcore-flow", "unknown")
    return {
        "fmcore": f"{version} at {commit[:12]}{'+' * commit.endswith('+')}" if commit else version,
        "torch": str(torch.__version__),
    }


def _device(facts: Mapping[str, Any]) -> Any:
    return facts.get("machine", {}).get("device_name")


def _utc() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _names(value: Any) -> Iterator[str]:
    """Yield the names of all components in a recipe's values."""
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str):
            yield value["name"]
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


def _offered(plugin: Plugin) -> set[str]:
    """Return the names, bare and qualified, of a plugin's components."""
    entries = [e for kind in KINDS for e in registry().entries(kind) if e.plugin == plugin.name]
    return {name for entry in entries for name in (entry.name, entry.qualified)}


def plugin_version(plugin: Plugin) -> str:
    """Return the version of a plugin, and a hash of the modules that define its components."""
    if plugin.file:
        return plugin.version  # the hash of the file itself
    entries = [e for kind in KINDS for e in registry().entries(kind) if e.plugin == plugin.name]
    digest = hashlib.sha256()
    for module in sorted({entry.target_text.partition(":")[0] for entry in entries}):
        digest.update(module.encode() + _source(module))
    return f"{plugin.version} sha256:{digest.hexdigest()[:12]}"


def _source(module: str) -> bytes:
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return b""
    file = Path(spec.origin) if spec is not None and spec.origin else None
    return file.read_bytes() if file is not None and file.is_file() else b""

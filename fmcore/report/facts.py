"""What a run folder says of itself in words: recipe, summary, warnings, machine, how to repeat."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from safetensors import safe_open

from fmcore.interfaces.problem import Status
from fmcore.report.numbers import Number, flat, value_text
from fmcore.report.parts import shard_files
from fmcore.runs.folder import RunFolder

__all__ = [
    "Setting",
    "commands",
    "environment",
    "sections",
    "summary",
    "timings",
    "warnings",
]

STAGES = ("train", "sample", "evaluate")


@final
@dataclass(frozen=True)
class Setting:
    """A value of the recipe; `origin` is empty where it is not known, `given` if not a default."""

    key: str
    value: str
    origin: str

    @property
    def given(self) -> bool:
        """Whether somebody wrote this value, in a file or on the command line."""
        return bool(self.origin) and not self.origin.startswith("default")


def sections(folder: RunFolder) -> dict[str, list[Setting]]:
    """The settings of each section of the recipe, with their sources."""
    origins = folder.origins()
    found: dict[str, list[Setting]] = {}
    for key, value in _leaves(folder.recipe().values):
        found.setdefault(key.partition(".")[0], []).append(
            Setting(key, value, str(origins.get(key) or origins.get(f"{key}.0", "")))
        )
    return found


def summary(folder: RunFolder, results: Mapping[str, Any]) -> str:
    """The run in one paragraph."""
    facts, values = folder.facts(), folder.recipe().values
    said = [_trained(values, facts), _sampled(folder), _found(results)]
    return " ".join(sentence for sentence in said if sentence)


def timings(folder: RunFolder) -> dict[str, str]:
    """The time that each stage took."""
    seconds = folder.facts().get("seconds", {})
    named = {stage: seconds[stage] for stage in STAGES if stage in seconds}
    told = {stage: _duration(float(s)) for stage, s in {**named, **seconds}.items()}
    whole = _duration(sum(map(float, seconds.values())))
    return {**told, "in all": whole} if len(told) > 1 else told


def environment(folder: RunFolder) -> dict[str, dict[str, str]]:
    """Machine, versions and data, by heading."""
    facts = folder.facts()
    general = ("began", "git", "processes", "digest")
    parts = {
        "run": {key: facts[key] for key in general if facts.get(key) is not None},
        "machine": facts.get("machine", {}),
        "data": facts.get("data", {}),
        "versions": facts.get("versions", {}),
        "plugins": facts.get("plugins", {}),
    }
    return {name: flat(part) for name, part in parts.items() if part}


def commands(folder: RunFolder) -> dict[str, str]:
    """How to make this run again, and what was typed for it."""
    plugins = sorted((folder.root / "plugins").glob("*.py"))
    again = ["fmcore", "run", str(folder.recipe_file)]
    again += [word for file in plugins for word in ("--plugin", str(file))]
    found = {"the same again, from the complete recipe": shlex.join([*again, "--out", "again"])}
    typed = folder.facts().get("command")
    if isinstance(typed, list) and typed:
        found["what was typed"] = shlex.join(map(str, typed))
    return found


def warnings(folder: RunFolder, numbers: list[Number]) -> list[str]:
    """What a reader must know before trusting the numbers."""
    said = [*_logged(folder), *_failures(folder)]
    said += _missed(folder)
    said += [f"{n.name}: {note}" for n in numbers for note in n.notes]
    said += [
        f"{n.name} is {n.value}" for n in numbers if n.value.startswith(("nan", "inf", "-inf"))
    ]
    if str(folder.facts().get("git") or "").endswith("+"):
        said.append("the code differed from its commit (the + behind it): it cannot be had again")
    return list(dict.fromkeys(said))


def _leaves(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{at}.{key}" if at else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{at}.{i}")
    else:
        yield at, value if isinstance(value, str) else json.dumps(value)


def _trained(values: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    train, path, model = values.get("train"), values.get("path"), values.get("model")
    if not train or not path or not model:
        return ""
    seconds = facts.get("seconds", {}).get("train")
    took = f" in {_duration(float(seconds))}" if seconds is not None else ""
    device = facts.get("machine", {}).get("device_name")
    return (
        f"A network '{model['name']}' was trained on '{values['data']['name']}' along the path "
        f"'{path['name']}' for {train['steps']:,} steps of {train['batch_size']:,} examples"
        f"{took}{f' on {device}' if device else ''}."
    )


def _sampled(folder: RunFolder) -> str:
    made = folder.samples / "made.json"
    if not made.is_file():
        return "No samples were drawn."
    facts = json.loads(made.read_text(encoding="utf-8"))
    kept = facts.get("keep")
    few = f", of which the first {kept:,} are kept" if kept and kept < facts["count"] else ""
    how = f"with the solver '{facts['solver']['name']}'"
    return f"{facts['count']:,} samples were drawn {how}{few}."


def _found(results: Mapping[str, Any]) -> str:
    if not results:
        return "Nothing was measured."
    told = ", ".join(f"{name} {value_text(result)}" for name, result in results.items())
    return f"Measured: {told}."


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _logged(folder: RunFolder) -> Iterator[str]:
    file = folder.root / "log.txt"
    if file.is_file():
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if "warning:" in line:
                yield line.partition("warning:")[2].strip()


def _missed(folder: RunFolder) -> Iterator[str]:
    results = folder.results()
    for name, bound in (folder.recipe().values.get("expect") or {}).items():
        told = " and ".join(
            f"at {side} {bound[key]}"
            for key, side in (("min", "least"), ("max", "most"))
            if bound[key] is not None
        )
        if name not in results:
            yield f"{name} was expected {told}, but was not measured"
            continue
        value = float(results[name]["value"])
        if not _or(bound["min"], value) <= value <= _or(bound["max"], value):
            yield f"{name} is {value:.6g}, and was expected {told}"


def _or(bound: float | None, value: float) -> float:
    return value if bound is None else bound


def _failures(folder: RunFolder) -> Iterator[str]:
    ends: Counter[int] = Counter()
    for file in shard_files(folder.samples):
        with safe_open(file, "pt") as held:
            ends.update(held.get_tensor("status").tolist())
    for code, count in sorted(ends.items()):
        if code != Status.SUCCESS:
            yield f"{count} of {ends.total()} samples did not reach the end: {Status(code).name}"

"""The facts of a run as text: recipe, summary, warnings, machine, commands to repeat it."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from fmcore.interfaces.problem import Status
from fmcore.report.numbers import Number, flat, value_text
from fmcore.report.run_contents import RunContents

__all__ = [
    "RecipeValue",
    "commands",
    "environment",
    "leaves",
    "sections",
    "summary",
    "timings",
    "warnings",
]

STAGES = ("train", "sample", "evaluate")


@final
@dataclass(frozen=True)
class RecipeValue:
    """A value of the recipe; `origin` is the place where it was set, empty if not recorded."""

    key: str
    value: str
    origin: str

    @property
    def given(self) -> bool:
        """Whether the value was set in a file or on the command line, and is not a default."""
        return bool(self.origin) and not self.origin.startswith("default")


def sections(run: RunContents) -> dict[str, list[RecipeValue]]:
    """Return the values of each section of the recipe, with their sources."""
    found: dict[str, list[RecipeValue]] = {}
    for key, value in leaves(run.recipe):
        # a list has the source of its first item
        origin = str(run.origins.get(key) or run.origins.get(f"{key}.0", ""))
        found.setdefault(key.partition(".")[0], []).append(RecipeValue(key, value, origin))
    return found


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of a recipe by dotted key, as a recipe writes them."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{at}.{key}" if at else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{at}.{i}")
    elif at:
        yield at, value if isinstance(value, str) else json.dumps(value)


def summary(run: RunContents) -> str:
    """Return the run in one paragraph."""
    sentences = [_trained(run.recipe, run.facts), _sampled(run.sampling), _found(run.results)]
    return " ".join(sentence for sentence in sentences if sentence)


def timings(run: RunContents) -> dict[str, str]:
    """Return the time of each stage."""
    seconds = run.facts.get("seconds", {})
    ordered = {stage: seconds[stage] for stage in STAGES if stage in seconds}
    times = {stage: _duration(float(s)) for stage, s in {**ordered, **seconds}.items()}
    total = _duration(sum(map(float, seconds.values())))
    return {**times, "in all": total} if len(times) > 1 else times


def environment(run: RunContents) -> dict[str, dict[str, str]]:
    """Return machine, versions and data, by heading."""
    general = ("began", "git", "processes", "digest")
    parts = {
        "run": {key: run.facts[key] for key in general if run.facts.get(key) is not None},
        "machine": run.facts.get("machine", {}),
        "data": run.facts.get("data", {}),
        "versions": run.facts.get("versions", {}),
        "plugins": run.facts.get("plugins", {}),
    }
    return {name: flat(part) for name, part in parts.items() if part}


def commands(run: RunContents) -> dict[str, str]:
    """Return the command that repeats the run, and the one that was typed."""
    plugins = sorted((run.root / "plugins").glob("*.py"))
    again = ["fmcore", "run", str(run.root / "recipe.yaml")]
    again += [word for file in plugins for word in ("--plugin", str(file))]
    found = {"from the complete recipe": shlex.join([*again, "--out", "again"])}
    typed = run.facts.get("command")
    if isinstance(typed, list) and typed:
        found["as typed"] = shlex.join(map(str, typed))
    return found


def warnings(run: RunContents, numbers: list[Number]) -> list[str]:
    """Return what a reader must know before using the numbers."""
    lines = [*run.warnings, *_failed_samples(run), *_missed_bounds(run)]
    lines += [f"{n.name}: {note}" for n in numbers for note in n.notes]
    lines += [
        f"{n.name} is {n.value}" for n in numbers if n.value.startswith(("nan", "inf", "-inf"))
    ]
    if str(run.facts.get("git") or "").endswith("+"):
        lines.append(
            "the code had uncommitted changes (the + after the commit), so that the commit alone "
            "does not reproduce the run"
        )
    return list(dict.fromkeys(lines))


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


def _sampled(sampling: Mapping[str, Any]) -> str:
    if not sampling:
        return "No samples were drawn."
    count, kept = sampling["count"], sampling.get("keep")
    on_disk = f", of which the first {kept:,} are on disk" if kept and kept < count else ""
    return f"{count:,} samples were drawn with the solver '{sampling['solver']['name']}'{on_disk}."


def _found(results: Mapping[str, Any]) -> str:
    if not results:
        return "No metrics were computed."
    values = ", ".join(f"{name} {value_text(result)}" for name, result in results.items())
    return f"Results: {values}."


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _missed_bounds(run: RunContents) -> Iterator[str]:
    for name, bound in (run.recipe.get("expect") or {}).items():
        expected = " and ".join(
            f"at {side} {bound[key]}"
            for key, side in (("min", "least"), ("max", "most"))
            if bound[key] is not None
        )
        if name not in run.results:
            yield f"{name} was expected {expected}, but was not computed"
            continue
        value = float(run.results[name]["value"])
        low = value if bound["min"] is None else bound["min"]
        high = value if bound["max"] is None else bound["max"]
        if not low <= value <= high:  # also where the value is NaN
            yield f"{name} is {value:.6g}, and was expected {expected}"


def _failed_samples(run: RunContents) -> Iterator[str]:
    total = len(run.status)
    for code, count in sorted(Counter(run.status).items()):
        if code != Status.SUCCESS:
            yield f"{count} of {total} samples did not reach the end: {Status(code).name}"

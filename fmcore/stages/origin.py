"""The provenance and the origin of results, which the framework writes for every metric.

The provenance is how a number was measured: the metric with every option, the settings of sampling,
the data that it is of.  The origin is how the thing that was measured was made.  Every option of a
recipe that can change a number is in one of the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch

from fmcore.errors import DataError, PluginError
from fmcore.interfaces.metric import Evaluation, Metric, Result
from fmcore.recipe.nodes import Mark, to_python
from fmcore.recipe.options import to_node
from fmcore.recipe.parts import component_entries
from fmcore.registry import entry_of, registry
from fmcore.runs.folder import RunFolder
from fmcore.runs.samples import samples_digest
from fmcore.stages.components import Components
from fmcore.stages.identity import plugin_version
from fmcore.stages.other_runs import weights_used

__all__ = [
    "measured_on",
    "metric_options",
    "origin_of",
    "recorded",
    "run_origin",
    "sampler_settings",
]

MEASURING = ("sample", "evaluate", "expect")
"""Sections of a recipe that describe the measurement: the provenance holds what counts of them."""

MADE_ELSEWHERE = ("path", "step", "plugins", "codec")
"""Facts of made.json that are in the origin: how the network was made that drew the samples."""


def origin_of(
    components: Components,
    folder: RunFolder,
    step: int,
    device: torch.device,
    made: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return how what is measured was made, as JSON.

    `step` is the checkpoint's, `made` the content of made.json where samples are measured.  The
    versions of fmcore and torch are those of the command that is running.
    """
    values, identity = components.recipe.values, folder.facts().get("identity", {})
    found = {
        "recipe": {k: v for k, v in values.items() if k not in MEASURING},
        "components": components_of(components),
        "runs": weights_used(components),
        "step": step,
        "device": device.type,
        "versions": {k: identity[k] for k in ("fmcore", "torch") if k in identity},
    }
    with suppress(DataError):  # a metric of samples may need no data
        found["data"] = components.data.fingerprint
    return found if made is None else {**found, "samples": samples_digest(made)}


def components_of(components: Components) -> dict[str, Any]:
    """Return the plugin, distribution, version and code hash of each component, by dotted key."""
    plugins = {plugin.name: plugin for plugin in registry().plugins}
    return {
        key: {
            "name": entry.name,
            "plugin": entry.plugin,
            "distribution": plugins[entry.plugin].distribution,
            "version": plugin_version(plugins[entry.plugin]),
        }
        for key, entry in component_entries(components.recipe).items()
    }


def measured_on(evaluation: Evaluation, made: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what was measured, for the provenance: how samples were drawn, or which data.

    `made` is the content of made.json, None for metrics of held-out data.
    """
    weights = {"weights": evaluation.provenance["weights"]}
    if made is not None:
        return {**weights, "sampler": sampler_settings(made)}
    data = {"split": evaluation.data.split, "fingerprint": evaluation.data.fingerprint}
    return {**weights, "measured": data}


def sampler_settings(made: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings by which samples were drawn, from the content of made.json."""
    return {key: value for key, value in made.items() if key not in MADE_ELSEWHERE}


def run_origin(folder: RunFolder, made: Mapping[str, Any]) -> dict[str, Any]:
    """Return the origin of the samples in `folder`, from its files alone."""
    facts = folder.facts()
    values = folder.recipe().values
    return {
        "recipe": {k: v for k, v in values.items() if k not in MEASURING},
        "identity": facts.get("identity", {}),
        "step": made.get("step"),
        "samples": samples_digest(made),
    }


def metric_options(metric: Metric) -> dict[str, Any]:
    """Return a metric's name and options, as a recipe writes them.

    One that keeps no attribute for an option is described by its `repr`.
    """
    try:
        found: dict[str, Any] = to_python(to_node(metric, Mark("Python")))
    except PluginError:
        entry = entry_of(metric)
        return {
            "name": type(metric).__name__ if entry is None else entry.name,
            "repr": repr(metric),
        }
    return found


def recorded(
    results: Mapping[str, Result],
    metric: Mapping[str, Any],
    settings: Mapping[str, Any],
    origin: Mapping[str, Any],
) -> dict[str, Result]:
    """Return the results of one metric with their provenance and origin.

    `metric` is its name with every option; `settings` hold what the metric cannot know.  The
    metric's own facts, such as its count, are kept.
    """
    return {
        name: replace(
            result,
            provenance={"metric": dict(metric), **settings, **result.provenance},
            origin=dict(origin),
        )
        for name, result in results.items()
    }

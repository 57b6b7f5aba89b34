"""Every option that can change a number is in its provenance or in its origin."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import fmcore
from fmcore import PluginError, Result, load_recipe, stages  # noqa: F401
from fmcore.benchmark.compare import compare
from fmcore.recipe.components import Component, Settings
from fmcore.recipe.containers import Bounded, ListOf, MapOf, OneOf, TupleOf
from fmcore.recipe.schema import list_options
from fmcore.recipe.sections import Sample, Sections
from fmcore.registry import registry
from fmcore.registry.kinds import KINDS
from fmcore.runs.checkpoint import Checkpoint
from fmcore.stages import origin as written

# `fmcore.stages.sample` is also the name of a function
sampling = importlib.import_module("fmcore.stages.sample")
Place = tuple[str, ...]


def uses(target: type, at: Place = ()) -> Iterator[tuple[str, Place]]:
    """The kinds of component that the options of `target` take, and where."""
    for option in list_options(target):
        yield from kinds_in(option.type, (*at, option.name))


def kinds_in(kind: Any, at: Place) -> Iterator[tuple[str, Place]]:
    if isinstance(kind, Component):
        yield kind.kind, at
    elif isinstance(kind, Settings):
        yield from uses(kind.target, at)
    elif isinstance(kind, Bounded):
        yield from kinds_in(kind.inner, at)
    elif isinstance(kind, OneOf):
        for inner in kind.types:
            yield from kinds_in(inner, at)
    elif isinstance(kind, TupleOf):
        yield from kinds_in(kind.parts[0], (*at, "0"))
    elif isinstance(kind, ListOf):
        yield from kinds_in(kind.item, (*at, "0"))
    elif isinstance(kind, MapOf):
        yield from kinds_in(kind.item, (*at, "key"))


def places() -> dict[str, Place]:
    """A place of a recipe for each kind of component."""
    found: dict[str, Place] = {}
    pending = list(uses(Sections))
    while pending:
        kind, place = pending.pop(0)
        # `train.evaluate` measures during training, whose results have a test of their own
        if kind in found or place[:2] == ("train", "evaluate"):
            continue
        found[kind] = place
        for target in targets(kind):
            pending += [(inner, (*place, *at)) for inner, at in uses(target)]
    return found


def targets(kind: str) -> Iterator[type]:
    for entry in registry().entries(kind):
        try:
            yield entry.load()
        except PluginError:  # it needs a distribution that is not installed
            continue


def placed(place: Place, component: dict[str, Any]) -> dict[str, Any]:
    """The values of a recipe with `component` at `place`."""
    values: dict[str, Any] = {
        "seed": 0,
        "data": {"name": "d"},
        "path": {"name": "p"},
        "train": {},
        "sample": {"solver": {"name": "s"}, "keep_on_disk": None, "condition": None}
        | {"guidance": None, "path": None},
        "evaluate": {"metrics": [{"name": "m"}]},
    }
    inner: Any = values
    for key, following in zip(place, (*place[1:], None), strict=True):
        new: Any = component if following is None else [] if following == "0" else {}
        if isinstance(inner, list):
            if not inner or following is None:
                inner[:] = [new]
            inner = inner[0]
        else:
            if following is None or not isinstance(inner.get(key), dict | list):
                inner[key] = new
            inner = inner[key]
    return values


def description(values: dict[str, Any]) -> str:
    """Provenance and origin of a result of samples, as JSON, without the samples' hash."""
    values = copy.deepcopy(values)
    components: Any = SimpleNamespace(
        recipe=SimpleNamespace(values=values), seed=0, data=SimpleNamespace(fingerprint="data")
    )
    unused: Any = None
    settings = Sample(solver=unused)  # the values of the recipe are recorded, not these
    made = dict(sampling.provenance_of(components, settings, Checkpoint(7, {})))
    folder: Any = SimpleNamespace(facts=dict)
    evaluation: Any = SimpleNamespace(provenance={"weights": "ema"})
    made_by = written.origin_of(components, folder, 7, torch.device("cpu"), made)
    how = written.measured_on(evaluation, made)
    metric = values["evaluate"]["metrics"][0]
    (result,) = written.recorded({"r": Result(0.0)}, metric, how, made_by).values()
    assert result.origin["samples"]
    told = {k: v for k, v in result.origin.items() if k != "samples"}
    return json.dumps([result.provenance, told], sort_keys=True)


@pytest.fixture
def unregistered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked up: the values of these recipes name no components."""
    for module, names in (
        (written, ("components_of", "weights_used")),
        (sampling, ("codec_facts", "files_given", "used_plugins", "weights_used")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, lambda *_: {}, raising=False)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.usefixtures("unregistered")
def test_changing_any_option_of_any_component_changes_provenance_or_origin(kind: str) -> None:
    place = places()[kind]
    checked = 0
    for target in targets(kind):
        for option in list_options(target, KINDS[kind].given):
            one, other = (
                description(placed(place, {"name": "c", option.name: value}))
                for value in ("one", "other")
            )
            assert one != other, f"{target.__name__}.{option.name}"
            checked += 1
    assert checked or not registry().entries(kind)


RECIPE = """
data: {name: toy, figure: checkerboard}
path: ot
model: {name: mlp, width: 8, depth: 1}
train: {steps: 2, batch_size: 16}
sample: {solver: {name: euler, nfe: 2}, count: 32}
evaluate: {metrics: [{name: sliced_wasserstein, points: 32, directions: 8}, nfe, nll], count: 8}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, no_pictures: None) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "r.yaml").write_text(RECIPE)
    options = {
        "plain": [],
        "fast": ["train.lr=0.1"],
        "finer": ["evaluate.metrics.0.directions=9"],
    }
    return {
        name: fmcore.run(folder / "r.yaml", overrides, out=folder / name, quiet=True)
        for name, overrides in options.items()
    }


def test_runs_that_were_trained_differently_share_a_column_next_to_what_differs(
    runs: dict[str, Any],
) -> None:
    found = compare([runs["plain"].folder, runs["fast"].folder])
    assert found.headings() == ["sliced_wasserstein", "nfe", "nll"]
    assert list(found.settings) == ["train.lr"]
    assert not found.reasons


def test_a_metric_with_another_option_has_a_column_of_its_own(runs: dict[str, Any]) -> None:
    found = compare([runs["plain"].folder, runs["finer"].folder])
    assert found.headings() == ["sliced_wasserstein [1]", "sliced_wasserstein [2]", "nfe", "nll"]
    assert "metric.directions: 8, 9" in found.reasons[0]


def test_the_origin_holds_each_component_with_its_plugin_and_hash(runs: dict[str, Any]) -> None:
    result = runs["plain"].results["nll"]
    made = result["origin"]
    path = made["components"]["path"]
    assert (path["name"], path["distribution"]) == ("ot", "fmcore-flow")
    assert "sha256:" in path["version"]
    assert made["recipe"]["train"]["lr"] == 1e-3
    recipe = load_recipe(runs["plain"].folder.recipe_file)
    assert made["data"] == recipe.build("data").fingerprint
    assert result["provenance"]["measured"]["split"] == "test"
    assert "samples" not in made


def test_measuring_again_keeps_what_is_of_the_same_samples(runs: dict[str, Any]) -> None:
    run = runs["plain"]
    fmcore.evaluate(run, ["metrics=[nfe]"], quiet=True)
    assert list(run.results) == ["sliced_wasserstein", "nll", "nfe"]

"""Sections that contradict each other are refused before a run, each with its place."""

from __future__ import annotations

import pytest

from fmcore import RecipeError, load_recipe


def contradictions(source, overrides=(), **options) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(source, overrides, **options).check()
    return list(caught.value.faults)


@pytest.mark.parametrize("name", ["likelihood", "distance", "distance_infinity"])
def test_a_bound_on_a_result_of_a_metric_is_accepted(basic, name):
    load_recipe(basic, [f"expect.{name}.max=1"]).check()


def test_a_bound_on_what_is_not_measured_is_refused(write):
    text = "data: toy\npath: ot\nmodel: net\nsample: {solver: fixed}\n"
    text += "evaluate: {metrics: [likelihood]}\nexpect:\n  fid: {max: 3}\n  likelyhood: {min: 0}\n"
    assert contradictions(write(text)) == [
        "r.yaml:7:3: expect.fid: no metric of evaluate has this result; measured: likelihood",
        "r.yaml:8:3: expect.likelyhood: no metric of evaluate has this result; "
        "did you mean 'likelihood'?",
    ]


def test_a_bound_without_evaluation_is_refused(basic):
    assert contradictions(basic, ["evaluate=null", "expect.fid.max=3"]) == [
        "command line: expect.fid: no metric of evaluate has this result; measured: nothing"
    ]
    load_recipe(basic, ["evaluate=null"]).check()


def test_metrics_of_samples_need_a_section_sample(basic):
    assert contradictions(basic, ["sample=null"]) == [
        f"r.yaml:7:{column}: evaluate: metric '{name}' measures samples, and the recipe has no "
        "section 'sample'; add one, as in `sample: {solver: dopri5}`, or remove the metric"
        for name, column in (("likelihood", 22), ("distance", 41))
    ]


def test_metrics_of_data_need_no_section_sample(basic, kit, monkeypatch):
    for name in ("likelihood", "distance"):
        monkeypatch.setattr(kit.entry("metric", name).load(), "consumes", "data")
    load_recipe(basic, ["sample=null"]).check()


def test_metrics_that_are_still_to_be_given_are_not_judged(basic):
    load_recipe(basic, ["evaluate.metrics=???", "expect.fid.max=3"], partial=True).check()
    recipe = load_recipe(basic, ["evaluate.metrics.0.name=???"], partial=True)
    recipe.check()

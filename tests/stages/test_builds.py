"""A command builds each component once, and resolves its recipe once."""

from collections import Counter

import pytest

import fmcore
from fmcore import stages
from fmcore.recipe.recipe import Recipe

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def counts(monkeypatch):
    """How often each section was built, and how many recipes were made."""
    found: Counter[str] = Counter()
    build, make = Recipe.build, Recipe.__init__

    def counted_build(self, section, **given):
        found[section] += 1
        return build(self, section, **given)

    def counted_make(self, *arguments, **named):
        found["recipes"] += 1
        make(self, *arguments, **named)

    monkeypatch.setattr(Recipe, "build", counted_build)
    monkeypatch.setattr(Recipe, "__init__", counted_make)
    return found


def test_a_run_builds_each_component_once_and_resolves_its_recipe_once(tiny, tmp_path, counts):
    fmcore.run(tiny, out=tmp_path / "run", device="cpu", quiet=True)
    sections = ("data", "path", "coupling", "objective", "train", "sample", "evaluate")
    assert {section: counts[section] for section in sections} == dict.fromkeys(sections, 1)
    assert counts["recipes"] == 1
    # on the meta device for the check against the data; for the estimate of memory; to train; and
    # one for sampling and measuring together
    assert counts["model"] == 4


def test_validations_and_previews_share_one_network(tiny, tmp_path, counts):
    often = ("train.evaluate_every=5", "train.sample_every=5", "evaluate.metrics=[nfe]")
    fmcore.run(tiny, often, out=tmp_path / "run", device="cpu", quiet=True)
    assert counts["model"] == 5


def test_measuring_again_resolves_the_recipe_of_the_folder_once(tiny, tmp_path, counts):
    made = fmcore.run(tiny, out=tmp_path / "run", device="cpu", quiet=True)
    counts.clear()
    stages.evaluate(made.folder.root, device="cpu", quiet=True)
    assert (counts["recipes"], counts["path"], counts["model"]) == (1, 1, 2)

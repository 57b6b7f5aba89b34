"""Bounds of results: strict for the recipe as it is written, and for solves that finished."""

import pytest
from click.testing import CliRunner

import fmcore
from fmcore import load_recipe, stages
from fmcore.cli import command_line
from fmcore.errors import ExpectationError

pytestmark = pytest.mark.usefixtures("no_pictures")

ADAPTIVE = "sample.solver={name: dopri5, max_steps: 2, rtol: 1e-9, atol: 1e-9}"


def expecting(tiny, text, *changes):
    """Write the recipe with `expect:` and other changes into the file itself."""
    recipe = load_recipe(tiny, [*changes, "train.steps=2"])
    tiny.write_text(recipe.to_yaml().replace("expect: {}", f"expect: {text}"))
    return tiny


def test_the_recipe_as_it_is_written_must_meet_its_bounds(tiny, tmp_path):
    with pytest.raises(ExpectationError, match="nfe = 8, expected at most 4"):
        fmcore.run(expecting(tiny, "{nfe: {max: 4}}"), out=tmp_path / "run", quiet=True)


def test_bounds_are_warnings_once_the_command_line_changed_the_recipe(tiny, tmp_path, capsys):
    recipe = expecting(tiny, "{nfe: {max: 4}}")
    made = fmcore.run(recipe, ("path=vp",), out=tmp_path / "run", quiet=True)
    warning = "warning: nfe = 8, expected at most 4.0; expected for the recipe without path.name"
    assert warning in capsys.readouterr().err
    assert stages.evaluate(made.folder.root, quiet=True).results  # afterwards too
    assert warning in capsys.readouterr().err


def test_bounds_given_on_the_command_line_hold(tiny, tmp_path):
    recipe = expecting(tiny, "{}")
    with pytest.raises(ExpectationError, match="nfe = 8, expected at most 4"):
        fmcore.run(recipe, ("expect.nfe.max=4",), out=tmp_path / "run", quiet=True)


def test_a_value_that_the_recipe_requires_is_no_change_of_it(tiny, tmp_path):
    text = expecting(tiny, "{nfe: {max: 4}}").read_text()
    tiny.write_text(text.replace("seed: 3", "seed: ???"))
    with pytest.raises(ExpectationError):
        fmcore.run(tiny, ("seed=3",), out=tmp_path / "run", quiet=True)


def test_the_results_are_printed_before_a_missed_bound(tiny, tmp_path):
    recipe, out = expecting(tiny, "{nfe: {max: 4}}"), tmp_path / "run"
    ended = CliRunner().invoke(command_line, ["run", str(recipe), "--out", str(out), "-q"])
    assert isinstance(ended.exception, ExpectationError)
    assert ended.exception.exit_code == 3
    assert "nfe  8" in ended.stdout
    assert str(out / "results.json") in ended.stdout


def test_unfinished_solves_are_a_share_next_to_the_number_and_miss_a_bound(tiny, tmp_path):
    recipe = expecting(tiny, "{nfe: {max: 1000}}", ADAPTIVE)
    made = fmcore.run(recipe, out=tmp_path / "run", quiet=True, check=False)
    result = made.results["nfe"]
    assert result["details"]["unfinished"] == 1.0
    with pytest.raises(ExpectationError, match="1 of its solves did not finish, allowed are 0"):
        made.check_expectations()


def test_unfinished_solves_can_be_allowed(tiny, tmp_path):
    recipe = expecting(tiny, "{nfe: {max: 1000, max_unfinished: 1.0}}", ADAPTIVE)
    fmcore.run(recipe, out=tmp_path / "run", quiet=True)


def test_samples_drawn_for_measuring_alone_count_too(tiny, tmp_path):
    recipe = expecting(tiny, "{}", ADAPTIVE, "sample.keep_on_disk=16")
    made = fmcore.run(recipe, out=tmp_path / "run", quiet=True)
    assert made.results["nfe"]["details"]["unfinished"] == 1.0

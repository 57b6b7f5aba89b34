"""Numbers that were computed differently never share a column."""

import pytest

from fmcore import load_recipe
from fmcore.benchmark.compare import compare
from fmcore.benchmark.compare_page import write_comparison_page
from fmcore.runs.files import write_json
from fmcore.runs.folder import RunFolder

RECIPE = """
data: toy
path: ot
model: {name: mlp, width: 8, depth: 1}
"""


@pytest.fixture
def made(tmp_path):
    (tmp_path / "r.yaml").write_text(RECIPE)

    def make(name, *overrides, **provenance):
        recipe = load_recipe(tmp_path / "r.yaml", overrides)
        folder = RunFolder.begin(recipe, tmp_path / name, lambda line: None)
        details, origin = provenance.pop("details", {}), provenance.pop("origin", {})
        provenance = {"count": 100, **provenance}
        result = {
            "value": 2.5,
            "error": 0.125,
            "provenance": provenance,
            "details": details,
            "origin": {"recipe": recipe.values, **origin},
        }
        write_json(folder.results_file, {"fd_lite0": result})
        return folder

    return make


def test_numbers_computed_alike_share_a_column_next_to_the_settings_that_differ(made):
    found = compare(
        [
            made("a", seed=0, origin={"step": 10, "samples": "one"}),
            made("b", "path.sigma_min=0.1", seed=1, origin={"step": 20, "samples": "other"}),
        ]
    )
    assert found.headings() == ["fd_lite0"]
    assert found.settings["path.sigma_min"] == dict(zip(found.runs, ["0.0001", "0.1"], strict=True))
    assert [row[-1] for row in found.rows()] == ["2.5 ± 0.12", "2.5 ± 0.12"]
    assert not found.reasons


def test_what_the_settings_do_not_show_of_the_origin_is_named(made):
    one = {"components": {"path": {"version": "1.0"}}, "runs": {}}
    other = {"components": {"path": {"version": "1.1"}}, "runs": {"objective.teacher": "step 3"}}
    found = compare([made("a", origin=one), made("b", "path=vp", origin=other)])
    assert found.headings() == ["fd_lite0"]
    assert found.reasons == [
        "the runs were made in different ways (path.sigma_min: 0.0001, -; "
        "components.path.version: 1.0, 1.1; runs: {}, -; path.beta_min: -, 0.1; and 2 more; "
        "see origin in results.json)"
    ]


def test_results_without_an_origin_are_compared_by_their_provenance(made):
    runs = [made("a"), made("b", "path=vp")]
    for run in runs:
        found = run.results()
        del found["fd_lite0"]["origin"]
        write_json(run.results_file, found)
    assert not compare(runs).reasons


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("count", 50),
        ("extractor", "inception"),
        ("weights", "raw"),
        ("reference", "test"),
        ("sampler", {"solver": {"name": "euler"}}),
    ],
)
def test_unlike_numbers_get_columns_of_their_own_and_a_reason(made, key, other):
    found = compare([made("a"), made("b", **{key: other})])
    assert found.headings() == ["fd_lite0 [1]", "fd_lite0 [2]"]
    first, second = found.rows()
    assert first[-1] == ""
    assert second[-2] == ""
    assert key in found.reasons[0]
    assert found.reasons[0] in found.markdown()
    assert r"\caption{Results. " in found.latex()


def test_a_seed_inside_the_sampler_may_differ(made):
    left = made("a", sampler={"seed": 0, "solver": {"name": "rk4", "nfe": 8}})
    right = made("b", sampler={"seed": 1, "solver": {"name": "rk4", "nfe": 8}})
    assert len(compare([left, right]).columns) == 1


def test_numbers_that_include_failed_solves_are_marked(made):
    found = compare([made("a"), made("b", details={"unfinished_samples": 3})])
    assert [row[-1] for row in found.rows()] == ["2.5 ± 0.12", "2.5 ± 0.12*"]
    assert found.notes == [
        "* includes failed solves: their number is in the details of results.json"
    ]
    assert r"$2.5 \pm 0.12$* \\" in found.latex()


def test_a_run_without_results_is_named_with_the_command_that_computes_them(made):
    empty = made("b")
    empty.results_file.unlink()
    (reason,) = compare([made("a"), empty]).reasons
    assert reason.endswith(f"compute some, as with fmcore evaluate {empty.root} 'metrics=[nfe]'")
    text = empty.recipe_file.read_text()
    empty.recipe_file.write_text(text.replace("evaluate: null", "evaluate: {metrics: [nfe]}"))
    (reason,) = compare([made("a"), empty]).reasons
    assert reason.endswith(f"compute them with fmcore evaluate {empty.root}")


def test_runs_are_compared_without_their_plugin(made):
    run = made("a")
    text = run.recipe_file.read_text().replace("name: ot\n", "name: not_installed\n")
    assert "not_installed" in text
    run.recipe_file.write_text(text)
    found = compare([run, made("b")])
    assert list(found.settings["path.name"].values()) == ["not_installed", "ot"]
    assert [row[-1] for row in found.rows()] == ["2.5 ± 0.12", "2.5 ± 0.12"]


def test_losses_of_other_paths_are_marked_as_not_comparable_on_the_page(made, tmp_path):
    runs = [made("a"), made("b", "path=vp"), made("c", "model.width=16")]
    for run in runs:
        run.curve_file.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n')
    write_comparison_page(tmp_path / "unlike.html", runs[:2])
    page = (tmp_path / "unlike.html").read_text()
    assert "These losses are not comparable: the runs differ in path.name" in page
    write_comparison_page(tmp_path / "alike.html", [runs[0], runs[2]])
    assert "not comparable" not in (tmp_path / "alike.html").read_text()

"""Unlike numbers never stand in one column."""

import pytest

from fmcore import load_recipe
from fmcore.benchmark.compare import compare
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
        result = {"value": 2.5, "error": 0.125, "provenance": {"count": 100, **provenance}}
        write_json(folder.results_file, {"fd_lite0": result})
        return folder

    return make


def test_like_numbers_stand_in_one_column_beside_what_tells_the_runs_apart(made):
    found = compare([made("a", step=10, seed=0), made("b", "path=vp", step=20, seed=1)])
    assert found.headings() == ["fd_lite0"]
    assert found.settings["path.name"] == dict(zip(found.runs, ["ot", "vp"], strict=True))
    assert [row[-1] for row in found.rows()] == ["2.5 ± 0.12", "2.5 ± 0.12"]
    assert not found.reasons


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

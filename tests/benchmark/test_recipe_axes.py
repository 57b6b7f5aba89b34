"""The axes of a recipe's benchmark: its own keys, and solvers; what is ambiguous is refused."""

import pytest

from fmcore import RecipeError, load_recipe
from fmcore.benchmark.recipe_axes import read_recipe_axes
from fmcore.benchmark.run_tables import RunRow, RunsReport


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("checkerboard")


def test_keys_with_several_values_vary_and_the_others_are_the_same_for_all(recipe):
    read = read_recipe_axes(
        ["path=ot,{name: vp, beta_max: 10}", "train.steps=5", "seed=0,1"], recipe
    )
    first, *_, last = read.combinations()
    assert read.varied == ["path", "seed"]
    assert first.labels == {"path": "ot", "seed": "0"}
    assert last.labels == {"path": "vp(beta_max=10)", "seed": "1"}
    values = recipe.override(last.overrides).values
    assert (values["path"]["beta_max"], values["seed"], values["train"]["steps"]) == (10, 1, 5)
    assert str(last) == "path=vp(beta_max=10), seed=1"


def test_a_list_in_brackets_is_one_value(recipe):
    read = read_recipe_axes(
        ["train.optimizer.betas=[0.9, 0.99]", "evaluate.metrics=[nfe],[nfe, nll]"], recipe
    )
    assert read.keys["train.optimizer.betas"] == [[0.9, 0.99]]
    assert read.combinations()[1].labels == {"evaluate.metrics": '["nfe", "nll"]'}


def test_null_and_names_reach_the_recipe_with_their_types(recipe):
    read = read_recipe_axes(["train.ema=null,0.9", "objective=ddpm"], recipe)
    chosen = [recipe.override(c.overrides).values for c in read.combinations()]
    assert [v["train"]["ema"] for v in chosen] == [None, 0.9]
    assert chosen[0]["objective"]["name"] == "ddpm"


def test_solver_axes_are_separated_from_keys(recipe):
    read = read_recipe_axes(["solver=euler,rk4", "nfe=8", "sample.count=16"], recipe)
    assert read.solving == ["solver=euler,rk4", "nfe=8"]
    assert list(read.keys) == ["sample.count"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["steps=1,2"], "no axis 'steps'; did you mean 'train.steps'?"),
        (["trian.lr=1"], "did you mean 'train.lr'?"),
        (["sover=euler"], "did you mean 'solver'?"),
        (["dim=2"], "'dim' is an axis of `fmcore benchmark closed-form`"),
        (["path=ot", "path=vp"], "'path' is given twice"),
        (["path"], "'path' is not of the form key=value,value"),
        (["path="], "give values separated by commas"),
        (["sample.solver=euler,rk4", "solver=euler"], "both choose solvers"),
    ],
)
def test_wrong_or_ambiguous_axes_are_refused_with_a_remedy(recipe, given, message):
    with pytest.raises(RecipeError) as error:
        read_recipe_axes(given, recipe)
    assert message in str(error.value)


def row(path, seed, nll, reason=""):
    results = {} if reason else {"nll": {"value": nll, "error": 0.5}}
    return RunRow({"path": path, "seed": str(seed)}, f"runs/{path}-{seed}", results, 1.0, reason)


def test_a_report_of_runs_has_means_over_seeds_and_names_failures():
    rows = [row("ot", 0, 1.0), row("ot", 1, 3.0), row("vp", 0, 2.0), row("vp", 1, 0, "no, why")]
    report = RunsReport(["path", "seed"], rows, "Recipe x.")
    heads, over = report.over_seeds()
    assert heads == ["path", "nll", "seeds"]
    assert over == [["ot", "2 ± 1.4", "2"], ["vp", "2", "1"]]
    assert report.refused == ["path=vp, seed=1: no, why"]
    assert len(report.table()[1]) == 3
    assert report.csv().splitlines()[-1] == 'vp,1,,,1.0,runs/vp-1,"no, why"'
    assert "* path=vp, seed=1: no, why" in report.markdown()

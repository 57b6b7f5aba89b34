"""Other runs as options: what they give, and what is refused before training."""

import json

import pytest
import torch

import fmcore
from fmcore import stages  # noqa: F401  # the fixture `no_pictures` patches it
from fmcore.errors import RunError
from fmcore.recipe.parts import run_options
from fmcore.runs.folder import RunFolder

pytestmark = pytest.mark.usefixtures("no_pictures")
UNSAMPLED = ("sample=null", "evaluate=null")


@pytest.fixture(scope="module")
def base(tmp_path_factory, no_pictures):
    """A trained run, and its recipe's file."""
    folder = tmp_path_factory.mktemp("base")
    recipe = folder / "tiny.yaml"
    recipe.write_text(TINY)
    run = fmcore.run(recipe, UNSAMPLED, out=folder / "run", quiet=True)
    return recipe, run.folder


TINY = """
seed: 3
data: {name: toy, figure: checkerboard}
path: ot
model: {name: mlp, width: 16, depth: 2}
train: {steps: 6, batch_size: 32, checkpoint_every: 3, log_every: 3}
"""


def tuned(base, out, *overrides, **options) -> RunFolder:
    recipe, run = base
    given = [f"train.init={run.root}", *overrides]
    return fmcore.run(recipe, given, out=out, quiet=True, **options).folder


def test_a_folder_alone_is_a_run_with_the_moving_average_and_no_guidance(base):
    recipe, run = base
    short = fmcore.load_recipe(recipe, [f"train.init={run.root}"])
    assert short.values["train"]["init"] == {
        "run": str(run.root),
        "weights": "ema",
        "guidance": 1.0,
    }
    long = fmcore.load_recipe(recipe, [f"train.init={{run: {run.root}, weights: raw}}"])
    assert run_options(long)["train.init"] == fmcore.RunOption(run.root, weights="raw")


def test_a_relative_folder_is_relative_to_the_recipe(base):
    recipe, run = base
    named = recipe.with_name("tuned.yaml")
    named.write_text(f"extends: tiny.yaml\ntrain: {{init: {run.root.name}}}\n")
    found = run_options(fmcore.load_recipe(named))["train.init"]
    assert found.run == run.root


@pytest.mark.parametrize(
    ("written", "override", "expected"),
    [
        ("???", "train.init.run=/b", ("/b", "ema")),
        ("/a", "train.init.weights=raw", ("/a", "raw")),
        ("{run: /a, weights: raw}", "train.init=/b", ("/b", "raw")),
        ("/a", "train.init={run: /b, weights: raw}", ("/b", "raw")),
    ],
)
def test_a_folder_alone_merges_with_a_mapping(base, written, override, expected):
    file = base[0].with_name("merged.yaml")
    file.write_text(f"extends: tiny.yaml\ntrain: {{init: {written}}}\n")
    found = run_options(fmcore.load_recipe(file, [override]))["train.init"]
    assert (str(found.run), found.weights) == expected


def test_a_value_that_is_no_run_is_refused_by_the_option(base):
    message = r"train\.init: expected its `run`, a mapping of options or null, got a list"
    with pytest.raises(fmcore.RecipeError, match=message):
        fmcore.load_recipe(base[0], ["train.init=[1]"])


def test_a_dry_run_names_a_run_that_has_yet_to_be_made(base, tmp_path):
    recipe = fmcore.load_recipe(base[0], [f"train.init={tmp_path / 'later'}"])
    (missing,) = fmcore.stages.dry_run(recipe, "cpu").missing
    assert missing.startswith(f"train.init: {tmp_path / 'later'}: no such folder")


def test_training_starts_from_the_weights_of_the_run(base, tmp_path):
    _, run = base
    made = tuned(base, tmp_path / "tuned", "train.steps=1", "train.lr=1e-30")
    before, after = (f.checkpoints.latest() for f in (run, made))
    for name, tensor in before.part("ema").items():
        assert torch.equal(after.part("model")[name], tensor), name


DIT = ("model={name: dit, width: 8, depth: 1, heads: 1, patch: 1}", "data=digits", *UNSAMPLED)


@pytest.fixture(scope="module")
def flow(base, tmp_path_factory, no_pictures):
    """A trained run of a network with one time."""
    out = tmp_path_factory.mktemp("flow") / "run"
    return fmcore.run(base[0], [*DIT, "train.steps=1"], out=out, quiet=True).folder


def test_a_flow_map_starts_from_the_weights_of_a_network_with_one_time(base, flow, tmp_path):
    given = [*DIT, f"train.init={flow.root}", "train.steps=1", "train.lr=1e-30"]
    made = fmcore.run(base[0], ["objective=mean_flow", *given], out=tmp_path / "map", quiet=True)
    before, after = flow.checkpoints.latest().part("ema"), made.folder.checkpoints.latest()
    found = after.part("model")
    for name, tensor in before.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-20, msg=name)
    assert all("span" in name for name in found.keys() - before.keys())


@pytest.mark.parametrize(
    ("objective", "model"), [("mean_flow", "model.depth=2"), ("flow_matching", "model.patch=2")]
)
def test_weights_that_the_second_time_does_not_explain_are_refused(
    base, flow, tmp_path, objective, model
):
    given = [*DIT, model, f"objective={objective}", f"train.init={flow.root}"]
    with pytest.raises(RunError, match="has another network: the weights"):
        fmcore.run(base[0], given, out=tmp_path / "map", quiet=True)


def test_a_network_with_one_time_does_not_start_from_a_flow_map(base, flow, tmp_path):
    options = [*DIT, "train.steps=1"]
    made = fmcore.run(base[0], ["objective=mean_flow", *options], out=tmp_path / "m", quiet=True)
    with pytest.raises(RunError, match=r"has another network: the weights .*span"):
        fmcore.run(base[0], [*options, f"train.init={made.folder.root}"], out=tmp_path / "f")


def test_the_initial_weights_are_in_the_identity_of_the_run(base, tmp_path):
    _, run = base
    made = tuned(base, tmp_path / "tuned", "train.steps=1")
    recorded = made.facts()["identity"]["run.train.init"]
    assert recorded == f"step 6, sha256 {run.checkpoints.sha256(6)}"


def test_a_finished_run_is_sampled_without_the_run_that_it_started_from(base, tmp_path):
    recipe, _ = base
    first = fmcore.run(recipe, out=tmp_path / "first", quiet=True)
    options = ["sample={solver: {name: euler, nfe: 2}, count: 4}", "train.steps=1"]
    made = fmcore.run(
        recipe, [f"train.init={first.folder.root}", *options], out=tmp_path / "made", quiet=True
    )
    first.folder.root.rename(tmp_path / "gone")
    assert fmcore.sample(made, ["count=6"], quiet=True).samples().shape == (6, 2)


def test_weights_that_changed_since_the_start_are_refused(base, tmp_path):
    recipe, _ = base
    first = fmcore.run(recipe, out=tmp_path / "first", quiet=True)
    init = [f"train.init={first.folder.root}"]
    made = fmcore.run(recipe, init, out=tmp_path / "made", quiet=True)
    description = first.folder.root / "checkpoints" / "step-000000006.json"
    facts = json.loads(description.read_text())
    description.write_text(json.dumps({**facts, "sha256": "0" * 64}))
    with pytest.raises(RunError, match=r"weights of the run 'train\.init'"):
        fmcore.run(recipe, init, out=made.folder.root, quiet=True)


def refusal(base, tmp_path, *overrides) -> str:
    recipe, _ = base
    with pytest.raises(fmcore.FmcoreError) as refused:
        fmcore.run(recipe, overrides, out=tmp_path / "refused", quiet=True)
    assert not (tmp_path / "refused" / "checkpoints").exists()
    return str(refused.value)


def test_a_missing_folder_is_refused_before_training(base, tmp_path):
    message = refusal(base, tmp_path, f"train.init={tmp_path / 'nothing'}")
    assert message == (
        f"train.init: {tmp_path / 'nothing'}: no such folder; name the folder of a trained run"
    )


def test_a_run_that_is_not_trained_is_refused_before_training(base, tmp_path):
    recipe, _ = base
    RunFolder.begin(fmcore.load_recipe(recipe), tmp_path / "new", lambda line: None)
    message = refusal(base, tmp_path, f"train.init={tmp_path / 'new'}")
    assert message == (
        f"train.init: {tmp_path / 'new'}: not trained yet: train it first, with fmcore run"
    )


def test_weights_that_the_other_training_did_not_keep_are_refused(base, tmp_path):
    _, run = base
    message = refusal(base, tmp_path, f"train.init={{run: {run.root}, weights: emma}}")
    assert message.startswith("train.init: no weights 'emma'; did you mean 'ema'?")


def test_weights_of_another_network_are_refused_by_name(base, tmp_path):
    message = refusal(base, tmp_path, f"train.init={base[1].root}", "model.width=8")
    assert message == (
        f"train.init: {base[1].root} has another network: the weights layers.0.weight, "
        "layers.0.bias, layers.2.weight, layers.2.bias and 1 more do not fit; use the section "
        "model of its recipe.yaml"
    )


def test_runs_that_need_each_other_are_refused(base, tmp_path):
    recipe, _ = base
    folders = [tmp_path / "a", tmp_path / "b"]
    for own, other in (folders, folders[::-1]):
        given = fmcore.load_recipe(recipe, [f"train.init={other}"])
        RunFolder.begin(given, own, lambda line: None)
    message = refusal(base, tmp_path, f"train.init={folders[0]}")
    a, b = folders
    assert message == (
        f"train.init: a run cannot need itself: {a} needs {b} needs {a}; name another run"
    )


def test_a_run_that_needs_its_own_folder_is_refused(base, tmp_path):
    recipe, _ = base
    own = tmp_path / "own"
    fmcore.run(recipe, out=own, quiet=True)
    with pytest.raises(RunError, match=r"train.init: a run cannot need itself: .*own needs .*own;"):
        fmcore.run(recipe, [f"train.init={own}"], out=own, quiet=True)


def test_each_opening_has_its_own_counters_and_frozen_weights(base):
    option = fmcore.RunOption(base[1].root)
    one, other = option.open(), option.open()
    one(torch.zeros(1, 2), torch.zeros(1))
    assert (one.nfe, other.nfe) == (1, 0)
    assert one.model is other.model
    assert not one.model.training
    assert not any(p.requires_grad for p in one.model.parameters())


LABELLED = (
    "data=digits",
    "model={name: mlp, width: 8, depth: 1, classes: auto}",
    "train.steps=1",
)


def test_a_run_can_be_opened_with_guidance(base, tmp_path):
    recipe, _ = base
    dropping = [*LABELLED, "train.label_dropout=0.5"]
    run = fmcore.run(recipe, dropping, out=tmp_path / "run", quiet=True)
    plain, guided = (fmcore.RunOption(run, guidance=scale).open() for scale in (1.0, 3.0))
    x, t = torch.randn(4, 1, 8, 8, generator=fmcore.generator_for(0, "x")), torch.full((4,), 0.5)
    condition = {"label": torch.arange(4)}
    null = {"label": torch.full((4,), -1)}
    with torch.no_grad():
        strong, weak = plain(x, t, condition), plain(x, t, null)
        found = guided(x, t, guided.prepare(condition))
    torch.testing.assert_close(found, weak + 3 * (strong - weak))
    assert not torch.equal(strong, weak)


def test_guidance_of_a_run_that_dropped_no_condition_is_refused(base, tmp_path):
    recipe, _ = base
    run = fmcore.run(recipe, LABELLED, out=tmp_path / "run", quiet=True)
    with pytest.raises(RunError, match="its training dropped none: set guidance to 1"):
        fmcore.RunOption(run, guidance=3.0).open()


def test_a_teacher_of_another_shape_path_or_condition_is_refused_before_training(base, tmp_path):
    recipe, _ = base
    run = fmcore.run(recipe, [*LABELLED, "path=vp"], out=tmp_path / "run", quiet=True)
    message = refusal(
        base, tmp_path, f"objective={{name: consistency, teacher: {run.folder.root}}}"
    )
    shape, path, condition = message.splitlines()
    assert "has data of shape (1, 8, 8), and this run of shape (2,)" in shape
    assert "follows the path VPPath(" in path
    assert condition.endswith("reads 10 classes, and the data of this run have 8")

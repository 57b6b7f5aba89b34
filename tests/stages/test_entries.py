"""Conditions from the data to training, sampling and guidance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

import fmcore
from fmcore import (
    ComponentError,
    ConditionSpec,
    Dataset,
    Field,
    VectorField,
    create,
    load_recipe,
    stages,
)
from fmcore.interfaces.condition import with_flags
from fmcore.interfaces.metric import Metric
from fmcore.interfaces.model import Prepared
from fmcore.runs.samples import Shards
from fmcore.stages.components import Components
from fmcore.stages.conditions import check_conditions
from fmcore.stages.sampler import Sampler
from fmcore.training.batches import Batches

pytestmark = pytest.mark.usefixtures("no_pictures")

MATRIX = torch.tensor([[1.0, 0.5], [-0.5, 1.0]])

CONDITIONED = [
    "data={name: conditional_gaussian, count: 4000}",
    "path=linear",
    "model={name: mlp, width: 32, depth: 2, conditions: [c]}",
    "train.condition_dropout={c: 0.2}",
    "sample.count=20",
    "sample.batch_size=7",
]


def checked(tiny, *overrides):
    Components.of(load_recipe(tiny, [*CONDITIONED, *overrides])).check()


def shard(run):
    return Shards.on_disk(run.folder.samples).first(20)


@pytest.fixture
def run(tiny, tmp_path):
    recipe = load_recipe(tiny, [*CONDITIONED, "sample.condition=test"])
    return fmcore.run(recipe, out=tmp_path / "run", device="cpu", quiet=True)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["model.conditions=[]", "train.condition_dropout={}"],
            "give the condition 'c', and nothing reads it",
        ),
        (["model.conditions=[d]"], "the data give no condition 'd'"),
        (["train.condition_dropout={d: 0.1}"], "condition_dropout: no condition 'd'"),
        (["train.ignore_conditions=[d]"], "ignore_conditions: no condition 'd'"),
        (["path.source={name: from_condition, key: low}"], "FromCondition reads .* 'low', which"),
        (["sample.condition.d=1"], "takes no condition 'd'"),
        (["sample.condition.c=[1, 2, 3]"], r"float32 of shape \(2,\); got shape \(3,\)"),
        (["sample.condition.c=text"], "float32 of shape"),
        (["sample.guidance=[{name: cfg, scale: 2, drop: [label]}]"], "does not read 'label'"),
        (
            ["train.condition_dropout.c=0", "sample.guidance=[{name: cfg, scale: 2, drop: [c]}]"],
            r"set train\.condition_dropout\.c",
        ),
    ],
)
def test_conditions_that_do_not_fit_are_refused_before_training(tiny, overrides, message):
    with pytest.raises((ComponentError, fmcore.RecipeError), match=message):
        checked(tiny, *overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["train.condition_dropout={}"],
        ["path.source={name: from_condition, key: c}"],  # the source has no null branch
    ],
)
def test_samples_without_a_condition_that_they_need_are_refused(tiny, overrides):
    checked(tiny, *overrides, "sample.condition=test")
    with pytest.raises(ComponentError, match="samples need the condition 'c'"):
        checked(tiny, *overrides)


@dataclass(frozen=True)
class ReadsOne(Metric):
    """A metric that reads the entry `name`."""

    name: str

    @property
    def reads(self):
        return frozenset({self.name})

    def begin(self, evaluation):
        pass

    def update(self, batch):
        pass

    def compute(self):
        return {}


def test_what_the_network_of_a_guiding_run_reads_needs_no_other_reader(run, tiny, tmp_path):
    own = [*CONDITIONED, "model.conditions=[]", "train.condition_dropout={}"]
    guided = f"sample.guidance=[{{name: autoguidance, scale: 2, weak: {run.folder.root}}}]"
    recipe = load_recipe(tiny, [*own, guided, "sample.condition=test"])
    made = fmcore.run(recipe, out=tmp_path / "guided", device="cpu", quiet=True)
    assert shard(made)["x"].shape == (20, 2)
    missing = guided.replace(str(run.folder.root), str(tmp_path / "nothing"))
    with pytest.raises(ComponentError, match="'c', and nothing reads it"):
        Components.of(load_recipe(tiny, [*own, missing])).check()


def test_what_a_metric_reads_needs_no_other_reader(tiny):
    unread = ["model.conditions=[]", "train.condition_dropout={}"]
    components = Components.of(load_recipe(tiny, [*CONDITIONED, *unread]))
    check_conditions(*of(components), readers=[ReadsOne("c")])
    with pytest.raises(ComponentError, match=r"'c', and nothing reads it: set .*ignore_conditions"):
        check_conditions(*of(components))


@pytest.mark.parametrize(
    ("name", "ignored", "message"),
    [
        ("text", "[]", "ReadsOne reads the condition 'text', which the data do not give"),
        ("c", "[c]", "'c', which train.ignore_conditions leaves out: remove 'c' from it"),
    ],
)
def test_what_a_metric_reads_and_the_data_lack_is_refused(tiny, name, ignored, message):
    unread = ["model.conditions=[]", "train.condition_dropout={}"]
    options = [*CONDITIONED, *unread, f"train.ignore_conditions={ignored}"]
    components = Components.of(load_recipe(tiny, options))
    with pytest.raises(ComponentError, match=message):
        check_conditions(*of(components), readers=[ReadsOne(name)])


def of(components):
    c = components
    return c.planned_model, c.path, c.data, c.train, c.sample, c.evaluate


def test_an_objective_reads_no_condition_by_default(tiny):
    assert Components.of(load_recipe(tiny, CONDITIONED)).objective.reads == frozenset()


def test_a_source_reads_the_condition_of_its_sample(tiny):
    source = "path.source={name: from_condition, key: c, scale: 0.001}"
    options = ["model.conditions=[]", "train.condition_dropout={}", "sample.condition=test"]
    components = Components.of(load_recipe(tiny, [*CONDITIONED, source, *options]))
    components.check()
    field = Field(components.model(), components.path, components.objective)
    sampler = Sampler(components, components.sample, field, torch.device("cpu"))
    c = components.data.with_split("test").batch([3, 5])["c"]
    assert (sampler.noise([3, 5]) - c).abs().max() < 0.01


def test_an_ignored_condition_needs_no_reader(tiny):
    checked(
        tiny,
        "model.conditions=[]",
        "train.condition_dropout={}",
        "train.ignore_conditions=[c]",
    )


def test_samples_have_the_conditions_of_the_split_by_index(run):
    drawn = shard(run)
    data = create("data", "conditional_gaussian", count=4000, split="test")
    assert torch.equal(drawn["condition/c"], data.batch(range(20))["c"])
    assert drawn["example"].tolist() == list(range(20))


def test_a_users_own_condition_is_that_of_every_sample(run):
    again = stages.sample(run.folder.root, ("condition.c=[1, -2]",), device="cpu", quiet=True)
    drawn = shard(again)
    assert torch.equal(drawn["condition/c"], torch.tensor([[1.0, -2.0]]).expand(20, 2))
    assert "example" not in drawn
    assert not torch.equal(drawn["x"], shard(run)["x"])


def test_an_unfit_condition_of_a_user_makes_no_folder(run):
    before = sorted(run.folder.root.rglob("*"))
    with pytest.raises(ComponentError, match=r"got shape \(1,\)"):
        stages.sample(run.folder.root, ("condition.c=[1]",), device="cpu", quiet=True)
    assert sorted(run.folder.root.rglob("*")) == before


def test_without_a_condition_samples_have_the_null_value(run):
    again = stages.sample(run.folder.root, ("condition=null",), device="cpu", quiet=True)
    assert not shard(again)["condition/c"].any()


def test_guidance_drops_what_training_dropped(run):
    plain, root = shard(run), run.folder.root
    again = stages.sample(root, ("guidance=[{name: cfg, scale: 2}]",), device="cpu", quiet=True)
    guided = shard(again)
    assert set(guided["forwards"].tolist()) == {2 * n for n in plain["nfe"].tolist()}
    assert not torch.equal(guided["x"], plain["x"])
    one = stages.sample(root, ("guidance=[{name: cfg, scale: 1}]",), device="cpu", quiet=True)
    torch.testing.assert_close(shard(one)["x"], plain["x"])


def test_metrics_get_the_conditions_of_their_rows(run):
    from fmcore.stages.evaluate import as_measured

    measured = as_measured(run.components.data, range(20), shard(run))
    assert set(measured.condition) == {"c"}
    assert torch.equal(measured.condition["c"], shard(run)["condition/c"])


def test_pairs_of_a_conditional_run_keep_their_conditions(run, tmp_path):
    file = tmp_path / "pairs.safetensors"
    stages.pairs(run.folder.root, file, ("count=9",), device="cpu")
    data = create("data", "pairs", file=str(file))
    assert data.entries == {"c": ConditionSpec((2,))}
    assert torch.equal(data.batch(range(9))["c"], shard(run)["condition/c"][:9])


def test_a_trained_network_has_the_conditional_mean_in_closed_form(tiny, tmp_path):
    """x1 given c is N(A c, 0.3^2 I); the null branch is the marginal, of variance 1.34."""
    options = ["train.steps=500", "train.batch_size=256", "train.lr=0.005", "train.ema=0.98"]
    recipe = load_recipe(
        tiny, [*CONDITIONED, *options, "train.lr_schedule=cosine", "sample=null", "evaluate=null"]
    )
    field = fmcore.run(recipe, out=tmp_path / "run", device="cpu", quiet=True).field()
    c = torch.tensor([1.0, -2.0])
    x0 = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))

    def drawn(present):
        condition = {"c": c * present[:, None], "present/c": present}
        problem = fmcore.Problem(field, x0, path=field.path, condition=condition)
        with torch.no_grad():
            return create("solver", "midpoint", nfe=20).solve(problem).x

    given = drawn(torch.ones(400, dtype=torch.bool))
    assert (given.mean(0) - MATRIX @ c).abs().max() < 0.25  # |A c| is 2.5
    null = drawn(torch.zeros(400, dtype=torch.bool))
    assert null.mean(0).abs().max() < 0.25
    assert (null.std(0) - 1.34**0.5).abs().max() < 0.35


@dataclass(frozen=True)
class Pair(Dataset):
    """Two droppable entries of four examples; `low` has the data's shape."""

    shape = (2,)
    length = 4
    fingerprint = "0" * 8
    entries: ClassVar[dict[str, ConditionSpec]] = {
        "low": ConditionSpec((2,), droppable=True),
        "k": ConditionSpec((), "int64", True),
    }

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        low = torch.tensor(indices).float()[:, None].expand(-1, 2) + 100
        return {"x1": torch.zeros(len(indices), 2), "low": low, "k": torch.tensor(indices)}


def batches(**options):
    path = create("path", "linear", source={"name": "from_condition", "key": "low", "scale": 0.001})
    objective, coupling = create("objective", "flow_matching"), create("coupling", "independent")
    return Batches(Pair(), path, coupling, objective, batch_size=400, seed=0, **options)


def test_entries_are_dropped_independently_with_their_probabilities():
    drawn = batches(dropout={"low": 0.25, "k": 0.5}).pairs(0, range(400)).condition
    low, k = ~drawn["present/low"], drawn["k"] == -1
    assert not drawn["low"][low].any()
    assert (drawn["low"][~low] >= 100).all()
    # within 4 standard errors
    assert abs(float(low.float().mean()) - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5
    assert abs(float(k.float().mean()) - 0.5) < 4 * 0.5 / 400**0.5
    assert abs(float((low & k).float().mean()) - 0.125) < 4 * (0.125 * 0.875 / 400) ** 0.5


def test_a_row_is_dropped_or_not_whatever_the_split_of_the_batch():
    made = batches(dropout={"low": 0.25})
    whole = made.pairs(3, range(400)).condition["present/low"]
    parts = [made.pairs(3, range(a, a + 100)).condition["present/low"] for a in range(0, 400, 100)]
    assert torch.equal(torch.cat(parts), whole)


def test_sources_read_conditions_before_they_are_dropped():
    drawn = batches(dropout={"low": 1.0}).pairs(0, range(400))
    assert not drawn.condition["low"].any()
    assert (drawn.x0 > 99).all()


def test_flags_are_given_without_dropout_and_ignored_entries_are_not():
    drawn = batches(ignored=("k",)).pairs(0, range(400)).condition
    assert set(drawn) == {"low", "present/low"}
    assert drawn["present/low"].all()


class Consumes(VectorField):
    """Turns c into `code` when it prepares, so that c cannot be dropped later."""

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({"c"})

    def prepare(self, condition: Mapping[str, Tensor] | None, x1: Tensor | None = None) -> Prepared:
        assert condition is not None
        return Prepared({"code": 10 * condition["c"]})

    def forward(
        self, x: Tensor, t: Tensor, condition: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        assert condition is not None
        assert "c" not in condition
        return x + condition["code"]


def field_of(model: VectorField) -> Field:
    return Field(model, create("path", "linear"), create("objective", "flow_matching"))


def test_guidance_prepares_both_branches():
    """v = weak + scale (strong - weak) with strong = x + 10 c and weak = x: x + scale 10 c."""
    guided = create("guidance", "cfg", scale=3.0, drop=("c",)).wrap(field_of(Consumes()))
    x, c = torch.ones(2, 2), torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    condition = guided.prepare(with_flags({"c": c}, {"c": ConditionSpec((2,), droppable=True)}))
    v = guided(x, torch.full((2,), 0.5), condition)
    torch.testing.assert_close(v, x + 30 * c)
    # an adaptive solver keeps the rows of unfinished samples
    kept = {name: value[1:] for name, value in condition.items()}
    torch.testing.assert_close(guided(x[1:], torch.full((1,), 0.5), kept), v[1:])


class Ones(VectorField):
    def forward(self, x, t, condition=None):
        return torch.ones_like(x)


@pytest.mark.parametrize("solver", ["midpoint", "dopri5"])
def test_samples_are_zero_where_the_mask_is(tiny, solver):
    """The velocity is 1 where an element exists, so that x1 = x0 + 1 there."""
    components = Components.of(load_recipe(tiny))
    mask = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    components = replace(components, data=Masked())
    options = {"nfe": 4} if solver == "midpoint" else {}
    settings = replace(
        components.sample, solver=create("solver", solver, **options), condition="test"
    )
    sampler = Sampler(components, settings, field_of(Ones()), torch.device("cpu"))
    together = sampler.draw(range(3))
    noise = sampler.noise(range(3))
    torch.testing.assert_close(together["x"], (noise + 1) * mask)
    assert torch.equal(together["mask"], mask)
    for i in range(3):
        torch.testing.assert_close(
            sampler.draw([i])["x"], together["x"][i : i + 1], atol=1e-5, rtol=0
        )


@dataclass(frozen=True)
class Masked(Dataset):
    """Rows of one or two elements."""

    shape = (2,)
    length = 3
    fingerprint = "1" * 8
    entries: ClassVar[dict[str, ConditionSpec]] = {"mask": ConditionSpec((2,))}

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        mask = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])[list(indices)]
        return {"x1": mask, "mask": mask}


def test_a_likelihood_under_a_mask_is_refused():
    with pytest.raises(ComponentError, match="mask"):
        fmcore.log_prob(
            field_of(Ones()),
            torch.zeros(1, 2),
            path=create("path", "linear"),
            condition={"mask": torch.ones(1, 2)},
        )

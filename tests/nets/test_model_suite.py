"""Every check of the model suite fails for a network that breaks its law."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import nn

from fmcore import ConditionSpec, Prepared, VectorField
from fmcore.testing import ModelSuite, run_suite


class Right(VectorField):
    """A small network that satisfies every law."""

    def __init__(self, *, classes: int = 0) -> None:
        super().__init__()
        self.classes = self.columns = classes
        self.inner = nn.Linear(3 * 8 * 8 + 1 + classes, 16)
        self.outer = nn.Linear(16, 3 * 8 * 8)

    def features(self, x, t, condition):
        label = None if condition is None else condition.get("label")
        classes = torch.arange(self.columns, device=x.device)
        one_hot = classes.new_zeros(len(x), self.columns)
        if label is not None:
            one_hot = label[:, None] == classes
        return torch.cat([x.flatten(1), t[:, None], one_hot.to(x.dtype)], dim=1)

    def forward(self, x, t, condition=None):
        hidden = self.inner(self.features(x, t, condition)).tanh()
        return self.outer(hidden).reshape(x.shape)


class Swallows(Right):
    def __init__(self, **options) -> None:
        super().__init__()


class Untyped(Right):
    def __init__(self, *, width=3) -> None:
        super().__init__()


class Flat(Right):
    def forward(self, x, t, condition=None):
        return super().forward(x, t, condition).flatten(1)


class Half(Right):
    def forward(self, x, t, condition=None):
        return super().forward(x, t, condition).half()


class BatchStatistics(Right):
    def forward(self, x, t, condition=None):
        return super().forward(x - x.mean(0), t, condition)


class TrainingStatistics(Right):
    def forward(self, x, t, condition=None):
        return super().forward(x - x.mean(0) if self.training else x, t, condition)


class FirstTime(Right):
    def forward(self, x, t, condition=None):
        return super().forward(x, t[:1].expand_as(t), condition)


class Timeless(Right):
    def forward(self, x, t, condition=None):
        return super().forward(x, torch.zeros_like(t), condition)


class WholeSteps(Right):
    """Made for steps 0 .. 999: any t below 1 is step 0."""

    def forward(self, x, t, condition=None):
        return super().forward(x, t.floor(), condition)


class NullIsZero(Right):
    """Treats a missing label as class 0."""

    def forward(self, x, t, condition=None):
        return super().forward(x, t, condition or {"label": torch.zeros(len(x), dtype=int)})


class Labelled(Right):
    """Reads labels although it declares none."""

    def forward(self, x, t, condition=None):
        known = condition is not None and "label" in condition
        return super().forward(x, t + known, condition)


class IgnoresLabels(Right):
    def forward(self, x, t, condition=None):
        return super().forward(x, t)


class DeclaresNoClasses(Right):
    """Reads labels, but sampling and guidance find no attribute `classes`."""

    def __init__(self, *, classes: int = 0) -> None:
        super().__init__(classes=classes)
        del self.classes


class Noisy(Right):
    def forward(self, x, t, condition=None):
        return super().forward(x, t, condition) + torch.randn(x.shape).to(x.device)


class InPlace(Right):
    def forward(self, x, t, condition=None):
        return super().forward(x.mul_(1.5), t, condition)


class Hidden(Right):
    """Stores a random factor outside of the state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.randn(1).abs() + 1

    def forward(self, x, t, condition=None):
        return super().forward(x, t, condition) * self.scale.to(x.device)


class Entropy(Right):
    """Draws its weights from a generator of its own."""

    count = 0

    def __init__(self) -> None:
        super().__init__()
        Entropy.count += 1
        self.inner.weight.data.mul_(1 + Entropy.count)


class Coarse(Right):
    """Loses its result in bfloat16 by adding and subtracting 100."""

    def forward(self, x, t, condition=None):
        y = super().forward(x, t, condition)
        return (y + 100) - 100


class Idle(Right):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.ones(3))


class Detached(Right):
    def forward(self, x, t, condition=None):
        return super().forward(x.detach(), t, condition)


class OnTheCPU(Right):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.ones(3, device="cpu"))


class RoundsToSteps(Right):
    """Counts in 1000 whole steps."""

    def forward(self, x, t, condition=None):
        return super().forward(x, (1000 * t).long() / 1000, condition)


class RawThousands(Right):
    """Gives a layer 1000 t as a number."""

    def forward(self, x, t, condition=None):
        return super().forward(x, 1000 * t, condition)


class UndeclaredLabels(Right):
    """Reads labels, takes a missing one for class 0, and declares no classes."""

    def __init__(self) -> None:
        super().__init__(classes=3)
        self.classes = 0

    def forward(self, x, t, condition=None):
        label = (condition or {}).get("label", torch.zeros(len(x), dtype=int))
        return super().forward(x, t, {"label": label})


def outcome(model, classes=0):
    class Suite(ModelSuite):
        def component(self):
            return model(classes=classes) if classes else model()

    Suite.classes = classes
    return {result.name: result for result in run_suite(Suite)}


def failures(model, classes=0):
    return {name for name, result in outcome(model, classes).items() if not result.passed}


RESULTS = {
    "test_rows_are_independent",
    "test_runs_under_bfloat16_autocast",
    "test_the_null_class_is_the_default",
    "test_the_state_dict_is_the_whole_state",
}

FOLLOWS = {
    Flat: {"test_runs_on_the_meta_device"},
    Noisy: RESULTS,
    InPlace: RESULTS | {"test_evaluation_is_deterministic", "test_x_has_a_gradient"},
}
"""Checks that fail with the one meant: they evaluate the network more than once."""


def failed(results):
    return {name for name, result in results.items() if not result.passed}


@pytest.mark.parametrize("classes", [0, 3])
def test_a_correct_network_passes(classes):
    assert failures(Right, classes) == set()


@pytest.mark.parametrize(
    ("model", "check", "word"),
    [
        (Swallows, "test_is_a_vector_field_with_closed_options", "misspelt options"),
        (Untyped, "test_is_a_vector_field_with_closed_options", "no type"),
        (Flat, "test_gives_the_shape_and_dtype_of_x", "(1, 192)"),
        (Half, "test_gives_the_shape_and_dtype_of_x", "float16"),
        (BatchStatistics, "test_rows_are_independent", "row 0 alone"),
        (TrainingStatistics, "test_rows_are_independent", "batch statistics"),
        (FirstTime, "test_rows_are_independent", "row 1 alone"),
        (Timeless, "test_depends_on_time", "t = 0.0 and t = 1.0"),
        (WholeSteps, "test_depends_on_time", "t = 0.5 and t = 0.501"),
        (RoundsToSteps, "test_depends_on_time", "t = 0.3002 and t = 0.3008"),
        (RawThousands, "test_time_leaves_the_effect_of_x", "is a large multiple of t an input"),
        (UndeclaredLabels, "test_the_null_class_is_the_default", "with label 1"),
        (Labelled, "test_the_null_class_is_the_default", "compared with no condition"),
        (Noisy, "test_evaluation_is_deterministic", "global generator"),
        (InPlace, "test_does_not_modify_its_arguments", "x after"),
        (Hidden, "test_the_state_dict_is_the_whole_state", "state dict"),
        (Entropy, "test_initial_weights_depend_on_the_seed_alone", "inner.weight"),
        (Coarse, "test_runs_under_bfloat16_autocast", "bfloat16"),
        (Idle, "test_every_parameter_is_trained", "'unused'"),
        (Detached, "test_x_has_a_gradient", "detached"),
        (OnTheCPU, "test_runs_on_the_meta_device", "'table'"),
    ],
)
def test_a_wrong_network_fails_the_check_of_its_law_and_no_other(model, check, word):
    results = outcome(model)
    assert failed(results) == {check} | FOLLOWS.get(model, set())
    assert word in results[check].message


@pytest.mark.parametrize(
    ("model", "check"),
    [
        (NullIsZero, "test_the_null_class_is_the_default"),
        (IgnoresLabels, "test_depends_on_the_class"),
        (DeclaresNoClasses, "test_depends_on_the_class"),
    ],
)
def test_a_network_that_is_wrong_about_labels_fails_the_check_of_its_law_and_no_other(model, check):
    assert failures(model, classes=3) == {check}


class Conditioned(Right):
    """Reads a vector c, of which the data give another too."""

    entries: ClassVar = {"c": ConditionSpec((2,), droppable=True), "other": ConditionSpec((2,))}

    @property
    def reads(self):
        return frozenset({"c"})

    def forward(self, x, t, condition=None):
        shift = 0
        if condition is not None and "c" in condition:
            shift = self.read(condition, condition["c"])[:, None, None, None]
        return super().forward(x, t, condition) + shift

    def read(self, condition, c):
        return c.sum(1) + condition["present/c"]


class ReadsAnother(Conditioned):
    def read(self, condition, c):
        return super().read(condition, c) + condition["other"].sum(1)


class ReadsNothing(Conditioned):
    def read(self, condition, c):
        return 0 * c.sum(1)


class Undeclared(Conditioned):
    @property
    def reads(self):
        return frozenset({"c", "d"})


class PreparesTheBatch(Conditioned):
    def prepare(self, condition, x1=None):
        if condition is None or "c" not in condition:
            return Prepared(condition)
        return Prepared({**condition, "c": condition["c"] - condition["c"].mean(0)})


class WritesIntoTheCondition(Conditioned):
    def prepare(self, condition, x1=None):
        if condition is not None and "c" in condition:
            condition["c"].mul_(1.5)
        return Prepared(condition)


class Joint(VectorField):
    """A network of rows of any length that encodes its text with a loss of its own: a masked mean,
    an embedding of tokens, a layer for each element.
    """

    entries: ClassVar = {
        "mask": ConditionSpec((1, 6)),
        "text": ConditionSpec((6,), "int64"),
    }
    loss_names = ("match",)

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(2, 4)
        self.encoder = nn.Linear(4, 4)
        self.guess = nn.Linear(4, 2)
        self.inner = nn.Linear(2 + 2 + 4 + 1, 16)
        self.outer = nn.Linear(16, 2)

    @property
    def reads(self):
        return frozenset({"mask", "text"})

    def prepare(self, condition, x1=None):
        mask = condition["mask"]
        code = self.encoder(self.tokens(condition["text"])).tanh().mT
        code = code + self.mean(code, mask).tanh()
        losses = {}
        if x1 is not None:
            losses = {"match": self.loss((self.guess(code.mT).mT - x1).square(), mask)}
        return Prepared({"mask": mask, "code": code}, losses)

    def mean(self, value, mask):
        return (value * mask).sum(-1, keepdim=True) / mask.sum(-1, keepdim=True)

    def loss(self, error, mask):
        return self.mean(error, mask).mean((1, 2))

    def forward(self, x, t, condition=None):
        code, mask = condition["code"], condition["mask"]
        seen = [x, self.mean(x, mask).expand_as(x), code, t[:, None, None].expand_as(x[:, :1])]
        hidden = self.inner(torch.cat(seen, 1).mT).tanh()
        return mask * self.outer(hidden).mT


class NormalisesOverPadding(Joint):
    def forward(self, x, t, condition=None):
        width = x.square().mean((1, 2), keepdim=True).sqrt()
        return super().forward(x / width, t, condition)


class EncodesThePadding(Joint):
    def mean(self, value, mask):
        return value.mean(-1, keepdim=True)

    def loss(self, error, mask):
        return Joint.mean(self, error, mask).mean((1, 2))


class AveragesOverThePaddedLength(Joint):
    def loss(self, error, mask):
        return (error * mask).mean((1, 2))


class LossOfTheBatch(Joint):
    def loss(self, error, mask):
        own = super().loss(error, mask)
        return own + own.mean()


class UndeclaredLoss(Joint):
    loss_names = ()


class Transformer(VectorField):
    """Layers of torch, which take other kernels with gradients than without."""

    def __init__(self, *, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.inner = nn.Linear(shape[1] + 1, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.outer = nn.Linear(16, shape[1])

    def forward(self, x, t, condition=None):
        time = t[:, None, None].expand(*x.shape[:2], 1)
        return self.outer(self.layers(self.inner(torch.cat([x, time], 2))))


class MasksItsLossAlone(Joint):
    """Reads the mask for its auxiliary loss, and each element by itself."""

    def prepare(self, condition, x1=None):
        made = super().prepare(condition, x1)
        ones = torch.ones_like(condition["mask"])
        return replace(made, condition={**super().prepare({**condition, "mask": ones}).condition})

    def mean(self, value, mask):
        return value if value.shape[1] == 4 else super().mean(value, mask)

    def forward(self, x, t, condition=None):
        code, time = condition["code"], t[:, None, None].expand_as(x[:, :1])
        hidden = self.inner(torch.cat([x, x, code, time], 1).mT).tanh()
        return self.outer(hidden).mT


class NeedsText(Joint):
    """Reads two entries without a null value, and is of one length."""

    entries: ClassVar = {"text": ConditionSpec((6,), "int64"), "low": ConditionSpec((2, 6))}
    loss_names = ()

    def __init__(self) -> None:
        super().__init__()
        del self.guess

    @property
    def reads(self):
        return frozenset(self.entries)

    def prepare(self, condition, x1=None):
        ones = torch.ones_like(condition["low"][:, :1])
        made = super().prepare({**condition, "mask": ones}).condition
        return Prepared({**made, "low": condition["low"]})

    def forward(self, x, t, condition=None):
        return super().forward(x + condition["low"], t, condition)


def test_a_network_with_torchs_transformer_layers_passes():
    class Suite(ModelSuite):
        shape = (4, 5)

        def component(self):
            return Transformer(shape=self.shape)

    assert failed({r.name: r for r in run_suite(Suite)}) == set()


def jointly(model):
    class Suite(ModelSuite):
        shape = (2, 6)
        entries = model.entries

        def component(self):
            return model()

    return {result.name: result for result in run_suite(Suite)}


@pytest.mark.parametrize("model", [Joint, MasksItsLossAlone, NeedsText])
def test_a_network_that_needs_its_conditions_passes(model):
    results = jointly(model)
    assert failed(results) == set(), results


PADDING = "test_padding_does_not_matter"
LOSSES = "test_auxiliary_losses_are_those_declared"


@pytest.mark.parametrize(
    ("model", "check", "word"),
    [
        (NormalisesOverPadding, PADDING, "padded from"),
        (EncodesThePadding, PADDING, "padded from"),
        (AveragesOverThePaddedLength, PADDING, "loss 'match' of row"),
        (LossOfTheBatch, LOSSES, "loss 'match' of row 0 alone"),
        (UndeclaredLoss, LOSSES, "gives the losses ['match'], declared are []"),
    ],
)
def test_a_network_that_is_wrong_about_padding_fails_the_check_of_its_law(model, check, word):
    results = jointly(model)
    follows = {PADDING} if model is LossOfTheBatch else set()
    assert failed(results) == {check} | follows
    assert word in results[check].message


def conditioned(model):
    class Suite(ModelSuite):
        entries = Conditioned.entries

        def component(self):
            return model()

    return {result.name: result for result in run_suite(Suite)}


def test_a_correct_network_with_conditions_passes():
    assert [r for r in conditioned(Conditioned).values() if not r.passed] == []


READS = "test_reads_the_entries_that_it_declares_and_no_others"


@pytest.mark.parametrize(
    ("model", "check", "word"),
    [
        (ReadsAnother, READS, "'other' is not in reads"),
        (ReadsNothing, READS, "'c' is in reads"),
        (Undeclared, READS, "['d']"),
        (PreparesTheBatch, "test_rows_are_independent", "row 0 alone"),
        (WritesIntoTheCondition, "test_does_not_modify_its_arguments", "the c after"),
    ],
)
def test_a_network_that_is_wrong_about_conditions_fails_the_check_of_its_law(model, check, word):
    results = conditioned(model)
    follows = {
        PreparesTheBatch: {READS},
        WritesIntoTheCondition: RESULTS
        | {READS, "test_evaluation_is_deterministic", "test_time_leaves_the_effect_of_x"},
    }
    assert failed(results) == {check} | follows.get(model, set())
    assert word in results[check].message

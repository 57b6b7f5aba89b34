"""Guidance: one convention of the scale, counted in forwards while nfe counts one."""

from __future__ import annotations

import pytest
import torch

from fmcore import ComponentError, Field, Guided, VectorField, create, without


class Pulled(VectorField):
    """A velocity of `strength` towards the label's number; none for the null class."""

    def __init__(self, strength=1.0):
        super().__init__()
        self.strength, self.calls = strength, 0

    def forward(self, x, t, condition=None):
        self.calls += 1
        if condition is None or "label" not in condition:
            return torch.zeros_like(x)
        label = condition["label"].clamp(min=0).to(x.dtype)
        return self.strength * label[:, None].expand_as(x)


def field(strength=1.0, path="ot"):
    return Field(Pulled(strength), create("path", path), create("objective", "flow_matching"))


def guided_by(strong, scale, weak=None, **options):
    """Classifier-free guidance of `strong`, or away from the field `weak`."""
    if weak is None:
        return create("guidance", "cfg", scale=scale, **options).wrap(strong)
    # the rule of autoguidance is that of cfg, with the weak branch another field
    return Guided(strong, create("guidance", "cfg", scale=scale, drop=()), {"weak": weak})


X = torch.zeros(4, 2)
T = torch.tensor([0.1, 0.4, 0.6, 0.9])
CONDITION = {"label": torch.tensor([1, 2, 3, 4])}


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 3.0])
def test_the_scale_is_that_of_weak_plus_scale_times_the_difference(scale):
    guided = guided_by(field(), scale)
    wanted = scale * CONDITION["label"][:, None].float().expand(4, 2)
    torch.testing.assert_close(guided(X, T, CONDITION), wanted)


def test_a_scale_of_one_asks_the_network_once():
    guided = guided_by(field(), 1.0)
    guided(X, T, CONDITION)
    assert (guided.nfe, guided.forwards, guided.model.calls) == (1, 1, 1)


def test_guidance_counts_one_evaluation_and_two_forwards():
    guided = guided_by(field(), 2.0)
    for _ in range(3):
        guided(X, T, CONDITION)
    assert (guided.nfe, guided.forwards, guided.model.calls) == (3, 6, 6)


def test_guidance_acts_within_its_interval_row_by_row():
    guided = guided_by(field(), 3.0, interval=(0.4, 0.6))
    wanted = torch.tensor([1.0, 3 * 2, 3 * 3, 4])[:, None].expand(4, 2)
    torch.testing.assert_close(guided(X, T, CONDITION), wanted)


def test_outside_its_interval_the_weak_field_is_not_asked():
    guided = guided_by(field(), 3.0, interval=(0.45, 0.55))
    guided(X, torch.full((4,), 0.2), CONDITION)
    assert guided.forwards == 1
    guided(X, torch.full((4,), 0.5), CONDITION)
    assert guided.forwards == 3


def test_autoguidance_leads_away_from_a_weaker_field_under_the_same_condition():
    strong, weak = field(1.0), field(0.5)
    guided = guided_by(strong, 3.0, weak=weak)
    wanted = (0.5 + 3 * (1 - 0.5)) * CONDITION["label"][:, None].float().expand(4, 2)
    torch.testing.assert_close(guided(X, T, CONDITION), wanted)
    assert (strong.forwards, weak.forwards, guided.forwards, guided.nfe) == (1, 1, 2, 1)


@pytest.mark.parametrize("target", ["data", "noise", "score"])
def test_every_quantity_is_guided_as_the_velocity_is(target):
    guided = guided_by(field(), 2.5)
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = T.double()
    velocity = guided(x, t, CONDITION)
    wanted = guided.path.convert(velocity, x, t, source="velocity", target=target)
    torch.testing.assert_close(guided.predict(x, t, CONDITION, target), wanted)


def test_guidance_may_be_wrapped_again():
    inner = guided_by(field(), 2.0)
    outer = guided_by(inner, 2.0, weak=field(0.0))
    wanted = 4 * CONDITION["label"][:, None].float().expand(4, 2)
    torch.testing.assert_close(outer(X, T, CONDITION), wanted)
    assert (outer.nfe, outer.forwards) == (1, 3)


def test_the_null_class_replaces_labels_and_nothing_else():
    condition = {"label": torch.tensor([2, 5]), "mask": torch.ones(2, 3)}
    null = without(condition, ("label",))
    assert null["label"].tolist() == [-1, -1]
    assert null["mask"] is condition["mask"]
    assert condition["label"].tolist() == [2, 5]


@pytest.mark.parametrize("condition", [None, {"mask": torch.ones(4, 2)}])
def test_without_labels_guidance_says_what_is_missing(condition):
    with pytest.raises(ComponentError, match="leaves out the condition 'label', which is missing"):
        guided_by(field(), 2.0)(X, T, condition)


@pytest.mark.parametrize("interval", [(0.6, 0.4), (-0.1, 0.5), (0.5, 1.2)])
def test_a_wrong_interval_is_refused(interval):
    with pytest.raises(ComponentError, match=r"two times in|a number >= 0"):
        guided_by(field(), 2.0, interval=interval)


def test_fields_of_different_paths_do_not_guide_each_other():
    with pytest.raises(
        ComponentError, match=r"put one on the other's path with fmcore\.ChangedSchedule"
    ):
        guided_by(field(path="ot"), 2.0, weak=field(path="vp"))


def test_a_guided_field_is_solved_like_any_other():
    from fmcore import Problem

    guided = guided_by(field(), 2.0)
    problem = Problem(field=guided, x0=X, path=guided.path, condition=CONDITION)
    solution = create("solver", "midpoint", nfe=8).solve(problem)
    torch.testing.assert_close(solution.x, 2 * CONDITION["label"][:, None].float().expand(4, 2))
    assert solution.stats.nfe.tolist() == [8] * 4
    assert (guided.nfe, guided.forwards) == (8, 16)

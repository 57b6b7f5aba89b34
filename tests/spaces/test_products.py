"""Flows of product spaces: parts, losses, frozen elements, and the faults of a published code."""

from __future__ import annotations

import math

import pytest
import torch

from fmcore import Batch, ComponentError, Euclidean, Problem, Product, Rows, Tokens, create
from fmcore.testing.stub_net import FunctionNet
from fmcore_spaces.leap import Leap
from fmcore_spaces.torus import wrap

PARTS = {"place": Euclidean(), "angle": create("space", "torus"), "letter": Tokens(4, mask=True)}
SPACE = Product(PARTS, {"place": (2,), "angle": (3,), "letter": (5,)})
PATH = create(
    "path",
    "product",
    parts={"place": "geodesic", "angle": "geodesic", "letter": {"name": "mixture"}},
).on(SPACE)
OBJECTIVES = {"place": "flow_matching", "angle": "flow_matching", "letter": "cross_entropy"}


def batch(n=16, condition=None):
    rows = Rows(0, "test", 0, range(n))
    uniform = {k: s for k, s in PARTS.items() if k != "place"}
    parts = {
        k: s.uniform(rows, SPACE.shapes[k], torch.float64).double() for k, s in uniform.items()
    }
    x1 = SPACE.join({"place": rows.normal((2,), torch.float64), **parts})
    x0 = PATH.noise().sample(rows, (10,), dtype=torch.float64)
    z = PATH.bridge().sample(rows, (10,), dtype=torch.float64)
    t = torch.linspace(0.05, 0.95, n, dtype=torch.float64)
    return Batch(PATH, x0, x1, z, condition, {"t": t})


def output(x, t, until=None):
    """A network's output: some numbers of the right shape."""
    weights = Rows(3, "weights", 0, range(10)).normal((25,), torch.float64)
    return (x @ weights).sin()


def test_a_row_splits_into_its_parts_and_joins_again():
    b = batch()
    parts = SPACE.split(b.x1)
    assert {k: tuple(v.shape) for k, v in parts.items()} == {
        "place": (16, 2),
        "angle": (16, 3),
        "letter": (16, 5),
    }
    assert torch.equal(SPACE.join(parts), b.x1)


def test_the_losses_are_those_of_the_parts_and_their_weights_are_apart():
    b = batch()
    parts = {name: create("objective", o) for name, o in OBJECTIVES.items()}
    whole = create("objective", "product", parts=OBJECTIVES, weights={"angle": 3.0})
    found = whole.losses(FunctionNet(output), PATH, b)
    assert tuple(found) == whole.loss_names
    sample = b.at(b.draws["t"])
    raw = output(sample.xt, sample.t)
    pieces = {"place": raw[:, :2], "angle": raw[:, 2:5], "letter": raw[:, 5:].view(16, 5, 4)}
    for name, objective in parts.items():
        own = Batch(
            PATH.parts[name],
            SPACE.split(b.x0)[name],
            SPACE.split(b.x1)[name],
            SPACE.split(b.z)[name] if name == "letter" else None,
            None,
            b.draws,
        )
        net = FunctionNet(lambda x, t, until, piece=pieces[name]: piece)
        (wanted,) = objective.losses(net, PATH.parts[name], own).values()
        (key,) = [k for k in found if k.startswith(f"{name}/")]
        torch.testing.assert_close(found[key], wanted)
        assert whole.loss_weights[key] == (3.0 if name == "angle" else 1.0)


class Fixed:
    """A field whose parts do not depend on one another."""

    def __call__(self, x, t, condition=None):
        raise AssertionError("a product with tokens has no velocity")

    def predict(self, x, t, condition=None, target="parts"):
        parts = SPACE.split(x)
        logits = torch.tensor([0.3, -1.0, 0.2, 0.8], dtype=x.dtype).expand(len(x), 5, 4)
        found = {"place": -parts["place"], "angle": parts["angle"].cos(), "letter": logits}
        return PATH.join_prediction(found)


def test_parts_that_are_apart_move_as_by_themselves():
    b = batch()
    joint = SPACE.split(Leap(steps=8).solve(Problem(Fixed(), b.x0, path=PATH)).x)
    angle = SPACE.split(b.x0)["angle"]
    alone = create("solver", "euler", steps=8).solve(
        Problem(lambda x, t: x.cos(), angle, path=PATH.parts["angle"])
    )
    torch.testing.assert_close(joint["angle"], alone.x)
    place = create("solver", "euler", steps=8).solve(
        Problem(lambda x, t: -x, SPACE.split(b.x0)["place"], path=PATH.parts["place"])
    )
    torch.testing.assert_close(joint["place"], place.x)
    assert float(joint["letter"].max()) < 4


def test_frozen_elements_stay_and_have_no_loss():
    frozen = torch.zeros(16, 10, dtype=torch.bool)
    frozen[:, :5] = True
    b = batch(condition={"frozen": frozen})
    xt = b.at(b.draws["t"]).xt
    assert torch.equal(xt[:, :5], b.x1[:, :5])
    whole = create("objective", "product", parts=OBJECTIVES)
    losses = whole.losses(FunctionNet(output), PATH, b)
    assert float(losses["place/regression"].abs().max()) == 0
    assert float(losses["angle/regression"].abs().max()) == 0
    assert float(losses["letter/cross_entropy"].max()) > 0
    start = torch.where(frozen, b.x1, b.x0)
    problem = Problem(Fixed(), start, path=PATH, condition={"frozen": frozen})
    assert torch.equal(Leap(steps=4).solve(problem).x[:, :5], b.x1[:, :5])


def test_parts_that_do_not_fit_are_refused_by_name():
    cases = [
        ({"place": "geodesic", "angle": "geodesic"}, "no path for the part 'letter'"),
        (
            {"place": "geodesic", "angle": "mixture", "letter": "mixture"},
            "part 'angle': path 'mixture' needs tokens",
        ),
        (
            {"place": "geodesic", "angel": "geodesic", "letter": "mixture"},
            "no part 'angel'; did you mean 'angle'",
        ),
    ]
    for parts, text in cases:
        with pytest.raises(ComponentError, match=text):
            create("path", "product", parts=parts).on(SPACE)
    wrong = create("objective", "product", parts={**OBJECTIVES, "letter": "flow_matching"})
    with pytest.raises(ComponentError, match="part 'letter': FlowMatching does not train"):
        wrong.check(PATH)
    with pytest.raises(ComponentError, match="weights names no part: 'leter'"):
        create("objective", "product", parts=OBJECTIVES, weights={"leter": 1.0})


def test_another_schedule_goes_the_same_way():
    from fmcore.flow.reschedule import ChangedKappa

    torus = PARTS["angle"]
    old = create("path", "geodesic").on(torus)
    new = create("path", "geodesic", schedule="exponential").on(torus)
    goal = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)

    class Trained:
        path, forwards, model = old, 0, None

        def predict(self, x, t, condition=None, target="velocity"):
            return old.convert(goal.expand_as(x), x, t, source="data", target=target)

    x = torus.uniform(Rows(0, "x", 0, range(9)), (3,), torch.float64)
    t = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    found = ChangedKappa(Trained(), new).predict(x, t)
    wanted = new.convert(goal.expand_as(x), x, t, source="data", target="velocity")
    # near t = 1 the trained path divides by the least 1 - kappa
    torch.testing.assert_close(found[:6], wanted[:6], atol=1e-6, rtol=1e-6)
    with pytest.raises(ComponentError, match="change only the schedule"):
        ChangedKappa(Trained(), create("path", "geodesic", source="wrapped_normal").on(torus))


# Faults of the code that was published with PPFlow, each against the law or number it breaks.


def test_an_unwrapped_target_is_longer_than_the_way():
    torus = PARTS["angle"]
    x0, x1 = torch.tensor([[3.0]]), torch.tensor([[-3.0]])
    right = create("path", "geodesic").on(torus).sample(x0, x1, torch.tensor([0.5])).ut
    assert abs(float(right)) == pytest.approx(float(torus.squared_distance(x0, x1).sqrt()))
    assert abs(float(x1 - x0)) > 20 * abs(float(right))
    assert float(wrap(x1 - x0)) == pytest.approx(float(right))


def test_a_softmax_read_as_a_velocity_draws_wrong_residues():
    # dx/dt = p from a one-hot start: the mass ends at 2, and a perfect network is right only in
    # about half of the draws; leap draws from p itself
    start = torch.eye(20, dtype=torch.float64)  # every start, equally likely
    right = torch.zeros(20, dtype=torch.float64)
    right[7] = 1
    end = start + right
    assert torch.equal(end.sum(1), torch.full((20,), 2.0, dtype=torch.float64))
    assert float((end / end.sum(1, keepdim=True))[:, 7].mean()) == pytest.approx(0.525)

    class Perfect:
        def __call__(self, x, t, condition=None):
            raise AssertionError("tokens have no velocity")

        def predict(self, x, t, condition=None, target="posterior"):
            return 60 * right.expand(*x.shape, 20)

    path = create("path", "mixture", source="uniform").on(Tokens(20))
    x0 = Tokens(20).uniform(Rows(0, "x", 0, range(200)), (8,), torch.float64)
    assert bool((Leap(steps=5).solve(Problem(Perfect(), x0, path=path)).x == 7).all())


def test_uniform_residues_have_all_kinds():
    # the published code draws the first residues from 0 .. 18 of 20
    x = Tokens(20).uniform(Rows(0, "x", 0, range(400)), (8,), torch.float32)
    assert set(x.flatten().long().tolist()) == set(range(20))


def test_a_field_evaluated_at_the_end_of_its_step_is_another_flow():
    # dx/dt = 3 t^2 x from 1: exact at the left ends to first order, off to the other side at right
    steps, x = 10, [1.0, 1.0]
    for k in range(steps):
        for which, t in enumerate((k / steps, (k + 1) / steps)):
            x[which] *= 1 + 3 * t**2 / steps
    euler = create("solver", "euler", steps=steps).solve(
        Problem(lambda x, t: 3 * t[:, None] ** 2 * x, torch.ones(1, 1, dtype=torch.float64))
    )
    assert float(euler.x) == pytest.approx(x[0])
    assert x[1] > math.e > x[0]

"""Consistency of a flow's ends, against flows that are known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor

from fmcore import Batch, ComponentError, RunOption, create
from fmcore.testing.stub_net import FunctionNet

WIDTH = 0.3  # of the data N(0, WIDTH^2), along the straight path from N(0, 1)
Function = Callable[[Tensor, Tensor], Tensor]


def sigma(t: Tensor) -> Tensor:
    return ((1 - t) ** 2 + (WIDTH * t) ** 2).sqrt()


def velocity(x: Tensor, t: Tensor) -> Tensor:
    """The marginal velocity between the two Gaussians."""
    return ((t * WIDTH**2 - (1 - t)) / sigma(t) ** 2)[:, None] * x


def average(segments: int) -> Function:
    """The average velocity of that flow from t to the end of its segment: x sigma(t) / sigma(s) is
    the state at t of the trajectory through x at s.
    """

    def function(x: Tensor, t: Tensor) -> Tensor:
        end = ((t * segments).floor().clamp(max=segments - 1) + 1) / segments
        # at the end itself the weight of the velocity is 0
        length = (end - t).clamp_min(1e-12)
        return ((sigma(end) / sigma(t) - 1) / length)[:, None] * x

    return function


@dataclass
class Teacher:
    """The exact flow as another run's field; remembers whether it was called with gradients."""

    with_gradient: list[bool] = field(default_factory=list)

    def __call__(self, x: Tensor, t: Tensor, condition: object = None) -> Tensor:
        self.with_gradient.append(torch.is_grad_enabled())
        return velocity(x, t)


@dataclass(frozen=True)
class Net:
    """A network with a teacher; `average` gives the values of the moving average."""

    function: Function
    named: Teacher = field(default_factory=Teacher)
    average: Function | None = None

    def __call__(self, x: Tensor, t: Tensor, *, until: Tensor | None = None) -> Tensor:
        return self.function(x, t)

    def averaged(self) -> Net:
        return replace(self, function=self.average or self.function)

    def teacher(self, name: str) -> Teacher:
        assert name == "teacher"
        return self.named


def straight_batch(n: int = 64, *, one_point: bool = False) -> Batch:
    path = create("path", "linear")
    g = torch.Generator().manual_seed(0)
    x0 = torch.randn(n, 2, generator=g, dtype=torch.float64)
    x1 = torch.full_like(x0, 1.5) if one_point else WIDTH * torch.randn(n, 2, generator=g).double()
    t = torch.rand(n, generator=g, dtype=torch.float64)
    return Batch(path, x0, x1, draws={"t": t})


def losses(objective, net, batch) -> tuple[Tensor, Tensor]:
    found = objective.losses(net, batch.path, batch)
    return found["consistency"], found["velocity"]


@pytest.mark.parametrize("segments", [1, 3])
@pytest.mark.parametrize("dt", [0.01, 0.4])
def test_the_exact_straight_flow_to_one_point_has_no_loss(segments, dt):
    objective = create("objective", "consistency", segments=segments, dt=dt, weight=1.0)
    batch = straight_batch(one_point=True)
    net = Net(lambda x, t: (1.5 - x) / (1 - t)[:, None].clamp_min(1e-12))
    for loss in losses(objective, net, batch):
        assert loss.max() < 1e-20


@pytest.mark.parametrize("segments", [1, 4])
def test_the_exact_average_velocity_has_no_loss_under_a_teacher(segments):
    """Up to the midpoint step's error, which is of third order in dt."""
    options = {"teacher": RunOption("unused"), "segments": segments}
    worst = [
        losses(create("objective", "consistency", dt=dt, **options), Net(average(segments)), batch)[
            0
        ].max()
        for batch in [straight_batch()]
        for dt in (0.02, 0.01)
    ]
    assert worst[0] < 1e-7
    # the square of an error of third order falls by 64 at least when dt is halved
    assert worst[0] / worst[1] > 50


def test_the_velocity_itself_is_not_consistent_where_trajectories_are_curved():
    objective = create("objective", "consistency", teacher=RunOption("unused"), dt=0.05)
    consistency, _ = losses(objective, Net(velocity), straight_batch())
    assert consistency.mean() > 1e-4


def test_the_terms_at_the_later_time_carry_no_gradient_and_are_of_the_average():
    """With v = a x and the average's v = b x, the loss is (1 + (1 - t) a) x - f_b(s) squared."""
    objective = create("objective", "consistency", dt=0.1, weight=2.0)
    a = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    batch = straight_batch()
    net = Net(lambda x, t: a * x, average=lambda x, t: -0.3 * x)
    consistency, apart = losses(objective, net, batch)
    t = batch.draws["t"]
    s = (t + 0.1).clamp(max=1)
    xt, xs = batch.at(t).xt, batch.at(s).xt
    goal = xs + (1 - s)[:, None] * -0.3 * xs
    error = xt + (1 - t)[:, None] * 0.5 * xt - goal
    torch.testing.assert_close(consistency.detach(), error.square().mean(1))
    inside = (s < 1)[:, None]
    torch.testing.assert_close(
        apart.detach(), 2 * (inside * (0.5 * xt + 0.3 * xs).square()).mean(1)
    )
    (gradient,) = torch.autograd.grad(consistency.sum(), a)
    expected = (2 * error * (1 - t)[:, None] * xt).mean(1).sum()
    torch.testing.assert_close(gradient, expected)


def test_target_network_takes_the_later_values_from_the_network():
    objective = create("objective", "consistency", target="network")
    net = Net(lambda x, t: x, average=lambda x, t: torch.full_like(x, torch.nan))
    assert losses(objective, net, straight_batch())[0].isfinite().all()


def test_the_teacher_is_followed_by_a_midpoint_step_without_gradient():
    objective = create("objective", "consistency", teacher=RunOption("unused"))
    net = Net(average(1))
    losses(objective, net, straight_batch())
    assert net.named.with_gradient == [False, False]


def test_a_bridge_is_refused():
    objective = create("objective", "consistency")
    with pytest.raises(ComponentError, match="which a bridge such as BrownianBridge makes random"):
        objective.check(create("path", "brownian_bridge"))


def test_a_step_never_leaves_its_segment():
    """With a network that gives the distance to the end, f is the segment's end in time."""
    objective = create("objective", "consistency", segments=4, dt=0.9, target="network")
    path = create("path", "linear")
    t = torch.tensor([0.0, 0.2499, 0.25, 0.7, 0.99999], dtype=torch.float64)
    ends = objective.end_of_segment(path, t)
    torch.testing.assert_close(
        ends, torch.tensor([0.25, 0.25, 0.5, 0.75, 1.0], dtype=torch.float64)
    )
    # dt covers the segment: the goal is the path's point at its end
    batch = replace(straight_batch(5), draws={"t": t})
    consistency, apart = losses(objective, FunctionNet(lambda x, t, s: 0 * x), batch)
    goal = batch.at(ends).xt
    torch.testing.assert_close(consistency, (batch.at(t).xt - goal).square().mean(1))
    assert apart.max() == 0

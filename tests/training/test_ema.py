"""The moving average against its recursion, written out."""

import torch
from torch import nn

from fmcore.training.ema import Exponential, MovingAverage


def test_the_average_follows_its_recursion_in_closed_form():
    model = nn.Linear(3, 2).double()
    average = MovingAverage(model, Exponential(0.9))
    expected = model.weight.detach().clone().float()
    for step in range(1, 30):
        with torch.no_grad():
            model.weight.copy_(torch.full_like(model.weight, float(step)))
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    torch.testing.assert_close(average.state()["weight"], expected)


def test_buffers_that_are_not_floating_point_are_carried_along():
    model = nn.BatchNorm1d(2)
    average = MovingAverage(model, Exponential(0.5))
    model.train()(torch.randn(4, 2, generator=torch.Generator().manual_seed(0)))
    average.update(1)
    assert average.state()["num_batches_tracked"] == 1


def test_an_average_goes_on_from_what_was_saved():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.load_state_dict(first.state_dict())
    saved = MovingAverage(first, Exponential(0.9))
    saved.update(5)
    fresh = MovingAverage(second, Exponential(0.9))
    fresh.load(saved.state())
    for name, value in saved.state().items():
        assert torch.equal(value, fresh.state()[name])

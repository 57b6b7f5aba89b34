"""Checks of the laws of `OptimizerFactory`, on one optimizer."""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn

from fmcore.errors import ComponentError
from fmcore.interfaces.optimizer import OptimizerFactory
from fmcore.testing.checks import generator, require, require_equal, untouched_randomness
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite
from fmcore.training.optimizers import Optimizers

__all__ = ["OptimizerSuite"]

PULLS = (1.0, 1.0, -0.05)
"""Small gradients against the momentum: momentum that is lost at a resume must matter, also to
optimizers that use its sign alone."""


class OptimizerSuite(ComponentChecks, Suite):
    """Override `component()` to build the optimizer; `lr` if it needs another learning rate.

    It minimises a convex function of the parameters of a small network: an embedding, matrices,
    convolutions, biases and a scalar.
    """

    interface = OptimizerFactory
    lr: float = 0.01

    def network(self) -> nn.Module:
        """Return the network, with the same weights at each call."""
        network = _Network()
        g = generator(1)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=g))
        return network

    def test_every_parameter_is_in_exactly_one_group(self) -> None:
        """The groups of all optimizers together hold each parameter once."""
        network = self.network()
        named = dict(network.named_parameters())
        parts = self.component().build(tuple(named.items()))
        held = [id(p) for part in parts for group in part.param_groups for p in group["params"]]
        for name, parameter in named.items():
            count = held.count(id(parameter))
            require(count == 1, f"parameter '{name}' is in {count} groups, should be in 1")
        require(len(held) == len(named), "a group holds a parameter that the network does not have")

    def test_learning_rates_are_relative(self) -> None:
        """The `lr` of the groups are numbers, and the largest is 1: `train.lr` scales them."""
        parts = self.component().build(tuple(self.network().named_parameters()))
        rates = [group["lr"] for part in parts for group in part.param_groups]
        numbers = all(isinstance(rate, int | float) for rate in rates)
        require(numbers and max(rates) == 1, f"the groups have lr {rates}; the largest should be 1")

    def test_a_step_with_lr_0_changes_nothing(self) -> None:
        """The learning rate of a step is that in the groups: with 0, weights stay."""
        network = self.network()
        before = [p.detach().clone() for p in network.parameters()]
        self._train(network, self._optimizers(network), range(2), lr=0.0)
        for (name, parameter), old in zip(network.named_parameters(), before, strict=True):
            require_equal(parameter.detach(), old, f"'{name}' after two steps with lr 0")

    def test_steps_lower_a_convex_function(self) -> None:
        """50 steps lower a convex function of the parameters, on average over each of them."""
        network = self.network()
        before = _distances(network)
        self._train(network, self._optimizers(network), range(50), self.lr)
        for name, distance in _distances(network).items():
            require(
                distance < before[name],
                f"the function of '{name}' is {distance:.4g} after 50 steps with lr {self.lr}, "
                f"and was {before[name]:.4g}",
            )

    def test_a_resumed_training_has_the_same_bits(self) -> None:
        """Steps, a checkpoint, and steps of a new optimizer with the checkpoint's state give the
        bits of a training without a break."""
        straight, first, second = self.network(), self.network(), self.network()
        self._train(straight, self._optimizers(straight), range(9), pulls=PULLS)
        begun = self._optimizers(first)
        self._train(first, begun, range(5), pulls=PULLS)
        tensors, facts = begun.state()
        second.load_state_dict(first.state_dict())
        resumed = self._optimizers(second)
        saved = {name: tensor.clone() for name, tensor in tensors.items()}
        resumed.restore(saved, json.loads(json.dumps(facts)), "the checkpoint")
        self._train(second, resumed, range(5, 9), pulls=PULLS)
        for (name, wanted), found in zip(
            straight.named_parameters(), second.parameters(), strict=True
        ):
            require_equal(found.detach(), wanted.detach(), f"'{name}' of the resumed training")

    def test_its_state_can_be_saved(self) -> None:
        """The state of a parameter is tensors and numbers, that of a group numbers and text."""
        network = self.network()
        optimizers = self._optimizers(network)
        self._train(network, optimizers, range(2))
        try:
            optimizers.state()
        except ComponentError as error:
            raise AssertionError(str(error)) from error

    def test_steps_use_no_global_generator(self) -> None:
        """Building and stepping draw from no global generator."""
        network = self.network()
        with untouched_randomness("the optimizer"):
            self._train(network, self._optimizers(network), range(3))

    def _optimizers(self, network: nn.Module) -> Optimizers:
        return Optimizers(self.component(), network.named_parameters(), check=False)

    def _train(
        self,
        network: nn.Module,
        optimizers: Optimizers,
        steps: range,
        lr: float | None = None,
        pulls: tuple[float, ...] = (1.0,),
    ) -> None:
        """Take `steps` with exact gradients of the convex function, times `pulls` in turn."""
        for step in steps:
            pull = pulls[step % len(pulls)]
            for part in optimizers.parts:
                part.zero_grad()
            sum(pull * _distance(p) for p in network.parameters()).backward()  # type: ignore[union-attr]
            optimizers.set_lr(self.lr if lr is None else lr)
            for part in optimizers.parts:
                part.step()


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 8)
        self.layers = nn.Sequential(nn.Linear(8, 12), nn.Linear(12, 8))
        self.convolution = nn.Conv2d(3, 4, 3)
        self.scale = nn.Parameter(torch.ones(()))
        self.head = nn.Linear(8, 3)


def _distance(parameter: Tensor) -> Tensor:
    """The convex function: half the mean square of the distance to 2."""
    return 0.5 * (parameter - 2).square().mean()


def _distances(network: nn.Module) -> dict[str, float]:
    return {name: float(_distance(p.detach())) for name, p in network.named_parameters()}

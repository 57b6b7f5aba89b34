"""A masked toy with a joint encoder and an auxiliary loss: a row alone, at its own length, equals
the row padded in a batch, in training and in sampling; likelihoods are refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fmcore import ComponentError, Field, Prepared, Problem, VectorField, create, log_prob
from fmcore.flow.field import prepared
from fmcore.training.step import Step

LENGTH, LENGTHS = 6, (6, 2, 5, 3)
PATH = create("path", "linear")


class Joint(VectorField):
    """Encodes tokens, with a loss of the code against x1, and attends to the elements that exist.

    `Step` calls `prepare` with gradients: encoder and network are trained together.
    """

    loss_names = ("match",)
    reads = frozenset({"mask", "text"})

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(5, 4)
        self.encoder = nn.Linear(4, 4)
        self.guess = nn.Linear(4, 2)
        self.inner = nn.Linear(2 + 4 + 1, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.outer = nn.Linear(8, 2)

    def prepare(self, condition, x1=None):
        mask = condition["mask"]
        code = self.encoder(self.tokens(condition["text"])).tanh()
        losses = {}
        if x1 is not None:
            error = (self.guess(code).mT - x1).square().mean(1, keepdim=True)
            losses = {"match": self.mean(error, mask)}
        return Prepared({"mask": mask, "code": code}, losses)

    def mean(self, error, mask):
        return (error * mask).sum((1, 2)) / mask.sum((1, 2))

    def forward(self, x, t, condition=None):
        code, mask = condition["code"], condition["mask"]
        time = t[:, None, None].expand(*code.shape[:2], 1)
        hidden = self.inner(torch.cat([self.seen(x, mask).mT, code, time], 2)).tanh()
        padding = mask[:, 0] == 0
        mixed, _ = self.attention(hidden, hidden, hidden, key_padding_mask=padding)
        return self.outer(hidden + mixed).mT

    def seen(self, x, mask):
        return x


class NormalisesOverPadding(Joint):
    def seen(self, x, mask):
        return x / x.square().mean((1, 2), keepdim=True).add(1e-3).sqrt()


class AveragesOverThePaddedLength(Joint):
    def mean(self, error, mask):
        return (error * mask).mean((1, 2))


def built(model: type[Joint]) -> Joint:
    torch.manual_seed(0)
    return model()


def batch(row: int | None = None) -> tuple[torch.Tensor, ...]:
    """x0, x1, t and the condition of four padded rows, or of one row at its own length."""
    g = torch.Generator().manual_seed(1)
    mask = (torch.arange(LENGTH) < torch.tensor(LENGTHS)[:, None, None]).float()
    x0, x1 = (torch.randn(4, 2, LENGTH, generator=g) * mask for _ in range(2))
    t, text = torch.rand(4, generator=g), torch.randint(5, (4, LENGTH), generator=g)
    if row is None:
        return x0, x1, t, {"mask": mask, "text": text}
    one, n = slice(row, row + 1), LENGTHS[row]
    condition = {"mask": mask[one, :, :n], "text": text[one, :n]}
    return x0[one, :, :n], x1[one, :, :n], t[one], condition


def trained(model: type[Joint], row: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean losses of a step, and the gradient of their sum by the encoder."""
    network = built(model)
    step = Step(network, create("objective", "flow_matching"), PATH)
    x0, x1, t, condition = batch(row)
    loss, means = step(x0, x1, None, condition, {"t": t})
    loss.backward()
    return means, network.encoder.weight.grad


def sampled(model: type[Joint], solver: str, row: int | None = None) -> torch.Tensor:
    field = Field(built(model).eval(), PATH, create("objective", "flow_matching"))
    x0, _, _, condition = batch(row)
    problem = Problem(field, x0, path=PATH, condition=prepared(field, condition))
    with torch.no_grad():
        return create("solver", solver).solve(problem).x


def training_differs(model: type[Joint]) -> list[str]:
    """What differs by more than 1e-5 between rows alone and together."""
    means, gradient = trained(model)
    alone = [trained(model, row) for row in range(4)]
    found = [
        ("flow matching", means[0], sum(m[0] for m, _ in alone) / 4),
        ("match", means[1], sum(m[1] for m, _ in alone) / 4),
        ("gradient", gradient, sum(g for _, g in alone) / 4),
    ]
    return [name for name, a, b in found if not torch.allclose(a, b, rtol=1e-5, atol=1e-5)]


def test_rows_alone_equal_rows_in_batches_in_training():
    assert training_differs(Joint) == []
    assert training_differs(NormalisesOverPadding) == ["flow matching", "gradient"]
    assert training_differs(AveragesOverThePaddedLength) == ["match", "gradient"]


@pytest.mark.parametrize("solver", ["dopri5", "midpoint"])
def test_rows_alone_equal_rows_in_batches_in_sampling(solver):
    together = sampled(Joint, solver)
    for row, length in enumerate(LENGTHS):
        alone = sampled(Joint, solver, row)
        assert torch.allclose(together[row, :, :length], alone[0], rtol=1e-5, atol=1e-5)
        assert not together[row, :, length:].any()
    wrong = sampled(NormalisesOverPadding, solver)
    assert not torch.allclose(
        wrong[1, :, :2], sampled(NormalisesOverPadding, solver, 1)[0], atol=1e-3
    )


def test_likelihoods_of_masked_rows_are_refused_with_the_part_named():
    field = Field(built(Joint).eval(), PATH, create("objective", "flow_matching"))
    _, x1, _, condition = batch()
    with pytest.raises(ComponentError, match="a mask in the condition gives each row a dimension"):
        log_prob(field, x1, path=PATH, condition=condition)


@pytest.mark.parametrize("metric", ["nll", "bits_per_dim"])
def test_likelihoods_of_data_with_a_mask_are_refused_before_training(metric):
    from fmcore import ConditionSpec
    from fmcore.testing.stub_data import Pictures, Points

    kind = Points if metric == "nll" else Pictures

    class Masked(kind):
        @property
        def entries(self):
            return {"mask": ConditionSpec((2,))}

    with pytest.raises(ComponentError, match=f"{metric}: the entry 'mask' of dataset Masked"):
        create("metric", metric).check(Masked(), PATH)

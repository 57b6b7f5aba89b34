"""Classifier-free guidance of posteriors of tokens is linear in log-probabilities."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fmcore import Field, Guided, Problem, Tokens, VectorField, create
from fmcore_spaces.leap import Leap

STRONG = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
WEAK = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
N = 40_000


class TwoPosteriors(VectorField):
    """Logits of STRONG under the label 0 and of WEAK under the null label, with another constant
    added to each.
    """

    classes = 1

    def __init__(self) -> None:
        super().__init__()
        self.none = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, x, t, condition=None):
        chosen = torch.where((condition["label"] == 0)[:, None], STRONG.log() + 7, WEAK.log() - 2)
        return chosen[:, None].expand(*x.shape, 3)


def guided(scale, source="uniform", interval=(0.0, 1.0)):
    path = create("path", "mixture", source=source).on(Tokens(3, mask=source == "mask"))
    field = Field(TwoPosteriors(), path, create("objective", "cross_entropy"))
    return Guided(field, create("guidance", "cfg", scale=scale, interval=interval))


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0, 3.0])
def test_a_guided_posterior_is_a_product_of_powers(scale):
    x, t = torch.zeros(2, 4).double(), torch.full((2,), 0.3)
    found = guided(scale).predict(x, t, {"label": torch.zeros(2).long()}, "posterior").softmax(-1)
    wanted = STRONG**scale * WEAK ** (1 - scale)
    torch.testing.assert_close(found, (wanted / wanted.sum()).expand(2, 4, 3))


def test_known_tokens_stay_known_under_guidance():
    x, t = torch.tensor([[1.0, 3.0]]).double(), torch.full((1,), 0.3)
    found = guided(2.5, "mask").predict(x, t, {"label": torch.zeros(1).long()}, "posterior")
    torch.testing.assert_close(found.softmax(-1)[0, 0], torch.tensor([0.0, 1.0, 0.0]).double())


def test_outside_its_interval_a_posterior_is_that_of_the_label():
    field = guided(2.0, interval=(0.5, 1.0))
    x, t = torch.zeros(2, 1).double(), torch.tensor([0.3, 0.7])
    found = field.predict(x, t, {"label": torch.zeros(2).long()}, "posterior").softmax(-1)[:, 0]
    wanted = STRONG**2 / WEAK
    torch.testing.assert_close(found, torch.stack([STRONG, wanted / wanted.sum()]))


def test_leap_draws_the_guided_posterior():
    field = guided(2.0, "mask")
    problem = Problem(
        field,
        torch.full((N, 1), 3.0),
        path=field.path,
        condition={"label": torch.zeros(N).long()},
    )
    drawn = torch.bincount(Leap(steps=4).solve(problem).x.long().flatten(), minlength=3) / N
    wanted = STRONG**2 / WEAK
    assert float((drawn - wanted / wanted.sum()).abs().sum() / 2) < 0.01

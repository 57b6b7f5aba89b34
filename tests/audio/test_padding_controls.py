"""Networks with the two errors of padding in the released Matcha-TTS fail the padding law of the
kit, and no other."""

from typing import ClassVar

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fmcore import ConditionSpec, VectorField
from fmcore.testing import ModelSuite
from fmcore.testing.suite import run_suite
from fmcore_audio.matcha import masked_group_norm

SHAPE = (4, 12)
LAW = "test_padding_does_not_matter"


class Masked(VectorField):
    """A convolution, group normalisation and attention over the frames that exist."""

    reads = frozenset({"mask"})

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv1d(SHAPE[0], 8, 3, padding=1)
        self.time = nn.Linear(1, 8)
        self.values = nn.Conv1d(8, 24, 1)
        self.outer = nn.Conv1d(8, SHAPE[0], 1)

    def forward(self, x, t, condition=None):
        mask = torch.ones_like(x[:, :1])
        if condition is not None and "mask" in condition:
            mask = condition["mask"].to(x.dtype)
        hidden = self.inner(x * mask) + self.time(t[:, None])[:, :, None]
        hidden = self.normalised(hidden * mask, mask)
        query, key, value = self.values(hidden).mT.chunk(3, -1)
        bias = self.bias(mask).to(query.dtype)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.outer(hidden + found.mT) * mask

    def normalised(self, hidden, mask):
        return masked_group_norm(hidden, mask, 2)

    def bias(self, mask):
        return torch.where(mask > 0, 0.0, float("-inf"))


class NormalisesOverPadding(Masked):
    def normalised(self, hidden, mask):
        return F.group_norm(hidden, 2)


class AddsTheMask(Masked):
    def bias(self, mask):
        return mask


@pytest.mark.parametrize(
    ("model", "failed"),
    [(Masked, set()), (NormalisesOverPadding, {LAW}), (AddsTheMask, {LAW})],
)
def test_an_error_of_padding_fails_the_padding_law_and_no_other(model, failed):
    class Padded(ModelSuite):
        shape = SHAPE
        entries: ClassVar = {"mask": ConditionSpec((1, SHAPE[-1]))}

        def component(self):
            return model()

    results = {result.name: result for result in run_suite(Padded)}
    assert {name for name, result in results.items() if not result.passed} == failed
    assert "padded from" in results[LAW].message or not failed

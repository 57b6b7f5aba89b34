"""The built-in data and networks of spaces pass their suites; metrics of tokens count right."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fmcore import Evaluation, MetricBatch, Tokens, create
from fmcore.testing import DatasetSuite, ModelSuite
from fmcore_spaces.digits_tokens import DigitsTokens
from fmcore_spaces.rotations import Rotations
from fmcore_spaces.words import DEFAULT, LETTERS, Words


class TestRotations(DatasetSuite):
    def component(self):
        return Rotations(count=200)


class TestDigitsTokens(DatasetSuite):
    def component(self):
        return DigitsTokens()


class TestWords(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _list(self, tmp_path_factory):
        self.file = tmp_path_factory.mktemp("words") / "words.txt"
        consonants, vowels = "bcdfghklmnprst", "aeiou"
        words = [a + b + c for a in consonants for b in vowels for c in consonants]
        self.file.write_text("\n".join([*words, "It's", "ab", "toolongaword"]))

    def component(self):
        return Words(root=self.file)


@pytest.mark.skipif(not DEFAULT.exists(), reason="needs Debian's wamerican")
def test_the_default_list_has_its_words():
    train, test = Words(), Words(split="test")
    assert train.length + test.length == 35_577
    word = "".join(LETTERS[int(i)] for i in train.batch([0])["x1"][0])
    assert word.strip().isalpha()


class TestAirports(DatasetSuite):
    def component(self):
        pytest.importorskip("airportsdata")
        return create("data", "airports")


class TestSequenceOfAngles(ModelSuite):
    shape = (6,)

    def component(self):
        return create("model", "sequence", shape=(6,), width=32, depth=2, space={"name": "torus"})


class TestMLPOfAngles(ModelSuite):
    shape = (2,)

    def component(self):
        return create(
            "model",
            "mlp",
            shape=(2,),
            width=32,
            depth=3,
            octaves=2,
            residual=True,
            space={"name": "torus"},
        )


@pytest.mark.parametrize("name", ["mlp", "sequence"])
def test_networks_of_tokens_give_logits_and_read_every_token(name):
    torch.manual_seed(0)
    space = Tokens(5, mask=True)
    options = {"shape": (7,), "width": 32, "depth": 2, "space": space, "output_shape": (7, 5)}
    net = create("model", name, **options)
    x = torch.arange(7.0).remainder(6).expand(2, 7).clone()
    first = net(x, torch.tensor([0.2, 0.2]))
    assert first.shape == (2, 7, 5)
    x[1, 3] = 5
    assert not torch.allclose(net(x, torch.tensor([0.2, 0.2]))[1], first[1])


def test_ngram_validity_counts_n_grams_of_the_training_split(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("\n".join(["cat", "dog", "cow", "hen", "ant", "bee", "owl", "fox", "rat"]))
    data = Words(root=file)
    metric = create("metric", "ngram_validity", n=8)
    path = create("path", "mixture").on(data.space)
    metric.begin(Evaluation(data, data, path, None, 0, 8, Path(tmp_path)))
    known = data.batch([0, 1])["x1"].float()
    wrong = torch.zeros(2, 8)  # aaaaaaaa
    metric.update(MetricBatch(torch.arange(4), torch.cat([known, wrong]), None))
    assert metric.compute()["ngram_validity"].value == 0.5


def test_token_bound_of_a_network_without_knowledge_is_the_logarithm(tmp_path):
    # uniform logits and a mask source: every masked token costs log2 of 17 states
    from fmcore import Field

    data = DigitsTokens(split="test")
    path = create("path", "mixture", source="mask").on(data.space)
    objective = create("objective", "cross_entropy")

    class Nothing(torch.nn.Module):
        span, reads = False, frozenset()

        def prepare(self, condition, x1=None):
            from fmcore import Prepared

            return Prepared(condition)

        def forward(self, x, t, condition=None):
            return torch.zeros(*x.shape, 17)

    field = Field(Nothing(), path, objective)
    metric = create("metric", "token_bound", times=64)
    metric.begin(Evaluation(data, data, path, field, 0, 8, Path(tmp_path)))
    rows = data.batch(range(64))
    metric.update(MetricBatch(torch.arange(64), rows["x1"], None))
    found = metric.compute()["token_bound"]
    assert abs(found.value - 4.0875) < 5 * found.error
    assert found.details["perplexity_bound"] == pytest.approx(2**found.value)

"""The sources conform, and the prior of a path is its scaled source."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from fmcore import ComponentError, Dataset, Rows, create
from fmcore.interfaces.gaussian import Scaled
from fmcore.testing import SourceSuite


def rows(n):
    return Rows(0, "test", 0, range(n))


class TestGaussian(SourceSuite):
    def component(self):
        return create("source", "gaussian")


class TestGaussianAtATemperature(SourceSuite):
    def component(self):
        return create("source", "gaussian", temperature=0.6)


class TestScaled(SourceSuite):
    def component(self):
        return Scaled(create("source", "gaussian"), 50.0)


class TestFromCondition(SourceSuite):
    def component(self):
        return create("source", "from_condition", key="low", scale=0.3)

    def condition(self, n, shape):
        g = torch.Generator().manual_seed(7)
        return {"low": torch.randn((n, *shape), generator=g)}


class TestFromData(SourceSuite):
    shape = (2,)

    def component(self):
        return create("source", "from_data", data={"name": "toy", "count": 500})


def test_from_condition_is_noise_around_the_condition():
    low = torch.full((2000, 3), 5.0)
    source = create("source", "from_condition", key="low", scale=0.5)
    x = source.sample(rows(2000), (3,), {"low": low})
    assert x.mean().item() == pytest.approx(5, abs=0.05)
    assert x.std().item() == pytest.approx(0.5, abs=0.02)


def test_from_condition_lists_the_conditions_of_the_data():
    source = create("source", "from_condition", key="low")
    with pytest.raises(ComponentError, match="needs the condition 'low'; the data give label"):
        source.sample(rows(2), (3,), {"label": torch.zeros(2)})
    with pytest.raises(ComponentError, match="the data give none"):
        source.sample(rows(2), (3,))
    with pytest.raises(ComponentError, match=r"has shape \(2, 4\), but x0 has \(2, 3\)"):
        source.sample(rows(2), (3,), {"low": torch.zeros(2, 4)})


@dataclass(frozen=True)
class Numbers(Dataset):
    shape = (1,)
    length = 5
    fingerprint = "0"

    def batch(self, indices):
        return {"x1": torch.tensor(indices, dtype=torch.float32)[:, None]}


def test_from_data_draws_examples():
    from fmcore_paths.from_data import FromData

    drawn = FromData(Numbers()).sample(rows(200), (1,))
    assert sorted(set(drawn.flatten().tolist())) == [0, 1, 2, 3, 4]


def test_from_data_draws_images_as_points():
    source = create("source", "from_data", data={"name": "digits"})
    drawn = source.sample(rows(4), (1, 8, 8))
    assert drawn.dtype == torch.float32
    assert -1 <= drawn.min() < drawn.max() <= 1
    with pytest.raises(ComponentError, match=r"have shape \(1, 8, 8\), but x0 has \(2,\)"):
        source.sample(rows(4), (2,))


def test_a_path_samples_its_prior_from_its_source():
    path = create(
        "path", "ve", source={"name": "from_condition", "key": "low", "scale": 1.0}, sigma_max=2.0
    )
    low = torch.full((4, 3), 7.0)
    noise = path.noise().sample(rows(4), (3,), {"low": low})
    prior = path.prior().sample(rows(4), (3,), {"low": low})
    torch.testing.assert_close(prior, 2 * noise)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_must_be_positive(temperature):
    with pytest.raises(ComponentError, match="temperature"):
        create("source", "gaussian", temperature=temperature)

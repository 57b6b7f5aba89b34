"""A model trained on one path and sampled along another."""

from __future__ import annotations

import pytest
import torch

from fmcore import (
    ChangedSchedule,
    ComponentError,
    Field,
    Gaussian,
    Problem,
    Rows,
    VectorField,
    create,
)

MEAN, SPREAD = 0.7, 0.4


class Exact(VectorField):
    """The marginal velocity of a path for data N(0.7, 0.4^2)."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def forward(self, x, t, condition=None):
        c = self.path.coefficients(t)
        alpha, sigma, d_alpha, d_sigma = (
            v[:, None] for v in (c.alpha, c.sigma, c.d_alpha, c.d_sigma)
        )
        variance = alpha**2 * SPREAD**2 + sigma**2
        slope = (alpha * d_alpha * SPREAD**2 + sigma * d_sigma) / variance
        return d_alpha * MEAN + slope * (x - alpha * MEAN)


def trained(path):
    return Field(Exact(path), path, create("objective", "flow_matching"))


# The noise levels of the new path must be among those of the trained one.
PAIRS = [
    ("ot", "linear"),
    ("linear", "cosine"),
    ("linear", "vp"),
    ("cosine", "linear"),
    ("vp", "cosine"),
    ("linear", "ve"),
    ("polynomial", "linear"),
]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_the_field_is_that_of_a_model_trained_on_the_new_path(old, new):
    old, new = create("path", old), create("path", new)
    field = ChangedSchedule(trained(old), new)
    t = new.t_min + (new.t_max - new.t_min) * torch.linspace(0.05, 0.95, 13, dtype=torch.float64)
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None]
    torch.testing.assert_close(field(x, t), Exact(new)(x, t), rtol=1e-6, atol=1e-6)
    direct = trained(new)
    for target in ("data", "noise", "score"):
        torch.testing.assert_close(
            field.predict(x, t, target=target),
            direct.predict(x, t, target=target),
            rtol=1e-5,
            atol=1e-5,
        )
    assert (field.nfe, field.forwards) == (1, 4)


@pytest.mark.parametrize(("old", "new"), [("vp", "linear"), ("linear", "vp"), ("ot", "ve")])
def test_samples_along_the_new_path_have_the_distribution_of_the_data(old, new):
    old, new = create("path", old), create("path", new)
    x0 = new.prior().sample(Rows(0, "test", 0, range(2048)), (1,), dtype=torch.float64)
    problem = Problem(field=ChangedSchedule(trained(old), new), x0=x0, path=new)
    x = create("solver", "rk4", steps=30).solve(problem).x
    assert x.isfinite().all()
    assert x.mean().item() == pytest.approx(MEAN, abs=0.03)
    assert x.std().item() == pytest.approx(SPREAD, abs=0.03)


def test_the_same_path_changes_nothing():
    path = create("path", "ot")
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    torch.testing.assert_close(ChangedSchedule(trained(path), path)(x, t), trained(path)(x, t))


def test_single_precision_stays_single():
    field = ChangedSchedule(trained(create("path", "linear")), create("path", "vp"))
    assert field(torch.zeros(3, 2), torch.full((3,), 0.5)).dtype == torch.float32


def test_paths_from_another_source_are_refused():
    warm = create("path", "vp", source=Gaussian(temperature=0.5))
    with pytest.raises(ComponentError, match="cannot be sampled from"):
        ChangedSchedule(trained(create("path", "linear")), warm)

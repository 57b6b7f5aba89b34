"""Guidance between two classes, on Gaussians whose blend is known."""

from __future__ import annotations

import pytest
import torch
from gaussian_flow import GaussianNet, field_of

from fmcore import ComponentError, Problem, VectorField, create

MEANS = torch.tensor([[1.0, 0.0], [-1.0, 2.0], [0.5, 0.5]], dtype=torch.float64)
COVARIANCE = torch.tensor([[0.5, 0.2], [0.2, 0.3]], dtype=torch.float64)


class Classes(VectorField):
    """The exact velocity of N(MEANS[label], COVARIANCE)."""

    reads = frozenset({"label"})

    def __init__(self, path):
        super().__init__()
        self.classes = len(MEANS)
        self.of = [GaussianNet(path, mean, COVARIANCE) for mean in MEANS]

    def forward(self, x, t, condition=None):
        every = torch.stack([net(x, t) for net in self.of])
        return every[condition["label"], torch.arange(len(x))]


def samples(own, **options):
    """Samples from the origin and the unit vectors: their mean, and a root of the covariance."""
    path = create("path", "linear")
    field = create("guidance", "blend", **options).wrap(field_of(Classes(path), path))
    x0 = torch.cat([torch.zeros(1, 2), torch.eye(2)]).double()
    condition = field.prepare({"label": torch.full((3,), own)})
    with torch.no_grad():
        solver = create("solver", "dopri5", rtol=1e-8, atol=1e-8)
        x = solver.solve(Problem(field, x0, path=path, condition=condition)).x
    steps = (x[1:] - x[0]).T
    return x[0], steps @ steps.T


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_mean_moves_between_the_classes_and_the_covariance_stays(weight):
    mean, covariance = samples(0, label=1, weight=weight)
    wanted = MEANS[0] + weight * (MEANS[1] - MEANS[0])
    torch.testing.assert_close(mean, wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(covariance, COVARIANCE, rtol=0, atol=1e-5)


def test_samples_without_a_label_and_classes_that_do_not_exist_are_refused():
    path = create("path", "linear")
    field = create("guidance", "blend", label=3).wrap(field_of(Classes(path), path))
    with pytest.raises(ComponentError, match=r"label 3 is not a class, 0 \.\. 2"):
        field.prepare({"label": torch.zeros(2, dtype=torch.long)})
    with pytest.raises(ComponentError, match=r"no label: train with model\.classes: auto"):
        field.prepare(None)


def test_the_other_class_may_have_a_name():
    data = create("data", "digits")
    assert create("guidance", "blend", label="seven").with_classes(data).label == 7
    with pytest.raises(ComponentError, match="no class 'sevn'; did you mean 'seven'"):
        create("guidance", "blend", label="sevn").with_classes(data)
    with pytest.raises(ComponentError, match=r"label 12 is not a class, 0 \.\. 9"):
        create("guidance", "blend", label=12).with_classes(data)
    path = create("path", "linear")
    field = create("guidance", "blend", label="seven").wrap(field_of(Classes(path), path))
    with pytest.raises(ComponentError, match=r"call with_classes\(data\) first"):
        field.prepare({"label": torch.zeros(2, dtype=torch.long)})

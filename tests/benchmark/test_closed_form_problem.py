"""Measured errors against independent computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fmcore import Rows, create
from fmcore.benchmark.axes import ComponentSpec
from fmcore.benchmark.cells import Setting
from fmcore.benchmark.closed_form_problem import ClosedFormProblem, mixture
from fmcore.benchmark.cost import errors
from fmcore.benchmark.instrument import CallCounter, SyncCounter
from fmcore.benchmark.reference import exact_endpoints
from fmcore.benchmark.solvers import benchmark
from fmcore.errors import ComponentError

SETTING = Setting("gaussian", 2, ComponentSpec("path", "linear"), 0, 16, 0, "float64")


def numpy_euler(steps: int, seed: int, samples: int) -> np.ndarray:
    """Per-sample errors of Euler on alpha = t, sigma = 1 - t to N((1.5, -0.5), 0.4^2 I)."""
    x = start = Rows(seed, "sample", 0, range(samples)).normal((2,), torch.float64).numpy()
    mean = np.array([1.5, -0.5])
    for t in np.arange(steps) / steps:
        rate = (t * 0.16 - (1 - t)) / (t * t * 0.16 + (1 - t) ** 2)
        x = x + (mean + rate * (x - t * mean)) / steps
    return np.sqrt(((x - (mean + 0.4 * start)) ** 2).mean(1))


def test_errors_of_euler_are_those_of_an_independent_euler(tmp_path):
    axes = ["problem=gaussian", "path=linear", "solver=euler", "nfe=8,32", "samples=16", "seed=3"]
    made = benchmark("closed-form", axes, out=tmp_path, repeats=1, quiet=True)
    for row in made.report.rows:
        off = numpy_euler(row["nfe"], 3, 16)
        assert row["error_rms"] == pytest.approx(np.sqrt((off**2).mean()), rel=1e-9)
        assert row["error_median"] == pytest.approx(np.median(off), rel=1e-9)
        assert row["error_max"] == pytest.approx(off.max(), rel=1e-9)
        counts = [row[c] for c in ("nfe_mean", "nfe_max", "calls", "forwards", "rejected")]
        assert counts == [row["nfe"]] * 4 + [0]
        assert (row["statuses"], row["calls_outside"]) == ("SUCCESS:16", 0)
        assert row["waits_per_nfe"] == 0


def test_fitted_orders_are_the_methods(tmp_path):
    axes = ["problem=gaussian", "path=cosine", "solver=euler,heun3,rk4", "nfe=72,144,288"]
    axes += ["samples=8", "grid=uniform"]
    made = benchmark("closed-form", axes, out=tmp_path, repeats=1, quiet=True)
    orders = {row["solver"]: row["order"] for row in made.report.rows}
    assert orders == pytest.approx({"euler": 1, "heun3": 3, "rk4": 4}, abs=0.15)


def test_the_integrated_reference_meets_the_exact_flow():
    path = create("path", "vp")
    one = mixture("gaussian", path, 3)
    twice = type(one)(path, [one.means[0]] * 2, [0.4] * 2)  # the same law, as a mixture
    x0 = torch.randn((3, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = exact_endpoints(twice, x0, quiet=True)
    assert torch.allclose(found, exact_endpoints(one, x0), rtol=0, atol=1e-10)


def test_planar_problems_are_padded_and_need_two_dimensions():
    path = create("path", "linear")
    flat, deep = mixture("eight_gaussians", path, 2), mixture("eight_gaussians", path, 4)
    x = torch.randn((5, 4), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = torch.full((5,), 0.6, dtype=torch.float64)
    assert torch.allclose(deep.velocity(x, t)[:, :2], flat.velocity(x[:, :2], t))
    with pytest.raises(ComponentError, match="needs dim=2 or more"):
        mixture("stiff_mix", path, 1)


def test_a_reference_is_computed_once_and_again_if_its_file_is_corrupt(tmp_path, monkeypatch):
    setting = Setting("stiff_mix", 2, ComponentSpec("path", "linear"), 0, 2, 0, "float64")
    problems = ClosedFormProblem(tmp_path, torch.device("cpu"), quiet=True)
    first = problems.task(setting).reference
    (file,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr("fmcore.benchmark.closed_form_problem.exact_endpoints", None)
        assert torch.equal(problems.task(setting).reference, first)
    file.write_bytes(file.read_bytes()[:50])
    torch.testing.assert_close(problems.task(setting).reference, first)


def test_batches_change_nothing_but_the_number_of_calls(tmp_path):
    axes = ["problem=gaussian", "solver=midpoint,dopri5", "nfe=8", "samples=10", "batch=10,4"]
    made = benchmark("closed-form", axes, out=tmp_path, repeats=1, quiet=True)
    whole, parts = ([r for r in made.report.rows if r["batch"] == size] for size in (10, 4))
    for one, other in zip(whole, parts, strict=True):
        assert one["error_max"] == pytest.approx(other["error_max"], rel=1e-6)
        assert one["nfe_mean"] == other["nfe_mean"]
        assert one["calls"] < other["calls"]


def test_errors_of_samples_that_are_not_finite_are_infinite():
    x = torch.tensor([[1.0, 2.0], [float("nan"), 0.0]])
    found = errors(x, torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64))
    assert found["error_max"] == found["error_rms"] == float("inf")


def test_instrumented_fields_count_calls_and_synchronizations():
    seen = CallCounter(lambda x, t: -x, 0.0, 0.5)
    for t in (0.0, 0.5, 0.6, -1e-9):
        seen(torch.zeros(3, 2), torch.full((3,), t, dtype=torch.float64))
    assert (seen.calls, seen.rows, seen.outside, seen.forwards) == (4, 12, 2, 4)

    def reads(x, t):
        float(t[0])
        return x

    synced = SyncCounter(reads)

    def solve():
        x = synced(torch.zeros(3, 2), torch.zeros(3))
        float(x[0, 0]), float(x[0, 1])

    assert synced.count(solve) == 2

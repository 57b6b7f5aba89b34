"""The two likelihood metrics with exactly known densities in place of the flow's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from fmcore import ComponentError, DataError, Status
from fmcore_metrics import log_likelihood
from fmcore_metrics.bits_per_dim import BitsPerDim
from fmcore_metrics.nll import NLL
from fmcore_solvers.euler import Euler

from .conftest import Evaluate, Pictures, Points, Stream, measured

SOLVER = Euler(steps=2)


@dataclass
class Density:
    """A replacement of `fmcore.log_prob` that records its arguments."""

    log_density: Callable[[Tensor], Tensor]
    calls: list[dict[str, Any]] = field(default_factory=list)
    status: int = 0

    def __call__(self, field: Any, x1: Tensor, **settings: Any) -> Any:
        self.calls.append({"field": field, "x1": x1, **settings})
        stats = SimpleNamespace(nfe=torch.full((len(x1),), 12))
        return SimpleNamespace(
            log_prob=self.log_density(x1),
            error=None,
            stats=stats,
            status=torch.full((len(x1),), self.status),
        )


Put = Callable[[Callable[[Tensor], Tensor]], Density]


@pytest.fixture
def density(monkeypatch: pytest.MonkeyPatch) -> Put:
    def put(log_density: Callable[[Tensor], Tensor]) -> Density:
        known = Density(log_density)
        monkeypatch.setattr(log_likelihood, "log_prob", known)
        return known

    return put


def uniform(x: Tensor) -> Tensor:
    """Return the log-density of the uniform distribution on [-1, 1]^d."""
    inside = (x.abs() <= 1).flatten(1).all(1)
    return torch.where(inside, -math.log(2) * x[0].numel(), -math.inf).double()


def normal(x: Tensor) -> Tensor:
    return (-0.5 * x.double().square() - 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)


def wavy(x: Tensor) -> Tensor:
    """Not a density, but uneven within every cell."""
    return 4 * torch.sin(40 * x.double()).flatten(1).sum(1)


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("draws", [(1,), (4,)])
def test_a_uniform_density_costs_log2_of_the_levels(
    levels: int, draws: tuple[int, ...], density: Put, evaluation: Evaluate
) -> None:
    density(uniform)
    data = Pictures(levels=levels)
    metric = BitsPerDim(dequantisation_samples=draws, solver=SOLVER)
    result = measured(metric, evaluation(data), Stream(data).rows(range(5)))["bits_per_dim"]
    assert result.value == pytest.approx(math.log2(levels), abs=1e-6)


def test_without_dequantisation_levels_are_the_centres_of_cells(
    density: Put, evaluation: Evaluate
) -> None:
    """Without dequantisation in training, the outer cells reach half a level past [-1, 1]."""
    data = Pictures(dequantize="none")
    reach = 1 + 1 / 16
    density(
        lambda x: torch.where(x.abs() <= reach, -math.log(2 * reach), -math.inf).flatten(1).sum(1)
    )
    result = measured(BitsPerDim(solver=SOLVER), evaluation(data), Stream(data).rows(range(5)))
    assert result["bits_per_dim"].value == pytest.approx(math.log2(17), abs=1e-6)


def test_bits_follow_the_paper(density: Put, evaluation: Evaluate) -> None:
    """The mean over images of -log p(x) / (d log 2) + log2(L/2), at the dequantised points x."""
    known = density(normal)
    data = Pictures(levels=256)
    result = measured(BitsPerDim(solver=SOLVER), evaluation(data), Stream(data).rows(range(6)))
    x = known.calls[0]["x1"]
    bits = -normal(x) / (64 * math.log(2)) + 7
    found = result["bits_per_dim"]
    assert found.value == pytest.approx(float(bits.mean()), abs=1e-6)
    assert found.error == pytest.approx(float(bits.std() / 6**0.5), rel=1e-5)
    torch.testing.assert_close(found.per_sample, bits.double(), rtol=1e-6, atol=1e-6)


def test_points_are_in_the_cells_of_their_levels(density: Put, evaluation: Evaluate) -> None:
    known = density(normal)
    data = Pictures()
    rows = Stream(data).rows(range(4))
    measured(BitsPerDim(solver=SOLVER), evaluation(data), rows)
    back = ((known.calls[0]["x1"].double() + 1) * 17 / 2).floor()
    assert torch.equal(back.to(torch.uint8), rows.levels)


def test_more_draws_tighten_the_bound_and_share_the_first(
    density: Put, evaluation: Evaluate
) -> None:
    density(wavy)
    data = Pictures()
    rows = Stream(data).rows(range(8))
    several = BitsPerDim(dequantisation_samples=(1, 5, 20), solver=SOLVER)
    found = measured(several, evaluation(data), rows)
    assert set(found) == {"bits_per_dim", "bits_per_dim_k1", "bits_per_dim_k5", "bits_per_dim_k20"}
    assert found["bits_per_dim"] is found["bits_per_dim_k20"]
    values = [found[f"bits_per_dim_k{k}"].value for k in (1, 5, 20)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[2] + 0.1
    one = measured(BitsPerDim(solver=SOLVER), evaluation(data), rows)["bits_per_dim"]
    assert one.value == found["bits_per_dim_k1"].value
    assert one.provenance["dequantisation_samples"] == 1
    assert found["bits_per_dim"].provenance["dequantisation_samples"] == 20


def test_draws_average_probabilities_not_their_logarithms(
    density: Put, evaluation: Evaluate
) -> None:
    known = density(wavy)
    data = Pictures()
    metric = BitsPerDim(dequantisation_samples=(3,), solver=SOLVER)
    found = measured(metric, evaluation(data), Stream(data).rows([0, 1]))["bits_per_dim"]
    log_p = torch.stack([wavy(call["x1"]) for call in known.calls], dim=1)
    mean = torch.tensor([math.log(sum(math.exp(v) for v in row.tolist()) / 3) for row in log_p])
    bits = -mean / (64 * math.log(2)) + math.log2(17 / 2)
    torch.testing.assert_close(found.per_sample.float(), bits)


def test_the_noise_of_an_image_depends_on_seed_and_index_alone(
    density: Put, evaluation: Evaluate
) -> None:
    known = density(normal)
    data = Pictures()
    metric, stream = BitsPerDim(solver=SOLVER), Stream(data)
    measured(metric, evaluation(data), stream.rows([0, 1, 2]))
    measured(metric, evaluation(data), stream.rows([2]), stream.rows([0]))
    whole, second, first = (call["x1"] for call in known.calls)
    assert torch.equal(whole[2:], second)
    assert torch.equal(whole[:1], first)
    measured(metric, evaluation(data, seed=1), stream.rows([0]))
    assert not torch.equal(known.calls[-1]["x1"], first)


def test_the_draws_of_an_image_share_its_probes(density: Put, evaluation: Evaluate) -> None:
    known = density(normal)
    data = Pictures()
    metric = BitsPerDim(dequantisation_samples=(2,), n_probes=3, probe="gaussian", solver=SOLVER)
    measured(metric, evaluation(data, seed=7), Stream(data).rows([4, 9]))
    for call in known.calls:
        assert call["sample_ids"].tolist() == [4, 9]
        assert (call["seed"], call["n_probes"], call["probe"]) == (7, 3, "gaussian")


@pytest.mark.parametrize(
    ("dimension", "asked", "used"),
    [(2, "auto", "exact"), (64, "auto", "hutchinson"), (64, "exact", "exact")],
)
def test_the_trace_is_exact_in_few_dimensions_or_on_request(
    dimension: int, asked: Any, used: str, density: Put, evaluation: Evaluate
) -> None:
    known = density(normal)
    data = Points(dimension=dimension)
    result = measured(
        NLL(divergence=asked, solver=SOLVER), evaluation(data), Stream(data).rows(range(3))
    )["nll"]
    assert known.calls[0]["divergence"] == used
    assert result.provenance["divergence"] == used
    assert ("n_probes" in result.provenance) == (used == "hutchinson")


def test_double_precision_does_not_change_the_given_network(
    density: Put, evaluation: Evaluate
) -> None:
    known = density(normal)
    data = Points()
    given = evaluation(data)
    result = measured(NLL(dtype="float64", solver=SOLVER), given, Stream(data).rows(range(3)))
    assert known.calls[0]["x1"].dtype == torch.float64
    assert next(known.calls[0]["field"].model.parameters()).dtype == torch.float64
    assert given.field is not None
    assert next(given.field.model.parameters()).dtype == torch.float32
    assert result["nll"].provenance["precision"] == "float64"


def test_the_points_are_equal_in_either_precision(density: Put, evaluation: Evaluate) -> None:
    known = density(normal)
    data = Pictures()
    for dtype in ("float32", "float64"):
        metric = BitsPerDim(dtype=dtype, solver=SOLVER)  # type: ignore[arg-type]
        measured(metric, evaluation(data), Stream(data).rows([0]))
    single, double = (call["x1"] for call in known.calls)
    assert torch.equal(double.float(), single)


def test_nll_of_points_is_in_nats(density: Put, evaluation: Evaluate) -> None:
    density(normal)
    data = Points(dimension=3)
    rows = Stream(data).rows(range(50))
    found = measured(NLL(solver=SOLVER), evaluation(data), rows)["nll"]
    assert rows.x is not None
    assert found.value == pytest.approx(-float(normal(rows.x).mean()), rel=1e-6)


def test_provenance_holds_every_setting_that_changes_a_likelihood(
    density: Put, evaluation: Evaluate
) -> None:
    density(normal)
    data = Pictures()
    made = measured(BitsPerDim(solver=SOLVER), evaluation(data), Stream(data).rows(range(3)))[
        "bits_per_dim"
    ]
    assert made.provenance == {
        "count": 3,
        "solver": repr(SOLVER),
        "divergence": "hutchinson",
        "n_probes": 1,
        "probe": "rademacher",
        "precision": "float32",
        "conditional": False,
        "seed": 0,
        "data": data.with_split("test").fingerprint,
        "split": "test",
        "dequantisation_samples": 1,
        "dequantize": "uniform",
        "levels": 17,
        "offset_bits": math.log2(17 / 2),
    }
    assert made.details == {"nfe": 12}


def test_labels_reach_only_a_network_with_classes(density: Put, evaluation: Evaluate) -> None:
    known = density(normal)
    data = Pictures()
    given = evaluation(data)
    measured(BitsPerDim(solver=SOLVER), given, Stream(data).rows([0, 1]))
    assert known.calls[-1]["condition"] is None
    given.field.model.classes = 2  # type: ignore[union-attr, assignment]
    found = measured(BitsPerDim(solver=SOLVER), given, Stream(data).rows([0, 1]))["bits_per_dim"]
    assert known.calls[-1]["condition"]["label"].tolist() == [0, 1]
    assert found.provenance["conditional"] is True


def test_images_whose_density_is_not_finite_are_counted(density: Put, evaluation: Evaluate) -> None:
    density(lambda x: torch.full((len(x),), -math.inf))
    data = Pictures()
    found = measured(BitsPerDim(solver=SOLVER), evaluation(data), Stream(data).rows([0, 1]))
    assert found["bits_per_dim"].value == math.inf
    assert found["bits_per_dim"].details["not_finite"] == 2


def test_unfinished_solves_are_counted(density: Put, evaluation: Evaluate) -> None:
    density(normal).status = int(Status.MAX_STEPS)
    data = Points()
    found = measured(NLL(solver=SOLVER), evaluation(data), Stream(data).rows([0, 1, 2]))
    assert found["nll"].details["unfinished"] == 3


def test_each_metric_refuses_the_data_of_the_other(evaluation: Evaluate) -> None:
    path = evaluation(Points()).path
    with pytest.raises(ComponentError, match="use metric 'nll'"):
        BitsPerDim().check(Points(), path)
    with pytest.raises(ComponentError, match="use metric 'bits_per_dim'"):
        NLL().check(Pictures(), path)


def test_samples_without_a_network_have_no_likelihood(evaluation: Evaluate) -> None:
    from dataclasses import replace

    with pytest.raises(DataError, match="needs a trained network"):
        NLL(solver=SOLVER).begin(replace(evaluation(Points()), field=None))


@pytest.mark.parametrize("draws", [(), (0,), (1, 1)])
def test_draws_must_be_different_numbers(draws: tuple[int, ...]) -> None:
    with pytest.raises(ComponentError, match="dequantisation_samples must list different"):
        BitsPerDim(dequantisation_samples=draws)

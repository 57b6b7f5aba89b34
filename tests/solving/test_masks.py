"""Solves of padded samples: elements outside the mask stay 0 and do not count in error norms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fmcore import ComponentError, Problem, create
from fmcore.solving import Augmentation

VP = create("path", "vp")
LENGTHS = (3, 7, 12)
ADAPTIVE = [
    ("dopri5", {}),
    ("bosh3", {"max_active": 2}),
    ("tsit5", {"sync_every": 3}),
]


def masks() -> Tensor:
    """Masks of three rows of 12 elements, of which 3, 7 and all exist."""
    return (torch.arange(12) < torch.tensor(LENGTHS)[:, None]).double()


def states() -> Tensor:
    g = torch.Generator().manual_seed(0)
    return torch.randn(3, 12, generator=g, dtype=torch.float64) * masks()


def field(x: Tensor, t: Tensor, condition: dict[str, Tensor]) -> Tensor:
    """A stiff, time-dependent field of each element alone, 0 outside the mask."""
    return condition["mask"] * (8 * torch.sin(9 * t[:, None]) - 12 * x * x.abs())


def adaptive(name: str, **options: object):
    return create("solver", name, rtol=1e-4, atol=1e-6, **options)


def solve(built, row: int | None = None):
    if row is None:
        return built.solve(Problem(field, states(), condition={"mask": masks()}))
    n = LENGTHS[row]
    alone = {"mask": masks()[row, None, :n]}
    return built.solve(Problem(field, states()[row, None, :n], condition=alone))


@pytest.mark.parametrize(("name", "options"), ADAPTIVE)
def test_a_padded_sample_takes_the_steps_that_it_takes_alone(name, options) -> None:
    solver = adaptive(name, **options)
    together = solve(solver)
    assert together.stats.nfe.unique().numel() > 1
    for row, n in enumerate(LENGTHS):
        alone = solve(solver, row)
        assert alone.stats.nfe[0] == together.stats.nfe[row]
        torch.testing.assert_close(together.x[row, :n], alone.x[0], rtol=1e-9, atol=1e-12)
    assert not (together.x * (1 - masks())).any()


@pytest.mark.parametrize("control", ["batch_rms", "batch_max"])
@pytest.mark.parametrize("sync_every", [1, 2])
def test_padding_changes_no_step_that_a_batch_shares(control, sync_every) -> None:
    built = adaptive("dopri5", step_control=control, sync_every=sync_every)
    short, wide = states()[:2, :7], states()[:2]
    found = [
        built.solve(Problem(field, x, condition={"mask": masks()[:2, : x.shape[1]]}))
        for x in (short, wide)
    ]
    assert found[0].stats.nfe.tolist() == found[1].stats.nfe.tolist()
    torch.testing.assert_close(found[1].x[:, :7], found[0].x, rtol=1e-9, atol=1e-12)


def test_a_mask_of_ones_changes_no_number() -> None:
    x0, solver = states(), adaptive("dopri5")

    def plain(x: Tensor, t: Tensor, condition: object = None) -> Tensor:
        return 8 * torch.sin(9 * t[:, None]) - 12 * x * x.abs()

    without = solver.solve(Problem(plain, x0))
    masked = solver.solve(Problem(plain, x0, condition={"mask": torch.ones(3, 1)}))
    assert torch.equal(without.stats.nfe, masked.stats.nfe)
    torch.testing.assert_close(masked.x, without.x, rtol=1e-12, atol=0)


def test_a_row_without_elements_is_solved() -> None:
    mask = torch.zeros(1, 4, dtype=torch.float64)
    solution = create("solver", "dopri5").solve(
        Problem(lambda x, t, c: 0 * x, mask, condition={"mask": mask})
    )
    assert solution.status.tolist() == [0]


def test_stochastic_solvers_add_no_noise_outside_the_mask() -> None:
    seen = []

    class Known:
        def __call__(self, x: Tensor, t: Tensor, condition: dict[str, Tensor]) -> Tensor:
            seen.append(x * (1 - condition["mask"]))
            return -x

        def require_score(self, who: str) -> None:
            pass

    create("solver", "euler_maruyama", steps=4).solve(
        Problem(Known(), states(), path=VP, condition={"mask": masks()})
    )
    assert not torch.stack(seen).any()


def test_a_mask_of_another_shape_is_refused() -> None:
    problem = Problem(field, states(), condition={"mask": torch.ones(3, 5)})
    with pytest.raises(ComponentError, match=r"mask in the condition has shape \(3, 5\)"):
        create("solver", "dopri5").solve(
            Problem(lambda x, t, c: -x, problem.x0, condition=problem.condition)
        )


@pytest.mark.parametrize("solver", ["dopri5", "midpoint"])
def test_divergences_under_a_mask_are_refused(solver) -> None:
    problem = Problem(field, states(), condition={"mask": masks()}, augmentation=Augmentation())
    with pytest.raises(ComponentError, match="no density under the condition's `mask`"):
        create("solver", solver).solve(problem)

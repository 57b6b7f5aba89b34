"""Adaptive solves: step sizes, statuses, refill, dense output."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fmcore import ComponentError, Problem, Status, create
from fmcore.errors import SolverError
from fmcore.flow.gaussian_mixture import eight_gaussians, stiff_mixture
from fmcore.solving import Augmentation, Tableau
from fmcore.solving.adaptive.controller import Controller
from fmcore.solving.adaptive.dense_output import dense_order, dense_weights
from fmcore.solving.rooted_trees import gamma, trees
from fmcore_solvers.embedded import Bosh3, Dopri5, Dopri8, Heun2Adaptive, Tsit5

LINEAR, VP = create("path", "linear"), create("path", "vp")
PAIRS = [Heun2Adaptive, Bosh3, Dopri5, Tsit5, Dopri8]


def noise(n: int, seed: int = 0, d: int = 2) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("pair", [Heun2Adaptive, Bosh3, Dopri5])
def test_exact_fractions_meet_their_conditions_exactly(pair: type) -> None:
    tableau: Tableau = pair.tableau
    assert tableau.exact_defect(tableau.order) == 0
    assert tableau.exact_defect(tableau.embedded_order, embedded=True) == 0


@pytest.mark.parametrize("pair", PAIRS)
def test_pairs_have_the_orders_claimed_and_no_higher(pair: type) -> None:
    tableau: Tableau = pair.tableau
    assert tableau.defect(tableau.order) < 1e-13 < 1e-7 < tableau.defect(tableau.order + 1)
    assert tableau.defect(tableau.embedded_order, embedded=True) < 1e-13
    assert tableau.defect(tableau.embedded_order + 1, embedded=True) > 1e-7


def test_first_same_as_last_is_inferred() -> None:
    assert [pair.tableau.fsal for pair in PAIRS] == [False, True, True, True, False]
    assert all(pair.tableau.completed.fsal for pair in PAIRS)


@pytest.mark.parametrize("pair", PAIRS)
def test_dense_output_meets_the_order_conditions_at_every_theta(pair: type) -> None:
    tableau = pair.tableau.completed
    weights = torch.from_numpy(dense_weights(tableau))
    for theta in (0.0, 0.3, 0.8, 1.0):
        powers = [theta**d for d in range(1, weights.shape[1] + 1)]
        b = weights @ torch.tensor(powers, dtype=torch.float64)
        for n in range(1, dense_order(tableau) + 1):
            for tree in trees(n):
                found = float(b @ torch.from_numpy(tableau.phi(tree)))
                assert found == pytest.approx(theta**n / gamma(tree), abs=1e-9)
    assert dense_order(tableau) >= min(tableau.order - 1, 4)


def test_controller_is_the_formula() -> None:
    controller = Controller()
    before = controller.judge(torch.tensor([0.8, 0.8]), *controller.start(torch.zeros(2)), 5)
    verdict = controller.judge(torch.tensor([0.5, 2.0]), before.memory, before.limit, 5)
    assert verdict.accept.tolist() == [True, False]
    pi = 0.9 * 0.5 ** (-0.7 / 5) * 0.8 ** (0.4 / 5)
    careful = 0.9 * 2.0 ** (-1 / 5)
    torch.testing.assert_close(verdict.factor, torch.tensor([pi, careful]))


def test_step_after_a_rejection_does_not_grow() -> None:
    controller = Controller()
    rejected = controller.judge(torch.tensor([2.0]), *controller.start(torch.zeros(1)), 5)
    verdict = controller.judge(torch.tensor([1e-3]), rejected.memory, rejected.limit, 5)
    assert verdict.factor.item() == 1.0
    assert controller.judge(torch.tensor([1e-3]), verdict.memory, verdict.limit, 5).factor > 1


def test_controller_survives_what_is_not_finite() -> None:
    ratio = torch.tensor([math.nan, math.inf, 0.0])
    verdict = Controller().judge(ratio, *Controller().start(torch.zeros(3)), 5)
    assert verdict.accept.tolist() == [False, False, True]
    torch.testing.assert_close(verdict.factor, torch.tensor([0.2, 0.2, 10.0]))


@pytest.mark.parametrize(
    ("path", "coupling"),  # not `batch_rms` on the straight path: it hides hard samples, by design
    [
        (LINEAR, "per_sample"),
        (LINEAR, "batch_max"),
        (VP, "per_sample"),
        (VP, "batch_max"),
        (VP, "batch_rms"),
    ],
)
def test_stiff_samples_are_solved_within_a_thousandth(path: object, coupling: str) -> None:
    problem = Problem(stiff_mixture(path), noise(64), path=path)
    reference = Dopri8(rtol=1e-12, atol=1e-12).solve(problem)
    solution = Dopri5(step_control=coupling).solve(problem)
    assert set(solution.status.tolist()) == {Status.SUCCESS}
    assert float((solution.x - reference.x).abs().max()) < 1e-3


def test_refilled_slots_waste_little_and_change_nothing() -> None:
    field, x0 = eight_gaussians(LINEAR), noise(2048)
    whole = Dopri5(compact_finished=False).solve(Problem(field, x0, path=LINEAR))
    turns = Dopri5(max_active=128).solve(Problem(field, x0, path=LINEAR))
    torch.testing.assert_close(turns.x, whole.x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(turns.stats.nfe, whole.stats.nfe)
    ideal = int(turns.stats.nfe.sum())
    assert turns.stats.extra["evaluations"] <= 1.15 * ideal
    assert whole.stats.extra["evaluations"] > 1.3 * ideal


@pytest.mark.parametrize("poll", [1, 2, 5])
def test_polling_and_compaction_change_nothing_but_the_cost(poll: int) -> None:
    problem = Problem(stiff_mixture(LINEAR), noise(64), path=LINEAR)
    plain = Dopri5(sync_every=1, compact_finished=False).solve(problem)
    solution = Dopri5(sync_every=poll, compact_finished=True).solve(problem)
    torch.testing.assert_close(solution.x, plain.x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(solution.stats.nfe, plain.stats.nfe)
    assert solution.stats.extra["evaluations"] < plain.stats.extra["evaluations"]


def test_what_belongs_to_a_sample_moves_with_it() -> None:
    """Condition, probes and asked-for states, through refill and compaction."""
    rate = torch.linspace(0.1, 8.0, 50, dtype=torch.float64)
    x0 = noise(50)
    how = Augmentation("hutchinson", n_probes=2)

    def field(x: Tensor, t: Tensor, condition: dict[str, Tensor]) -> Tensor:
        return -condition["rate"][:, None] * x

    problem = Problem(
        field, x0, condition={"rate": rate}, times=(0.25, 1.0), augmentation=how, seed=3
    )
    solution = Dopri5(rtol=1e-8, atol=1e-8, max_active=16).solve(problem)
    decayed = [x0 * (-rate[:, None] * t).exp() for t in (0.25, 1.0)]
    assert solution.trajectory is not None
    torch.testing.assert_close(solution.trajectory, torch.stack(decayed), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(solution.logdet, -2 * rate)  # Rademacher is exact on a diagonal


def test_a_sample_that_fails_on_the_way_keeps_its_last_good_state() -> None:
    wall = torch.tensor([2.0, 0.5, 2.0, 2.0], dtype=torch.float64)

    def field(x: Tensor, t: Tensor, condition: dict[str, Tensor]) -> Tensor:
        return torch.where((t > condition["wall"])[:, None], math.nan, -x)

    x0 = noise(4)
    solution = Dopri5().solve(Problem(field, x0, condition={"wall": wall}))
    assert solution.status.tolist() == [0, Status.NONFINITE, 0, 0]
    reached = float(solution.t_reached[1])
    assert 0.4 < reached <= 0.5
    torch.testing.assert_close(solution.x[1], x0[1] * math.exp(-reached), rtol=1e-4, atol=1e-4)
    healthy = [0, 2, 3]
    alone = Dopri5().solve(Problem(field, x0[healthy], condition={"wall": wall[healthy]}))
    torch.testing.assert_close(solution.x[healthy], alone.x, rtol=1e-12, atol=1e-12)


def test_step_that_becomes_too_small_ends_with_a_status() -> None:
    """u = x^2 from x = 2 is infinite at t = 1/2; from x = 1/2 it is not."""
    x0 = torch.tensor([[2.0], [0.5]], dtype=torch.float64)
    solution = Dopri5().solve(Problem(lambda x, t: x * x, x0))
    assert solution.status[0] in (Status.DT_MIN, Status.NONFINITE)
    assert solution.status[1] == Status.SUCCESS
    assert float(solution.t_reached[0]) == pytest.approx(0.5, abs=1e-4)
    assert float(solution.x[1]) == pytest.approx(1.0, rel=1e-4)


def test_thrown_error_names_solver_sample_status_and_remedy() -> None:
    with pytest.raises(
        SolverError,
        match=r"solver 'dopri5': 3 of 3 samples .* sample 0 ended with "
        r"MAX_STEPS at t = .*: raise max_steps",
    ):
        Dopri5(max_steps=1, rtol=1e-9, atol=1e-9, throw=True).solve(
            Problem(lambda x, t: -5 * x, noise(3))
        )


@pytest.mark.parametrize("first_step", [None, 0.01])
def test_evaluations_are_six_an_attempt_and_the_start(first_step: float | None) -> None:
    solution = Dopri5(first_step=first_step).solve(Problem(lambda x, t: -x, noise(1)))
    start = 2 if first_step is None else 1
    assert solution.stats.calls == int(solution.stats.nfe) == 6 * solution.stats.steps + start


def test_a_batch_shares_its_steps_where_asked() -> None:
    x0, field = noise(8), lambda x, t: -x * (1 + x.square())
    steps = {
        coupling: Dopri5(step_control=coupling).solve(Problem(field, x0)).stats.nfe
        for coupling in ("per_sample", "batch_max", "batch_rms")
    }
    assert len(set(steps["per_sample"].tolist())) > 1
    assert len(set(steps["batch_max"].tolist())) == len(set(steps["batch_rms"].tolist())) == 1
    assert steps["batch_rms"][0] <= steps["batch_max"][0]


@pytest.mark.parametrize("step_control", ["per_sample", "batch_max", "batch_rms"])
def test_the_host_decides_as_the_device_does(step_control: str) -> None:
    """With `sync_every=1` the host decides on a CPU, otherwise tensors do: also where a sample
    ends early, and where attempts run out.
    """
    wall = torch.tensor([2.0, 0.5, 2.0, 2.0], dtype=torch.float64)

    def field(x: Tensor, t: Tensor, condition: dict[str, Tensor]) -> Tensor:
        return torch.where((t > condition["wall"])[:, None], math.nan, -5 * x * (1 + x.square()))

    for limit in (10_000, 7):
        problem = Problem(field, noise(4), condition={"wall": wall}, times=(0.25, 0.75))
        host, device = (
            Dopri5(step_control=step_control, sync_every=every, max_steps=limit).solve(problem)
            for every in (1, 2)
        )
        assert host.status.tolist() == device.status.tolist()
        assert (host.status.unique().numel() > 1) == (limit > 7)
        # Rounding decides how many ever smaller steps a sample of its own takes before the wall.
        same = wall > 1 if step_control == "per_sample" else wall > 0
        assert host.stats.nfe[same].tolist() == device.stats.nfe[same].tolist()
        assert not same.all() or host.stats.rejected == device.stats.rejected
        for name in ("x", "t_reached", "trajectory"):
            found, expected = getattr(host, name), getattr(device, name)
            # Rounding moves the last of many ever smaller steps before the wall.
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rtol": 0.0, "atol": 0.0}, "not both 0"),
        (
            {"max_active": 4, "step_control": "batch_max"},
            "max_active= needs step_control='per_sample'",
        ),
        ({"max_nfe": 5}, "max_nfe=5 is below the start and one step, which cost 8"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        Dopri5(**options)


def test_float32_states_keep_time_in_float64() -> None:
    """Ten thousand tiny steps end at t1 all the same, and count right."""
    solution = Heun2Adaptive(rtol=1e-7, atol=1e-7, max_steps=20_000).solve(
        Problem(lambda x, t: -x, noise(1).float())
    )
    assert solution.status.tolist() == [0]
    assert float(solution.t_reached) == 1.0


@pytest.mark.parametrize("pair", PAIRS)
def test_an_empty_batch_is_returned(pair: type) -> None:
    solution = pair().solve(Problem(lambda x, t: -x, noise(0), times=(0.5,)))
    assert solution.x.shape == (0, 2)
    assert solution.stats.calls == 0

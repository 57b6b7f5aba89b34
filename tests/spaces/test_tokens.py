"""Flows of tokens against closed forms: path, leap, bound."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch

from fmcore import ComponentError, Problem, Rows, Source, Tokens, create
from fmcore_spaces.leap import Leap
from fmcore_spaces.token_objectives import bound_rate, log_posterior

Q = torch.tensor([0.55, 0.3, 0.15], dtype=torch.float64)
SKEW = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
JOINT = torch.tensor([[0.30, 0.02, 0.05], [0.03, 0.20, 0.05], [0.05, 0.05, 0.25]]).double()
N = 200_000


def numbers(n, purpose="test"):
    return Rows(0, purpose, 0, range(n))


def draws(shares, n, purpose="noise"):
    chance = numbers(n, purpose).uniform((1,), torch.float64)
    return torch.searchsorted(shares.cumsum(0), chance).double()


def along(source="uniform", **options):
    mask = source == "mask"
    return create("path", "mixture", source=source, **options).on(Tokens(3, mask=mask))


class Exact:
    """The exact posterior of x1 with density `q` along a mixture path from noise of `shares`."""

    def __init__(self, path, q, shares):
        self.path, self.q, self.shares = path, q, shares

    def __call__(self, x, t, condition=None):
        raise AssertionError("tokens have no velocity")

    def predict(self, x, t, condition=None, target="posterior"):
        assert target == "posterior"
        kappa = self.path.kappa(t.double())[0][:, None, None]
        state = torch.arange(3).double()
        noise = torch.where(x < 3, self.shares[x.long().clamp(0, 2)], 1.0)
        if self.path.masked:  # no token but the mask is noise
            noise = (x == 3).double()
        seen = (1 - kappa) * noise[..., None] + kappa * (x[..., None] == state)
        if self.q.ndim == 1:
            return (self.q * seen).log()
        both = self.q * seen[:, 0, :, None] * seen[:, 1, None, :]
        return torch.stack([both.sum(2), both.sum(1)], 1).log()


def shares_of(x):
    return torch.bincount(x.long().flatten(), minlength=3).double() / x.numel()


def distance(found, wanted):
    return float((found - wanted).abs().sum()) / 2


class Chances:
    """Given numbers in place of random ones, in the order in which a step asks for them: for the
    jump, the token, the redraw and the redrawn token.
    """

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def __len__(self):
        return len(self.numbers[0])

    device = torch.device("cpu")

    def uniform(self, shape, dtype=torch.float32):
        return self.numbers.pop(0).reshape(-1, *shape)


@dataclass(frozen=True)
class Skewed(Source):
    """Noise with the probabilities of SKEW."""

    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        return torch.searchsorted(SKEW.cumsum(0), rows.uniform(shape, torch.float64)).to(dtype)

    def log_prob(self, x, condition=None):
        return SKEW[x.long()].log().sum(1)


def threshold(outcome, n):
    """Return the number below which `outcome` holds, `(n,)`, by bisection to rounding."""
    low, high = torch.zeros(n).double(), torch.ones(n).double()
    for _ in range(54):
        middle = (low + high) / 2
        holds = outcome(middle)
        low, high = torch.where(holds, middle, low), torch.where(holds, high, middle)
    return (low + high) / 2


def transition(solver, path, exact, step, is_last, states):
    """Return the probability of each token after one step of the solver, `(states, tokens, 3)`,
    from `states`, `(n, tokens)`: a step is a function of four numbers, and the probabilities are
    the lengths of the intervals in which it gives each token.
    """
    n, tokens = states.shape
    logits = exact.predict(states, torch.full((n,), step[0], dtype=torch.float64))
    zero, one = torch.zeros(n, tokens).double(), torch.full((n, tokens), 1 - 1e-16).double()

    def moved(jump, token, again, fresh):
        rows = Chances(jump, token, again, fresh)
        return solver._jumped(path, states, logits, step, rows, is_last)

    def measure(outcome):
        flat = threshold(lambda u: outcome(u.view(n, tokens)).flatten(), n * tokens)
        return flat.view(n, tokens)

    # the number that draws a token other than the present one, with and without a jump
    ends = torch.where(moved(zero, zero, one, one) == states, one, zero)
    jump = measure(lambda u: moved(u, ends, one, one) != states)
    below = [measure(lambda u, k=k: moved(zero, u, one, one) <= k) for k in range(2)]
    drawn = torch.stack([below[0], below[1] - below[0], 1 - below[1]], -1)
    fresh = torch.where(moved(one, one, zero, zero) == states, one, zero)
    if bool((moved(one, one, zero, fresh) == states).all()):  # no redraw in this step
        again, redrawn = zero, torch.zeros_like(drawn)
    else:
        again = measure(lambda u: moved(one, one, u, fresh) != states)
        below = [measure(lambda u, k=k: moved(one, one, zero, u) <= k) for k in range(2)]
        redrawn = torch.stack([below[0], below[1] - below[0], 1 - below[1]], -1)
    stay = torch.nn.functional.one_hot(states.long(), 3).double()
    kept = (1 - jump)[..., None] * stay + jump[..., None] * drawn
    return (1 - again)[..., None] * kept + again[..., None] * redrawn


@pytest.mark.parametrize("noise", [0.0, 4.0])
@pytest.mark.parametrize("steps", [1, 3, 8])
@pytest.mark.parametrize("shares", [torch.ones(3).double() / 3, SKEW], ids=["uniform", "skew"])
def test_a_single_token_has_its_exact_marginal_at_any_number_of_steps(shares, steps, noise):
    path = along(schedule="polynomial")
    if shares is SKEW:
        path = replace(path, source=Skewed())
    exact, solver = Exact(path, Q, shares), Leap(steps=steps, noise=noise)
    states, found = torch.arange(3).double()[:, None], shares
    for k in range(steps):
        step = (k / steps, (k + 1) / steps)
        found = found @ transition(solver, path, exact, step, k == steps - 1, states)[:, 0]
        kappa = step[1] ** 2
        torch.testing.assert_close(found, (1 - kappa) * shares + kappa * Q, atol=1e-12, rtol=0)


def test_a_solve_draws_what_its_steps_say():
    path = along(schedule="polynomial")
    shares = torch.ones(3).double() / 3
    exact = Exact(path, Q, shares)
    solution = Leap(steps=3, noise=4.0).solve(
        Problem(exact, draws(shares, N), path=path, times=[2 / 3])
    )
    assert distance(shares_of(solution.x), Q) < 4e-3
    wanted = (1 - 4 / 9) * shares + 4 / 9 * Q
    assert distance(shares_of(solution.trajectory[0]), wanted) < 4e-3


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_the_share_of_masks_on_the_way_is_what_is_left(noise):
    path = along("mask")
    x0 = torch.full((N, 1), 3.0)
    solution = Leap(steps=5, noise=noise).solve(
        Problem(Exact(path, Q, SKEW), x0, path=path, times=[0.4, 0.8])
    )
    left = (solution.trajectory == 3).double().mean((1, 2))
    torch.testing.assert_close(left, torch.tensor([0.6, 0.2]).double(), atol=5e-3, rtol=0)
    assert float(solution.x.max()) < 3
    assert distance(shares_of(solution.x), Q) < 4e-3


def test_two_tokens_need_steps_to_have_their_joint_distribution():
    path, shares = along(), torch.ones(3).double() / 3
    # half of the dependence of JOINT
    joint = (JOINT + JOINT.sum(1, keepdim=True) * JOINT.sum(0)) / 2
    exact = Exact(path, joint, shares)
    states = torch.cartesian_prod(torch.arange(3), torch.arange(3)).double()
    away = []
    for steps in (4, 16):
        found, solver = torch.full((9,), 1 / 9).double(), Leap(steps=steps)
        for k in range(steps):
            step = (k / steps, (k + 1) / steps)
            each = transition(solver, path, exact, step, k == steps - 1, states)
            found = found @ (each[:, 0, :, None] * each[:, 1, None, :]).flatten(1)
        away.append(distance(found, joint.flatten()))
    assert away[1] <= 0.025
    assert 3 < away[0] / away[1] < 5


def test_jumping_at_the_plain_rate_of_kappa_misses_the_marginal():
    # the negative control: probability kappa' h instead of (kappa(t') - kappa(t)) / (1 - kappa(t))
    path, x = along(), draws(SKEW, N)
    exact, steps = Exact(path, Q, SKEW), 8
    for k in range(steps):
        logits = exact.predict(x, torch.full((N,), k / steps))
        chosen = draws_of(logits.softmax(-1), f"wrong {k}")
        jumps = numbers(N, f"jump {k}").uniform((1,)) < 1 / steps
        x = torch.where(jumps, chosen, x)
    assert distance(shares_of(x), Q) > 0.04


def draws_of(shares, purpose):
    chance = numbers(len(shares), purpose).uniform((1, 1), torch.float64)
    return torch.searchsorted(shares.cumsum(-1), chance).squeeze(-1).double()


@pytest.mark.parametrize("source", ["uniform", "mask"])
def test_a_token_is_x1_with_the_probability_of_kappa(source):
    path = along(source, schedule="cosine")
    x1 = torch.ones(N, 1)
    t = torch.full((N,), 0.7)
    rows = numbers(N)
    xt = path.sample(path.noise().sample(rows, (1,)), x1, t, path.bridge().sample(rows, (1,))).xt
    kappa = float(path.kappa(torch.tensor(0.7, dtype=torch.float64))[0])
    wanted = kappa + (1 - kappa) * (1 / 3 if source == "uniform" else 0)
    assert abs(float((xt == x1).double().mean()) - wanted) < 4e-3


def test_a_token_jumps_once_and_stays():
    path = along()
    rows = numbers(500)
    x0, z = path.noise().sample(rows, (4,)), path.bridge().sample(rows, (4,))
    x1 = torch.remainder(x0 + 1, 3)
    times = torch.linspace(0, 1, 21)
    arrived = torch.stack(
        [path.sample(x0, x1, torch.full((500,), float(t)), z).xt == x1 for t in times]
    )
    assert not arrived[0].any()
    assert arrived[-1].all()
    assert bool((arrived[1:] >= arrived[:-1]).all())


def test_known_tokens_have_themselves_as_posterior():
    path = along("mask")
    xt = torch.tensor([[3.0, 1.0]])
    logits = path.constrain(torch.zeros(1, 2, 3), xt, "posterior").softmax(-1)
    torch.testing.assert_close(logits[0], torch.tensor([[1 / 3] * 3, [0.0, 1.0, 0.0]]))


def expected_bound(path, shares, weighted=True):
    """The bound of one token with the exact posterior, by quadrature over kappa, in nats."""
    kappa = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    t, exact, total = path.inverse_kappa(kappa), Exact(path, Q, shares), 0.0
    weight = 1 / (1 - kappa) if weighted else torch.ones_like(kappa)
    for state in range(4 if path.masked else 3):
        x = torch.full((2000, 1), float(state), dtype=torch.float64)
        noise = float(state == 3) if path.masked else float(shares[state])
        logits = path.constrain(exact.predict(x, t), x, "posterior")
        for token in range(3):
            chance = (1 - kappa) * noise + kappa * (state == token)
            rate = bound_rate(logits, x, torch.full_like(x, token))[:, 0]
            total += float(Q[token] * (chance * rate * weight).mean())
    return total


ENTROPY = -float((Q * Q.log()).sum())


def test_the_bound_is_the_entropy_for_masks_and_above_it_elsewhere():
    assert expected_bound(along("mask"), SKEW) == pytest.approx(ENTROPY, abs=1e-3)
    uniform = torch.ones(3).double() / 3
    assert expected_bound(along(), uniform) > ENTROPY
    # the negative control: without the rate it is no bound
    assert expected_bound(along("mask"), SKEW, weighted=False) < ENTROPY


def test_the_mask_has_no_probability():
    logits = torch.zeros(1, 2, 3)
    found = log_posterior(logits, torch.tensor([[1.0, 3.0]]))
    assert found[0].tolist() == [pytest.approx(-math.log(3)), -math.inf]


def test_a_sample_depends_on_its_seed_and_index_alone():
    path = along("mask")
    exact = Exact(path, JOINT, SKEW)

    def drawn(ids, seed=0):
        x0 = torch.full((len(ids), 2), 3.0)
        problem = Problem(exact, x0, path=path, sample_ids=torch.tensor(ids), seed=seed)
        return Leap(steps=4, noise=1.0).solve(problem).x

    whole = drawn(list(range(40)))
    assert torch.equal(drawn([7, 3]), whole[[7, 3]])
    assert not torch.equal(drawn(list(range(40)), seed=1), whole)


def test_leap_refuses_what_it_cannot_move():
    path = along("mask")
    x0 = torch.full((2, 2), 3.0)
    with pytest.raises(ComponentError, match="needs a field with `predict`"):
        Leap().solve(Problem(lambda x, t: x, x0, path=path))
    with pytest.raises(ComponentError, match="goes from noise to data"):
        Leap().solve(Problem(Exact(path, JOINT, SKEW), x0, t0=1.0, t1=0.0, path=path))
    with pytest.raises(ComponentError, match="takes one of nfe= and steps="):
        Leap(nfe=3, steps=3)
    with pytest.raises(ComponentError, match="have no velocity"):
        create("solver", "euler", steps=2).solve(Problem(Exact(path, JOINT, SKEW), x0, path=path))


def test_a_source_of_tokens_needs_their_space():
    with pytest.raises(ComponentError, match="source Gaussian draws points of R"):
        create("path", "mixture", source="gaussian").on(Tokens(3))
    with pytest.raises(ComponentError, match="needs tokens with a mask"):
        create("path", "mixture", source="mask").on(Tokens(3))

"""Flows on manifolds against closed forms, in float64."""

from __future__ import annotations

import math

import pytest
import torch

from fmcore import ComponentError, Problem, Rows, Status, create, log_prob
from fmcore.interfaces.derivative import jvp
from fmcore.solving import Augmentation

SPHERE, TORUS, SO3 = (create("space", name) for name in ("sphere", "torus", "so3"))
CASES = [(SPHERE, (3,)), (TORUS, (4,)), (SO3, (3, 3))]


def uniform(space, shape, n, purpose="points"):
    return space.uniform(Rows(0, purpose, 0, range(n)), shape, torch.float64)


def along(space, **options):
    return create("path", "geodesic", **options).on(space)


@pytest.mark.parametrize("schedule", ["linear", "polynomial", "cosine", "exponential"])
@pytest.mark.parametrize(("space", "shape"), CASES, ids=["sphere", "torus", "so3"])
def test_ut_is_the_derivative_of_xt_across_the_cut_too(space, shape, schedule):
    path = along(space, schedule=schedule)
    x0, x1 = uniform(space, shape, 200), uniform(space, shape, 200, "ends")
    t = torch.linspace(0.01, 0.99, 200, dtype=torch.float64)
    sample = path.sample(x0, x1, t)
    _, wanted = jvp(lambda at: path.sample(x0, x1, at).xt, (t,), (torch.ones_like(t),))
    torch.testing.assert_close(sample.ut, wanted, atol=1e-9, rtol=1e-9)
    kappa, _ = path.kappa(t)
    left = space.squared_distance(sample.xt, x1).sqrt()
    whole = space.squared_distance(x0, x1).sqrt()
    if len(shape) > 1 or shape == (3,):  # a torus has several points, each with its own way
        torch.testing.assert_close(left, (1 - kappa) * whole, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("schedule", ["linear", "polynomial", "cosine", "exponential"])
def test_kappa_has_its_derivative_and_its_inverse(schedule):
    path = along(TORUS, schedule=schedule)
    t = torch.linspace(0, 1, 33, dtype=torch.float64)
    kappa, d_kappa = path.kappa(t)
    _, wanted = jvp(lambda at: path.kappa(at)[0], (t,), (torch.ones_like(t),))
    torch.testing.assert_close(d_kappa, wanted)
    assert float(kappa[0]) == 0
    assert float(kappa[-1]) == pytest.approx(1)
    torch.testing.assert_close(path.inverse_kappa(kappa), t, atol=1e-7, rtol=0)


@pytest.mark.parametrize("t", [0.25, 0.6])
def test_the_mean_along_the_path_from_uniform_points_is_known(t):
    # With a the share that is left, the angle to x1 is a times that of a uniform point.
    n, a = 40_000, 1 - t
    time = torch.full((n,), t, dtype=torch.float64)

    def cosine(space, shape, of):
        x1 = uniform(space, shape, 1).expand(n, *shape)
        xt = along(space).sample(uniform(space, shape, n, "noise"), x1, time).xt
        values = of(xt, x1)
        return float(values.mean()), float(values.std()) / math.sqrt(n)

    of_sphere = cosine(SPHERE, (3,), lambda x, y: (x * y).sum(-1))
    of_torus = cosine(TORUS, (1,), lambda x, y: (x - y).cos()[:, 0])
    of_so3 = cosine(SO3, (3, 3), lambda x, y: ((x.mT @ y).diagonal(0, 1, 2).sum(1) - 1) / 2)
    sine = math.sin(a * math.pi) / (a * math.pi)
    haar = math.sin((1 + a) * math.pi) / (1 + a) + math.sin((1 - a) * math.pi) / (1 - a)
    for (mean, error), wanted in (
        (of_sphere, (1 + math.cos(a * math.pi)) / (2 * (1 - a**2))),
        (of_torus, sine),
        (of_so3, sine - haar / (2 * math.pi)),
    ):
        assert abs(mean - wanted) < 5 * error


def test_the_normalized_chord_has_another_mean():
    # the negative control of the test above at t = .25: .2205 where the geodesic has .3347
    n = 40_000
    x1 = uniform(SPHERE, (3,), 1).expand(n, 3)
    xt = SPHERE.project(0.75 * uniform(SPHERE, (3,), n, "noise") + 0.25 * x1)
    assert float((xt * x1).sum(-1).mean()) == pytest.approx(0.2205, abs=0.02)


def test_a_field_to_one_point_has_the_density_of_a_spherical_cauchy():
    # u = s P_x a moves uniform points to the spherical Cauchy with rho = tanh(s / 2)
    s, pole = 1.4, torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)
    path = along(SPHERE)
    solver = create("solver", "dopri5", rtol=1e-8, atol=1e-8)
    x1 = uniform(SPHERE, (3,), 40)

    def field(x, t):
        return SPHERE.tangent(x, s * pole.expand_as(x))

    rho = math.tanh(s / 2)
    ratio = (1 - rho**2) / (1 + rho**2 - 2 * rho * (x1 @ pole))
    wanted = 2 * ratio.log() - SPHERE.log_volume((3,))
    found = log_prob(field, x1, path=path, solver=solver).log_prob
    torch.testing.assert_close(found, wanted, atol=1e-7, rtol=0)


def test_the_divergence_of_the_unextended_field_is_wrong():
    # the negative control: the field as it stands in R^3 has another divergence off the sphere
    pole = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)
    x1 = uniform(SPHERE, (3,), 40)

    def field(x, t):
        return 1.4 * (pole - (x @ pole)[:, None] * x)

    problem = Problem(field, x1, t0=1.0, t1=0.0, augmentation=Augmentation())
    solver = create("solver", "dopri5", rtol=1e-8, atol=1e-8)
    raw = solver.solve(problem).logdet
    extended = solver.solve(
        Problem(field, x1, t0=1.0, t1=0.0, augmentation=Augmentation(), path=along(SPHERE))
    ).logdet
    assert float((raw - extended).abs().mean()) > 0.5


def test_hutchinson_estimates_the_divergence_on_the_sphere():
    pole = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)
    x1 = uniform(SPHERE, (3,), 20)

    def field(x, t):
        return SPHERE.tangent(x, pole.expand_as(x))

    options = {"path": along(SPHERE), "solver": create("solver", "rk4", steps=10)}
    exact = log_prob(field, x1, **options).log_prob
    found = log_prob(field, x1, divergence="hutchinson", n_probes=400, **options)
    assert bool(((found.log_prob - exact).abs() < 6 * found.error + 1e-6).all())


def test_rotations_about_an_axis_have_their_density():
    # w = -k sin(angle) axis in the body frame takes angle th0 to th, tan(th/2) = e^-k tan(th0/2)
    k, path = 0.8, along(SO3)
    from fmcore_spaces.so3 import hat, vector_of_rotation

    def field(x, t):
        w = vector_of_rotation(x)
        angle = w.norm(dim=-1, keepdim=True)
        return x @ hat(-k * angle.sin() / angle * w)

    x1 = uniform(SO3, (3, 3), 30)
    angle = vector_of_rotation(x1).norm(dim=-1)
    start = 2 * torch.atan(math.exp(k) * (angle / 2).tan())
    ratio = (1 - start.cos()) / (1 - angle.cos()) * start.sin() / angle.sin()
    wanted = ratio.log() - SO3.log_volume((3, 3))
    solver = create("solver", "dopri5", rtol=1e-8, atol=1e-8)
    found = log_prob(field, x1, path=path, solver=solver)
    torch.testing.assert_close(found.log_prob, wanted, atol=1e-7, rtol=0)
    reached = vector_of_rotation(found.x0).norm(dim=-1)
    torch.testing.assert_close(reached, start, atol=1e-7, rtol=0)


def test_a_field_from_the_wrong_side_misses_its_rotation():
    # the exact field to one rotation, X log(X'Y) / (1 - t), and the same vector in the other frame
    from fmcore_spaces.so3 import hat, vector_of_rotation

    x0, goal = uniform(SO3, (3, 3), 20), uniform(SO3, (3, 3), 1, "goal")
    path, solver = along(SO3), create("solver", "rk4", steps=40)

    def right(x, t):
        return SO3.log(x, goal.expand_as(x)) / (1 - t)[:, None, None].clamp_min(1e-6)

    def wrong(x, t):
        w = vector_of_rotation(x.mT @ goal)
        return hat(w) @ x / (1 - t)[:, None, None].clamp_min(1e-6)

    ends = [solver.solve(Problem(f, x0, t1=0.99, path=path)).x for f in (right, wrong)]
    away = [SO3.squared_distance(x, goal.expand_as(x)).sqrt().mean() for x in ends]
    assert float(away[0]) < 0.05
    assert float(away[1]) > 0.3


def test_the_velocity_of_a_von_mises_density_gives_it_back():
    # p_t = sum_k q_k sinc(k (1 - t)) e^(ikx) / 2 pi with q_k = I_k / I_0; u = J / p
    concentration, terms = 2.0, torch.arange(1, 40, dtype=torch.float64)
    orders = torch.stack([_bessel(int(k), concentration) for k in terms]) / _bessel(
        0, concentration
    )
    path = along(TORUS)

    def density(x, t):
        waves = (terms * x[:, :1]).cos() * orders * torch.sinc(terms * (1 - t[:, None]))
        return (1 + 2 * waves.sum(1)) / (2 * math.pi)

    def field(x, t):
        a = terms * (1 - t[:, None]) * math.pi
        # d/dt sinc(k (1 - t)) = -k pi d sinc / da
        safe = a.clamp_min(1e-9)
        slope = torch.where(a > 1e-6, (safe.cos() - safe.sin() / safe) / safe, -a / 3)
        change = -terms * math.pi * slope * orders
        flow = -(2 * change * (terms * x[:, :1]).sin() / terms).sum(1) / (2 * math.pi)
        return (flow / density(x, t))[:, None]

    x1 = torch.linspace(-3, 3, 21, dtype=torch.float64)[:, None]
    solver = create("solver", "dopri5", rtol=1e-9, atol=1e-9)
    found = log_prob(field, x1, path=path, solver=solver).log_prob
    wanted = concentration * x1[:, 0].cos() - math.log(2 * math.pi * _bessel(0, concentration))
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


def _bessel(order: int, x: float) -> torch.Tensor:
    """I_k(x), by its integral, exact to rounding with a trapezoid of a periodic function."""
    angle = torch.arange(400, dtype=torch.float64) * (2 * math.pi / 400)
    return (torch.exp(x * angle.cos()) * (order * angle).cos()).mean()


def _twisting(space):
    weights = Rows(1, "field", 0, range(3)).normal((3,), torch.float64)

    def field(x, t):
        flat = x.flatten(1)
        w = torch.stack(
            [(2 * flat[:, 1] + 3 * t).sin(), flat[:, 0] * flat[:, 2] + t, (flat[:, 0] - t).cos()], 1
        )
        if space is SPHERE:
            return space.tangent(x, w @ weights)
        from fmcore_spaces.so3 import hat

        return x @ hat(1.5 * w)

    return field


@pytest.mark.parametrize(("space", "shape"), [CASES[0], CASES[2]], ids=["sphere", "so3"])
@pytest.mark.parametrize(
    ("name", "order"),
    [("euler", 1), ("midpoint", 2), ("heun3", 3), ("rk4", 4), ("ab2", 2), ("ab3", 3)],
)
@pytest.mark.parametrize("grad", ["none", "direct"], ids=["tangents", "ambient"])
def test_solvers_keep_their_order(space, shape, name, order, grad):
    path, field = along(space), _twisting(space)
    x0 = uniform(space, shape, 8)
    exact = create("solver", "dopri8", rtol=1e-12, atol=1e-12).solve(Problem(field, x0, path=path))
    assert set(exact.status.tolist()) == {int(Status.SUCCESS)}
    errors = []
    for steps in (32, 64):
        solution = create("solver", name, steps=steps).solve(
            Problem(field, x0, path=path, grad=grad)
        )
        errors.append(float((solution.x - exact.x).abs().max()))
        space.require(solution.x, "a solution")
    assert math.log2(errors[0] / errors[1]) > order - 0.25


def test_euler_steps_on_the_torus_wrap():
    x0 = torch.tensor([[3.0], [-3.0]], dtype=torch.float64)
    path = along(TORUS)
    solution = create("solver", "euler", steps=4).solve(
        Problem(lambda x, t: torch.full_like(x, 2.0), x0, path=path, times=[0.5])
    )
    wanted = torch.tensor([[5.0 - 2 * math.pi], [-1.0]], dtype=torch.float64)
    torch.testing.assert_close(solution.x, wanted)
    torch.testing.assert_close(
        solution.trajectory[0], torch.remainder(x0 + 1 + math.pi, 2 * math.pi) - math.pi
    )


def test_data_and_velocity_turn_into_each_other():
    path = along(SPHERE)
    xt, x1 = uniform(SPHERE, (3,), 30), uniform(SPHERE, (3,), 30, "ends")
    t = torch.full((30,), 0.3, dtype=torch.float64)
    velocity = path.convert(x1, xt, t, source="data", target="velocity")
    assert float((velocity * xt).sum(1).abs().max()) < 1e-12
    back = path.convert(velocity, xt, t, source="velocity", target="data")
    torch.testing.assert_close(back, x1, atol=1e-9, rtol=0)
    with pytest.raises(ComponentError, match="cannot turn noise into velocity"):
        path.convert(x1, xt, t, source="noise", target="velocity")


def test_states_that_are_no_points_are_refused_by_shape():
    problem = Problem(lambda x, t: x, torch.zeros(2, 5), path=along(SPHERE))
    with pytest.raises(ComponentError, match="trailing shape"):
        create("solver", "euler", steps=2).solve(problem)

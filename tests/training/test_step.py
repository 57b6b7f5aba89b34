"""The losses of one step, and the network as an objective may call it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from fmcore import ComponentError, Gaussian, Objective, Path, PathSample, VectorField, create
from fmcore.interfaces.model import Prepared
from fmcore.training.step import Step

N = 4


class Asks(Objective):
    """Calls `ask(net, batch)` and gives the losses that it returns."""

    prediction = "velocity"
    times = ()

    def __init__(self, ask, names=("own",)):
        self.ask, self.names = ask, names

    @property
    def loss_names(self):
        return self.names

    def draw(self, n, generator, part=(0, 1)):
        return {}

    def losses(self, net, path, batch):
        return self.ask(net, batch)


class Prepares(VectorField):
    """Returns x; `prepare` gives what the test wants."""

    def __init__(self, prepared=None, loss_names=()):
        super().__init__()
        self.prepared, self.loss_names = prepared or Prepared(None), loss_names
        self.weight = nn.Parameter(torch.ones(()))

    def prepare(self, condition, x1=None):
        return replace(self.prepared, condition=condition)

    def forward(self, x, t, condition=None):
        return self.weight * x


def rows(*values):
    return torch.tensor(values)


def one_step(ask, model=None, names=("own",), condition=None, shape=(2,), z=None, **options):
    step = Step(model or Prepares(), Asks(ask, names), create("path", "linear"), **options)
    x0, x1 = torch.full((N, *shape), 2.0), torch.full((N, *shape), 3.0)
    return step(x0, x1, z, condition, {})


def seen(ask, **options):
    """What `ask(net, batch)` returns inside a step."""
    found = []

    def losses(net, batch):
        found.append(ask(net, batch))
        return {"own": torch.zeros(N)}

    one_step(losses, **options)
    return found[0]


def mlp(**options):
    torch.manual_seed(0)
    return create("model", "mlp", shape=(2,), width=16, depth=2, **options)


def test_the_loss_is_the_weighted_sum_of_the_means_and_each_mean_is_unweighted():
    own = {"a": rows(1.0, 2.0, 3.0, 4.0), "b": rows(8.0, 8.0, 8.0, 8.0)}
    model = Prepares(Prepared(None, losses={"aux": rows(1.0, 1.0, 1.0, 5.0)}), ("aux",))
    weights = {"a": 2.0, "b": 0.5}
    total, means = one_step(lambda net, batch: own, model, ("a", "b"), loss_weights=weights)
    assert means.tolist() == [2.5, 8.0, 2.0]
    assert total == 2 * 2.5 + 0.5 * 8 + 2
    total, _ = one_step(lambda net, batch: own, model, ("a", "b"))
    assert total == 2.5 + 8 + 2


@pytest.mark.parametrize("given", [["own", "more"], [], ["other"]])
def test_losses_of_other_names_than_declared_are_refused(given):
    with pytest.raises(ComponentError, match=r"gave the losses \[.*\], but declare \['own'\]"):
        one_step(lambda net, batch: {name: torch.zeros(N) for name in given})


def test_losses_out_of_their_order_are_refused():
    with pytest.raises(ComponentError, match=r"gave the losses \['b', 'a'\], but declare"):
        one_step(lambda net, batch: {n: torch.zeros(N) for n in ("b", "a")}, names=("a", "b"))


def test_a_weight_of_an_unknown_loss_is_refused_with_the_known_ones():
    with pytest.raises(ComponentError, match="no loss named 'ownn'; losses: own, more"):
        one_step(None, names=("own", "more"), loss_weights={"own": 1.0, "ownn": 2.0})


def test_objective_and_network_may_not_share_the_name_of_a_loss():
    with pytest.raises(ComponentError, match="at least one, and no name twice"):
        one_step(None, Prepares(loss_names=("own",)))
    with pytest.raises(ComponentError, match="at least one, and no name twice"):
        one_step(None, names=())


def test_the_derivative_is_that_of_central_differences():
    model = mlp(span=True).double()
    g = torch.Generator().manual_seed(1)
    x, dx = (torch.randn(N, 2, generator=g, dtype=torch.float64) for _ in range(2))
    t, until, dt, duntil = (torch.rand(N, generator=g, dtype=torch.float64) for _ in range(4))
    value, derivative = seen(
        lambda net, batch: net.jvp(x, t, until, dx=dx, dt=dt, duntil=duntil), model=model
    )
    h = 1e-5

    def along(s):
        return model(x + s * dx, t + s * dt, until=until + s * duntil).detach()

    torch.testing.assert_close(derivative, (along(h) - along(-h)) / (2 * h), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(value.detach(), along(0.0))
    assert value.requires_grad
    assert not derivative.requires_grad


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("used", [[1, 2], [], [0, 1, 2, 3]])
def test_rows_have_their_derivative_where_it_is_used_and_none_elsewhere(used, dropout):
    model = mlp(span=True, classes=3, dropout=dropout).double()
    g = torch.Generator().manual_seed(1)
    x, dx = (torch.randn(N, 2, generator=g, dtype=torch.float64) for _ in range(2))
    t, until = (torch.rand(N, generator=g, dtype=torch.float64) for _ in range(2))
    rows = torch.zeros(N, dtype=torch.bool)
    rows[used] = True

    def ask(net, batch):
        torch.manual_seed(0)
        every = net.jvp(x, t, until, dx=dx, dt=torch.ones_like(t))
        torch.manual_seed(0)
        return every, net.jvp(x, t, until, dx=dx, dt=torch.ones_like(t), rows=rows)

    label = torch.tensor([0, 1, 2, 1])
    (value, wanted), (again, found) = seen(ask, model=model, condition={"label": label})
    torch.testing.assert_close(again, value)
    torch.testing.assert_close(found[rows], wanted[rows])
    assert found[~rows].count_nonzero() == 0
    assert wanted.count_nonzero() > 0


def test_the_second_time_stays_where_no_direction_is_given():
    model = mlp(span=True).double()
    x, t = torch.ones(N, 2, dtype=torch.float64), torch.full((N,), 0.3, dtype=torch.float64)
    until, one = t + 0.4, torch.ones_like(t)
    zero = torch.zeros_like(t)
    implied, stated = (
        seen(lambda net, batch, m=more: net.jvp(x, t, until, dx=x, dt=one, **m)[1], model=model)
        for more in ({}, {"duntil": zero})
    )
    torch.testing.assert_close(implied, stated)


def test_without_gives_the_null_class_to_every_row():
    model, t = mlp(classes=3), torch.full((N,), 0.5)
    label = torch.tensor([0, 1, 2, 1])
    x = torch.ones(N, 2)
    with_label, null = seen(
        lambda net, batch: (net(x, t), net.without("label")(x, t)),
        model=model,
        condition={"label": label},
    )
    torch.testing.assert_close(null, model(x, t, {"label": torch.full((N,), -1)}))
    torch.testing.assert_close(with_label, model(x, t, {"label": label}))
    assert not torch.allclose(null, with_label)


def test_without_a_condition_that_is_missing_is_refused_with_those_there():
    with pytest.raises(ComponentError, match=r"'text', which is missing; conditions: label"):
        seen(
            lambda net, batch: net.without("text"),
            model=mlp(classes=3),
            condition={"label": torch.zeros(N, dtype=torch.long)},
        )


def test_averaged_is_the_network_with_the_weights_of_the_average():
    model, t, x = mlp(classes=3), torch.full((N,), 0.5), torch.ones(N, 2)
    average = mlp(classes=3)
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.add_(0.1)
    condition = {"label": torch.tensor([0, 1, 2, 1])}
    plain, averaged, null = seen(
        lambda net, batch: (
            net(x, t),
            net.averaged()(x, t),
            net.without("label").averaged()(x, t),
        ),
        model=model,
        condition=condition,
        average=average.state_dict,
    )
    torch.testing.assert_close(averaged, average(x, t, condition))
    torch.testing.assert_close(null, average(x, t, None))
    assert plain.requires_grad
    assert not averaged.requires_grad
    assert not torch.allclose(plain, averaged)


class Embeds(VectorField):
    """Prepares its condition with weights of its own."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(3, 2)

    def prepare(self, condition, x1=None):
        return Prepared({"embedded": self.table(condition["label"])})

    def forward(self, x, t, condition=None):
        return x + condition["embedded"]


def test_averaged_prepares_the_condition_with_the_average_too():
    model, label, x = Embeds(), torch.tensor([0, 1, 2, 1]), torch.ones(N, 2)
    table = torch.arange(6.0).reshape(3, 2)
    averaged = seen(
        lambda net, batch: net.averaged()(x, torch.zeros(N)),
        model=model,
        condition={"label": label},
        average=lambda: {"table.weight": table},
    )
    torch.testing.assert_close(averaged, x + table[label])


class Drops(Prepares):
    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x, t, condition=None):
        return self.dropout(super().forward(x, t))


def test_the_average_is_evaluated_without_dropout_and_the_network_keeps_it():
    model, x, t = Drops().train(), torch.ones(64, 8), torch.zeros(64)
    averaged, plain = seen(
        lambda net, batch: (net.averaged()(x, t), net(x, t)),
        model=model,
        average=model.state_dict,
    )
    assert torch.equal(averaged, x)
    assert (plain == 0).any()


def test_the_derivative_uses_the_dropout_mask_of_the_value():
    x = torch.ones(64, 8)
    value, derivative = seen(
        lambda net, batch: net.jvp(x, torch.zeros(64), dx=x, dt=torch.zeros(64)),
        model=Drops().train(),
    )
    torch.testing.assert_close(derivative, value.detach())  # linear in x, and dx = x


def test_averaged_is_refused_without_an_average():
    with pytest.raises(ComponentError, match=r"moving average .*: set train\.ema"):
        seen(lambda net, batch: net.averaged())


def test_an_unknown_teacher_is_refused():
    with pytest.raises(ComponentError, match="no teacher 'big'; teachers of this objective: none"):
        seen(lambda net, batch: net.teacher("big"))


@dataclass(frozen=True)
class Places(Path):
    """Keeps its arguments, so that a test can read them."""

    def sample(self, x0, x1, t, z=None):
        return PathSample(x0, x1, t, x0, x1 if z is None else z)

    def bridge(self):
        return Gaussian()

    def noise(self):
        return Gaussian()

    def prior(self):
        return Gaussian()


def test_a_crop_cuts_noise_data_bridge_and_mask_row_by_row():
    place = torch.arange(10.0).expand(N, 3, 10)
    start = torch.tensor([0, 3, 7, 5])
    mask = (place[:, :1] < 8).float()
    batches = []

    def ask(net, batch):
        batches.append(batch)
        return {"own": torch.zeros(N)}

    model = Prepares(Prepared(None, crop=(start, 3)))
    step = Step(model, Asks(ask), Places())
    step(place + 100, place + 200, place + 300, {"mask": mask}, {})
    (batch,) = batches
    wanted = (start[:, None] + torch.arange(3)).float()[:, None].expand(N, 3, 3)
    kept = (wanted[:, :1] < 8).float()
    assert torch.equal(batch.condition["mask"], kept)
    assert torch.equal(batch.x0, (wanted + 100) * kept)
    assert torch.equal(batch.x1, wanted + 200)
    assert torch.equal(batch.z, wanted + 300)


def test_noise_is_0_where_the_mask_is_0():
    mask = torch.tensor([[1.0, 0.0]]).expand(N, 2)
    x0, x1 = seen(lambda net, batch: (batch.x0, batch.x1), condition={"mask": mask})
    assert torch.equal(x0, 2 * mask)
    assert torch.equal(x1, torch.full((N, 2), 3.0))


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_the_network_alone_is_narrow(precision):
    x, t = torch.ones(N, 2), torch.zeros(N)

    def ask(net, batch):
        inner = []
        hook = model.layers[0].register_forward_hook(lambda m, i, output: inner.append(output))
        value, derivative = net(x, t), net.jvp(x, t, dx=x, dt=t)[1]
        hook.remove()
        return inner[0].dtype, value.dtype, derivative.dtype

    model = mlp()
    narrow, value, derivative = seen(ask, model=model, precision=precision)
    assert (narrow, value) == (precision, torch.float32)
    assert derivative == torch.float32

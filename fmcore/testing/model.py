"""Checks of the laws of `VectorField`, on one network."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import torch
from torch import Tensor

from fmcore.interfaces.condition import ConditionSpec, without
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.source import Condition
from fmcore.testing.checks import generator, require, require_close, require_equal, skip
from fmcore.testing.conditions import random_condition
from fmcore.testing.suite import Suite

__all__ = ["ModelSuite"]

PERTURBATION = 0.05
"""The standard deviation of the noise that is added to the weights: many networks are zero at
initialisation, and a zero network passes most checks."""


class ModelSuite(Suite):
    """Override `component()` to build the network for data of `shape`; set `classes` if it takes
    labels, and `entries` to the other conditions that the data give.

    The checks add random noise to the weights, so that no layer is zero.
    """

    shape: tuple[int, ...] = (3, 8, 8)
    classes: int = 0
    span: bool = False
    entries: Mapping[str, ConditionSpec] = MappingProxyType({})

    def condition(self, n: int) -> dict[str, Tensor]:
        """Return raw conditions of `n` rows, which differ from row to row: a label, the `entries`
        and their flags.

        A `mask` leaves out the end of the last axis, of another length in each row.  Integer
        entries are 0 or 1: override it for others.
        """
        label = {"label": torch.arange(n) % (self.classes or 1)}
        return label | random_condition(self.entries, n)

    def test_is_a_vector_field_with_closed_options(self) -> None:
        """A model derives from VectorField; its options are typed keywords, without *args,
        **kwargs.
        """
        model = _built(self)
        require(isinstance(model, VectorField), f"{type(model).__name__} is not a VectorField")
        for option in inspect.signature(type(model).__init__).parameters.values():
            if option.name == "self":
                continue
            require(
                option.kind in (option.POSITIONAL_OR_KEYWORD, option.KEYWORD_ONLY),
                f"the constructor takes *{option.name}, which accepts misspelt options",
            )
            require(option.annotation is not option.empty, f"option '{option.name}' has no type")

    def test_gives_the_shape_and_dtype_of_x(self) -> None:
        """The result has x's shape and dtype, for one row and for several."""
        model = _perturbed(self)
        for batch in (1, 3):
            y = _evaluated(model, *_arguments(self, batch))
            x = _arguments(self, batch)[0]
            require(
                y.shape == x.shape,
                f"the result has shape {tuple(y.shape)} for x of shape {tuple(x.shape)}",
            )
            require(y.dtype == x.dtype, f"the result is {y.dtype} for x of {x.dtype}")
            require(bool(y.isfinite().all()), "the result is not finite")

    def test_rows_are_independent(self) -> None:
        """Row i depends on row i of x, t and the condition alone, in evaluation and in training."""
        model = _perturbed(self)
        x, t, condition = _arguments(self, 4)
        together = _evaluated(model, x, t, condition)
        for i in range(4):
            alone = _evaluated(model, x[i : i + 1], t[i : i + 1], _row(condition, i))
            require_close(
                alone,
                together[i : i + 1],
                f"row {i} alone, and in a batch of 4",
                **_rounding(together),
            )
        model.train()
        other = torch.cat([3 * x[:1] + 1, x[1:]])
        before, after = (_seeded(model, points, t, condition) for points in (x, other))
        require_close(
            after[1:],
            before[1:],
            "in training mode, rows 1 to 3 after row 0 changed (batch statistics?)",
            **_rounding(before),
        )

    def test_padding_does_not_matter(self) -> None:
        """With a `mask`, row i is the same alone at its own length as padded in a batch: the
        results, and in training the auxiliary losses; what is in the padding does not matter."""
        if "mask" not in self.entries:
            skip("the data give no mask")
        model = _perturbed(self)
        x, t, condition = _arguments(self, 3)
        mask = condition["mask"].to(x.dtype)
        together = mask * _evaluated(model, x * mask, t, condition)
        losses = model.prepare(condition, x * mask).losses
        for i, cut in enumerate(_lengths(condition["mask"])):
            own = _cut(_row(condition, i), cut, self.shape[-1])
            row = (x * mask)[i : i + 1, ..., :cut]
            try:
                alone = _evaluated(model, row, t[i : i + 1], own)
                own_losses = model.prepare(own, row).losses
            except RuntimeError as error:
                skip(f"it takes rows of {self.shape[-1]} elements only: {error}")
            require_close(
                mask[i : i + 1, ..., :cut] * alone,
                together[i : i + 1, ..., :cut],
                f"row {i} alone, and padded from {cut} to {self.shape[-1]} elements",
                **_rounding(together, 1e-5),
            )
            for name, loss in losses.items():
                require_close(
                    own_losses[name],
                    loss[i : i + 1],
                    f"loss '{name}' of row {i} alone, and padded",
                    **_rounding(loss, 1e-5),
                )

    def test_auxiliary_losses_are_those_declared(self) -> None:
        """In training, `prepare` gives the losses of `loss_names` in their order, `(batch,)` each;
        row i depends on row i alone."""
        model = _perturbed(self)
        x, _, condition = _arguments(self, 3)
        losses = model.prepare(condition, x).losses
        require(
            tuple(losses) == tuple(model.loss_names),
            f"prepare gives the losses {list(losses)}, declared are {list(model.loss_names)}",
        )
        for name, loss in losses.items():
            require(loss.shape == (3,), f"loss '{name}' has shape {tuple(loss.shape)}, not (3,)")
            for i in range(3):
                alone = model.prepare(_row(condition, i), x[i : i + 1]).losses[name]
                require_close(
                    alone, loss[i : i + 1], f"loss '{name}' of row {i} alone", **_rounding(loss)
                )

    def test_depends_on_time(self) -> None:
        """Times that differ by a thousandth of the interval, or by less, give different results."""
        model = _perturbed(self)
        x, _, condition = _arguments(self, 1)
        # the last two are in one thousandth: a network that rounds to 1000 steps gives them as one
        for early, late in ((0.0, 1.0), (0.5, 0.501), (0.3002, 0.3008)):
            results = [_evaluated(model, x, torch.tensor([t]), condition) for t in (early, late)]
            change = float((results[1] - results[0]).abs().max() / results[0].abs().max())
            require(
                change > 1e-6,
                f"t = {early} and t = {late} give the same result (relative change {change:.1e}): "
                "t is in [0, 1], and a network that counts in steps must scale it, and not round",
            )

    def test_time_leaves_the_effect_of_x(self) -> None:
        """The difference that x makes, relative to the result, is not 8 times less at t = 1 than at
        t = 0: a network that counts in 1000 steps needs an embedding of bounded size."""
        changes = []
        for seed in range(4):  # that of one network varies by a factor of 2
            model = _perturbed(self, seed)
            x, _, condition = _arguments(self, 8)
            condition = {name: value[:1].expand_as(value) for name, value in condition.items()}
            start, end = (_effect(model, x, torch.full((8,), t), condition) for t in (0.0, 1.0))
            changes.append(math.log(max(end, 1e-6) / max(start, 1e-6)))
        change = math.exp(sum(changes) / len(changes))
        require(
            change > 1 / 8,
            f"the relative effect of x at t = 1 is {change:.2g} times that at t = 0: is a large "
            "multiple of t an input of a layer?",
        )

    def test_the_null_class_is_the_default(self) -> None:
        """Without a condition, every row has the null class, -1; a network without labels ignores
        them."""
        model = _perturbed(self)
        x, t, condition = _arguments(self, 3)
        condition.pop("label")
        absent = _evaluated(model, x, t, condition or None)
        for label in (-1,) if self.classes else (0, 1, -1):
            labels = torch.full((3,), label)
            require_close(
                _evaluated(model, x, t, {**condition, "label": labels}),
                absent,
                f"with label {label}, compared with no condition (a network with labels declares "
                "their number as `classes`)",
                **_rounding(absent),
            )

    def test_depends_on_the_class(self) -> None:
        """Every class gives another result than the null class, and the network declares the number
        of classes as `classes`, which sampling and guidance read."""
        if self.classes == 0:
            skip("takes no labels")
        model = _perturbed(self)
        declared = getattr(model, "classes", 0)
        require(
            declared == self.classes,
            f"the network's attribute `classes` is {declared}, should be {self.classes}: sampling "
            "and guidance read it",
        )
        x, t, condition = _arguments(self, 1)
        labels = range(-1, min(self.classes, 4))
        results = [
            _evaluated(model, x, t, {**condition, "label": torch.tensor([label])})
            for label in labels
        ]
        for label, (one, next_one) in enumerate(itertools.pairwise(results)):
            require(
                not torch.equal(one, next_one),
                f"labels {label - 1} and {label} give the same result",
            )

    def test_reads_the_entries_that_it_declares_and_no_others(self) -> None:
        """Entries of the data that `reads` names change the result, or an auxiliary loss, also by
        their null value; others do not."""
        model = _perturbed(self)
        x, t, condition = _arguments(self, 3)
        before = _everything(model, x, t, condition)
        unknown = model.reads - self.entries.keys() - {"label"}
        require(
            not unknown,
            f"reads names {sorted(unknown)}, which the suite's `entries` do not declare",
        )
        for name, spec in self.entries.items():
            changed: list[Condition] = [{**condition, name: _other_value(name, condition[name])}]
            if spec.droppable:
                changed.append(without(condition, [name]))
            for other in changed:
                difference = (_everything(model, x, t, other) - before).abs().amax(1)
                if name in model.reads:
                    require(
                        bool((difference > 0).all()),
                        f"'{name}' is in reads, and another value of it gives the same result",
                    )
                else:
                    require(
                        not bool(difference.any()),
                        f"'{name}' is not in reads, and another value of it changes the result",
                    )

    def test_evaluation_is_deterministic(self) -> None:
        """In evaluation mode the result is a function of the arguments: the network draws no random
        numbers and keeps no state."""
        model = _perturbed(self)
        arguments = _arguments(self, 2)
        state = torch.get_rng_state()
        first, second = _evaluated(model, *arguments), _evaluated(model, *arguments)
        require(
            torch.equal(torch.get_rng_state(), state),
            "the network drew from torch's global generator in evaluation mode",
        )
        require_equal(second, first, "a second evaluation at the same arguments")

    def test_does_not_modify_its_arguments(self) -> None:
        """x, t and the condition are not modified in place."""
        model = _perturbed(self)
        x, t, condition = _arguments(self, 2)
        before = [x.clone(), t.clone()]
        entries = {name: value.clone() for name, value in condition.items()}
        _evaluated(model, x, t, condition)
        require_equal(x, before[0], "x after the evaluation")
        require_equal(t, before[1], "t after the evaluation")
        for name, value in entries.items():
            require_equal(condition[name], value, f"the {name} after the evaluation")

    def test_the_state_dict_is_the_whole_state(self) -> None:
        """A network that loads another's state dict gives the other's results."""
        model, other = _perturbed(self), _built(self, seed=1)
        other.load_state_dict(model.state_dict())
        arguments = _arguments(self, 2)
        wanted = _evaluated(model, *arguments)
        # not to the bit: with and without gradients, layers of torch take different kernels
        require_close(
            _evaluated(other, *arguments),
            wanted,
            "after loading the state dict",
            **_rounding(wanted),
        )

    def test_initial_weights_depend_on_the_seed_alone(self) -> None:
        """Two networks built after the same `torch.manual_seed` have equal weights."""
        first, second = (_built(self).state_dict() for _ in range(2))
        for name, tensor in first.items():
            require_equal(second[name], tensor, f"{name}, built twice from the same seed")

    def test_runs_under_bfloat16_autocast(self) -> None:
        """Under bfloat16 autocast the result is within 10 % of the float32 result."""
        model = _perturbed(self)
        arguments = _arguments(self, 2)
        exact = _evaluated(model, *arguments)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = _evaluated(model, *arguments)
        require(bool(rounded.isfinite().all()), "the result is not finite under bfloat16 autocast")
        error = float((rounded.float() - exact).norm() / exact.norm())
        require(
            error < 0.1,
            f"bfloat16 autocast changes the result by {error:.0%}: keep time, norms and sums in "
            "float32",
        )

    def test_every_parameter_is_trained(self) -> None:
        """The gradient of a loss, or of an auxiliary loss, reaches every parameter."""
        model = _perturbed(self).requires_grad_(True)
        batch = max(4, self.classes)
        x, t, condition = _arguments(self, batch)
        prepared = model.prepare(condition, x)
        losses = [loss.sum() for loss in prepared.losses.values()]
        result = model(x, t, prepared.condition).square().sum()
        torch.autograd.backward(result + sum(losses, torch.zeros(())))
        for name, parameter in model.named_parameters():
            gradient = parameter.grad
            require(
                gradient is not None and bool((gradient != 0).any()),
                f"no gradient reaches '{name}' {tuple(parameter.shape)}",
            )

    def test_x_has_a_gradient(self) -> None:
        """The result is differentiable in x, which likelihoods need."""
        model = _perturbed(self)
        x, t, condition = _arguments(self, 2)
        x.requires_grad_(True)
        y = _evaluated(model, x, t, condition)
        require(y.requires_grad, "the result is detached from x: does the network use no_grad?")
        (gradient,) = torch.autograd.grad(y.square().sum(), x, allow_unused=True)
        require(
            gradient is not None and bool((gradient != 0).any() and gradient.isfinite().all()),
            "the gradient in x is zero or not finite",
        )

    def test_runs_on_the_meta_device(self) -> None:
        """Built and run under `torch.device("meta")`, the network has the same parameters and
        shapes, which a dry run counts.
        """
        real = {name: tensor.shape for name, tensor in _built(self).state_dict().items()}
        with torch.device("meta"):
            model = self.component()
            x, t = torch.empty(2, *self.shape), torch.empty(2)
        condition = {k: v.to("meta") for k, v in self.condition(2).items()}
        planned = {name: tensor.shape for name, tensor in model.state_dict().items()}
        require(planned == real, "the state dict on the meta device has other names or shapes")
        for name, tensor in model.state_dict().items():
            require(tensor.is_meta, f"'{name}' was made on {tensor.device}, not the default device")
        y = _evaluated(model, x, t, condition)
        require(y.is_meta and y.shape == x.shape, "running on the meta device gave a real tensor")


def _built(suite: ModelSuite, seed: int = 0) -> VectorField:
    """Return the initial network in evaluation mode; the global generator keeps its state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: VectorField = suite.component()
    return model.eval()


def _perturbed(suite: ModelSuite, seed: int = 0) -> VectorField:
    """Return the network with random noise added to its weights, without gradients for them."""
    model, random = _built(suite, seed).requires_grad_(False), generator(1 + seed)
    for parameter in model.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=random), alpha=PERTURBATION)
    return model


def _arguments(suite: ModelSuite, batch: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return x, t and a raw condition that differ from row to row."""
    x = torch.randn(batch, *suite.shape, generator=generator(2))
    return x, torch.linspace(0.1, 0.9, batch), suite.condition(batch)


def _evaluated(model: VectorField, x: Tensor, t: Tensor, raw: Condition | None) -> Tensor:
    """Return the result under a raw condition, which the network prepares first."""
    result: Tensor = model(x, t, model.prepare(raw).condition)
    return result


def _other_value(name: str, value: Tensor) -> Tensor:
    """Return another value of an entry in every row."""
    if name == "mask":
        return torch.ones_like(value)
    if value.is_floating_point():
        return value + 1
    return ~value if value.dtype == torch.bool else 1 - value


def _everything(model: VectorField, x: Tensor, t: Tensor, raw: Condition) -> Tensor:
    """Return the result and the auxiliary losses of each row, `(batch, numbers)`."""
    losses = [loss[:, None] for loss in model.prepare(raw, x).losses.values()]
    return torch.cat([_evaluated(model, x, t, raw).flatten(1), *losses], 1)


def _effect(model: VectorField, x: Tensor, t: Tensor, condition: Condition) -> float:
    """Return the mean difference between results of neighbouring rows over their mean size."""
    result = _evaluated(model, x, t, condition).double()
    return float((result[1:] - result[:-1]).norm() / result.norm())


def _row(condition: Condition, i: int) -> dict[str, Tensor]:
    return {name: value[i : i + 1] for name, value in condition.items()}


def _seeded(model: VectorField, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
    """Return the result in training mode, with the same dropout at every call."""
    with _from_seed(0):
        return _evaluated(model, x, t, condition)


@contextmanager
def _from_seed(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _lengths(mask: Tensor) -> list[int]:
    """Return the number of elements of the last axis that exist in each row."""
    exists: Tensor = mask.bool().flatten(1, -2).any(1) if mask.ndim > 2 else mask.bool()
    return exists.sum(1).tolist()


def _cut(condition: Condition, length: int, whole: int) -> dict[str, Tensor]:
    """Return the entries cut to `length` elements of the last axis, where it has `whole`."""
    return {
        name: value[..., :length] if value.ndim > 1 and value.shape[-1] == whole else value
        for name, value in condition.items()
    }


def _rounding(result: Tensor, of: float = 1e-4) -> dict[str, float]:
    """Return tolerances for float32 sums in another order, for results of this size."""
    return {"rtol": of, "atol": of * float(result.detach().abs().max())}

"""Checks of the laws of `Callback`, on one callback."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.callback import Callback, TrainingView
from fmcore.testing.checks import generator, require, untouched_randomness
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite
from fmcore.training.callbacks import Callbacks, Moment, Whole

__all__ = ["CallbackSuite"]

MOMENTS: tuple[Moment, Moment] = ("after_backward", "after_step")


class CallbackSuite(ComponentChecks, Suite):
    """Override `component()` to build the callback.

    It sees three weights with gradients and averages, and a loss that is their mean square.
    """

    interface = Callback

    def view(self, moment: Moment, seed: int = 0, step: int | None = None) -> TrainingView:
        """Return what the callback sees at one step, with weights drawn from `seed`."""
        every = self.component().every
        return _view(moment, every if step is None else step, seed)[0]

    def test_every_is_a_positive_number(self) -> None:
        """`every`, the number of steps between two calls, is an integer of at least 1."""
        every = self.component().every
        require(isinstance(every, int) and every >= 1, f"every is {every!r}, should be 1 or more")

    def test_gives_finite_numbers_by_name(self) -> None:
        """A call gives None, or finite floats or tensors of one element by name; at least one of
        both methods gives some."""
        given = 0
        for moment in MOMENTS:
            numbers = self._numbers(moment, self.view(moment))
            given += len(numbers)
            for name, value in numbers.items():
                require(isinstance(name, str) and name != "", f"{name!r} is no name of a number")
                single = not isinstance(value, Tensor) or value.numel() == 1
                good = isinstance(value, int | float | Tensor) and single
                require(good and math.isfinite(value), f"'{name}' is {value!r}, no finite number")
        require(given > 0, "neither after_backward nor after_step gives a number")

    def test_gives_the_same_names_at_every_call(self) -> None:
        """The names do not depend on the step or the weights."""
        every = self.component().every
        for moment in MOMENTS:
            first = list(self._numbers(moment, self.view(moment)))
            later = list(self._numbers(moment, self.view(moment, 1, 50 * every)))
            require(first == later, f"{moment} gives {first}, and later {later}")

    def test_keeps_no_state(self) -> None:
        """Equal views give equal numbers, whatever was seen in between."""
        callback = self.component()
        for moment in MOMENTS:
            values = []
            for seed in (0, 1, 0):
                given = getattr(callback, moment)(self.view(moment, seed)) or {}
                # a law of its own is about what is no number
                values.append({k: v for k, v in given.items() if _is_number(v)})
            first, _, again = ({k: float(v) for k, v in one.items()} for one in values)
            require(first.keys() == again.keys(), f"{moment} gives other names a second time")
            for name, value in first.items():
                require(
                    value == again[name] or value != value,
                    f"'{name}' of equal views is {value} and then {again[name]}",
                )

    def test_changes_nothing(self) -> None:
        """It changes no weight, gradient or average."""
        for moment in MOMENTS:
            view, guarded = _view(moment, self.component().every, 0)
            try:
                Callbacks([self.component()]).call(moment, view, guarded)
            except ComponentError as error:
                require("changed" not in str(error), str(error))

    def test_uses_no_global_generator(self) -> None:
        """It draws from no global generator: a resumed training would draw other numbers."""
        with untouched_randomness("the callback"):
            for moment in MOMENTS:
                getattr(self.component(), moment)(self.view(moment))

    def _numbers(self, moment: Moment, view: TrainingView) -> Mapping[str, float | Tensor]:
        given = getattr(self.component(), moment)(view)
        found = type(given).__name__
        require(given is None or isinstance(given, Mapping), f"{moment} gives a {found}")
        return given or {}


def _view(moment: Moment, step: int, seed: int) -> tuple[TrainingView, dict[str, Tensor]]:
    """Return a view, and every tensor behind it."""
    g = generator(seed)
    shapes = {"stem.weight": (4, 3), "stem.bias": (4,), "head.weight": (2, 4)}
    weights, gradients, averages = (
        {name: torch.randn(shape, generator=g) for name, shape in shapes.items()} for _ in range(3)
    )

    def loss(given: Mapping[str, Tensor] | None) -> Tensor:
        tensors = list((weights if given is None else given).values())
        return torch.cat([tensor.flatten() for tensor in tensors]).square().mean()

    view = TrainingView(
        step=step,
        steps=1000 * step,
        weights=Whole(weights),
        gradients=Whole(gradients if moment == "after_backward" else {}),
        average=Whole(averages),
        loss_with=loss,
    )
    guarded = {f"the weight '{n}'": t for n, t in weights.items()}
    guarded |= {f"the gradient of '{n}'": t for n, t in gradients.items()}
    guarded |= {f"the average of '{n}'": t for n, t in averages.items()}
    return view, guarded


def _is_number(value: object) -> bool:
    single = not isinstance(value, Tensor) or value.numel() == 1
    return isinstance(value, int | float | Tensor) and single

"""Checks of the laws of `Guidance`, on one guidance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, cast, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.flow.field import Field
from fmcore.interfaces.condition import null_rows
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.field import Predictor
from fmcore.interfaces.guidance import Guidance, Guided
from fmcore.interfaces.model import Prepared, VectorField
from fmcore.interfaces.objective import Objective
from fmcore.interfaces.path import AffinePath, Coefficients, Quantity
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.source import Condition
from fmcore.testing.checks import generator, require, require_close, untouched_randomness
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["GuidanceSuite"]

TIMES = (0.05, 0.25, 0.4, 0.55, 0.7, 0.95)
CLASSES = ("the first class", "the second class", "the third class")
NEAR = 1e-6
"""The distance of an option from its neutral value at which guidance is almost none."""


class GuidanceSuite(ComponentChecks, Suite):
    """Override `component()` to build the guidance, and `shape` if it refuses points of 2 numbers.

    The field follows a straight path.  Its network reads a label below 3, which its `prepare`
    consumes.
    """

    interface = Guidance
    shape: ClassVar[tuple[int, ...]] = (2,)
    dtype: ClassVar[torch.dtype] = torch.float64
    """That of x; float32 for a guidance with a network in float32."""

    def named(self) -> Guidance:
        """Return the guidance with a name of `CLASSES` for each class in its options; without
        classes in them, `component()`.
        """
        guidance: Guidance = self.component()
        return guidance

    def field(self) -> Predictor:
        """Return a field to guide."""
        return Field(_Labelled(), _Straight(), cast("Objective", _Velocity()))

    def x(self) -> Tensor:
        """Return one point for each of the times."""
        return torch.randn((len(TIMES), *self.shape), generator=generator(1), dtype=self.dtype)

    def times(self) -> Tensor:
        """Return the times of the points."""
        return torch.tensor(TIMES, dtype=self.dtype)

    def require_close(self, found: Tensor, wanted: Tensor, message: str) -> None:
        """Require equality to rounding in `dtype`."""
        near = 1e-9 if self.dtype == torch.float64 else 1e-4
        require_close(found, wanted, message, rtol=near, atol=near)

    def condition(self, n: int = len(TIMES)) -> dict[str, Tensor]:
        """Return the raw condition of `n` rows: a label, and the guidance's own entries.

        Entries are made from data points by `measure`; others are null.
        """
        guidance = self.component()
        x1 = torch.randn((n, *self.shape), generator=generator(2), dtype=self.dtype)
        own = guidance.measure(x1, Rows(3, "measurement", 0, range(n)))
        for name, spec in guidance.entries(self.shape).items():
            if name not in own:
                own |= null_rows(name, spec, n)
        return {"label": torch.arange(n) % 3, **own}

    def predict(
        self, guidance: Guidance, target: Quantity = "velocity", rows: Any = slice(None)
    ) -> Tensor:
        """Return the guided prediction of some rows, each at a time of its own."""
        field = guidance.wrap(self.field())
        with torch.no_grad():
            condition = field.prepare(self.condition())
            return field.predict(self.x()[rows], self.times()[rows], _some(condition, rows), target)

    def plain(self, target: Quantity = "velocity") -> Tensor:
        """Return the prediction without guidance."""
        field = self.field()
        with torch.no_grad():
            return field.predict(self.x(), self.times(), field.prepare(self.condition()), target)

    def test_neutral_options_are_no_guidance(self) -> None:
        """With the options `neutral` the guided field is the field, with as many evaluations; close
        to them it is close to the field.
        """
        guidance = self.component()
        neutral = replace(guidance, **guidance.neutral)
        self.require_close(
            self.predict(neutral), self.plain(), "the prediction with neutral options"
        )
        field = self.field()
        guided = neutral.wrap(field)
        guided(self.x(), self.times(), self.condition())
        require(
            guided.forwards == 1, f"neutral options cost {guided.forwards} evaluations, not one"
        )
        near = {k: v + NEAR if isinstance(v, float) else v for k, v in guidance.neutral.items()}
        require_close(
            self.predict(replace(guidance, **near)),
            self.plain(),
            f"the prediction with options {NEAR} from neutral",
            rtol=1e-3,
            atol=1e-3,
        )

    def test_other_options_change_the_field(self) -> None:
        """A guidance that is not neutral changes predictions."""
        guidance = self.component()
        changed = (self.predict(guidance) - self.plain()).abs().amax()
        require(
            guidance.is_neutral or float(changed) > NEAR,
            f"the prediction is that of the field, though the guidance is not {guidance.neutral}",
        )

    def test_outside_the_interval_is_no_guidance(self) -> None:
        """For t outside the closed interval the guided field is the field; inside, it is as without
        an interval.
        """
        guidance = self.component()
        t, (start, end) = self.times(), (TIMES[1], TIMES[3])
        inside = (start <= t) & (t <= end)
        found = self.predict(replace(guidance, interval=(start, end)))
        full = self.predict(replace(guidance, interval=(0.0, 1.0)))
        self.require_close(
            found[~inside], self.plain()[~inside], "predictions outside the interval"
        )
        self.require_close(found[inside], full[inside], "predictions inside the interval")

    def test_rows_may_come_in_any_order(self) -> None:
        """Row i of a prediction depends on row i of x, t and the prepared condition alone."""
        whole = self.predict(self.component())
        for rows in ([5, 3, 1, 0, 2, 4], [4, 2], [1]):
            found = self.predict(self.component(), rows=rows)
            self.require_close(found, whole[rows], f"the prediction of rows {rows} alone")

    def test_counters_are_right_in_any_nesting(self) -> None:
        """`nfe` counts 1 a call, `forwards` every evaluation of a network; also of a guided field
        that is guided again.
        """
        for depth in (1, 2):
            field = self.field()
            guided: Predictor = field
            for _ in range(depth):
                guided = self.component().wrap(guided)
            condition = guided.prepare(self.condition())
            with torch.no_grad():
                for _ in range(3):
                    guided(self.x(), self.times(), condition)
            require(guided.nfe == 3, f"3 calls give nfe {guided.nfe}, guided {depth} times")
            found, wanted = guided.forwards - _of_others(guided), cast("Any", field.model).calls
            require(
                found == wanted,
                f"forwards is {found} for {wanted} evaluations, guided {depth} times",
            )

    def test_every_quantity_is_guided_alike(self) -> None:
        """The guided data, noise and score are those of the guided velocity."""
        guidance, path = self.component(), self.field().path
        velocity = self.predict(guidance)
        targets: tuple[Quantity, ...] = ("data", "noise", "score")
        for target in targets:
            wanted = path.convert(
                velocity, self.x(), self.times(), source="velocity", target=target
            )
            self.require_close(self.predict(guidance, target), wanted, f"the guided {target}")

    def test_a_missing_entry_is_refused(self) -> None:
        """Without an entry in `reads` or `drop`, preparing the condition raises ComponentError."""
        guidance = self.component()
        for name in sorted(guidance.reads | set(guidance.drop or ())):
            raw = {k: v for k, v in self.condition().items() if k != name}
            try:
                guidance.wrap(self.field()).prepare(raw)
            except ComponentError:
                continue
            require(
                guidance.is_neutral, f"the condition '{name}' is missing, and nothing is raised"
            )

    def test_names_of_classes_become_numbers(self) -> None:
        """`with_classes` replaces each name of a class in the options of `named()` by its number,
        changes nothing else, and raises ComponentError for a name that is no class.
        """
        guidance, data = self.named(), _Classes(CLASSES)
        for given in (guidance, self.component()):
            found = given.with_classes(data)
            require(
                type(found) is type(given),
                f"with_classes makes a {type(found).__name__} of a {type(given).__name__}",
            )
            for name, value in _options(given).items():
                wanted, option = _numbered(value, data), _options(found)[name]
                require(
                    option is wanted or option == wanted,
                    f"with_classes makes {option!r} of the option {name}={value!r}; should be "
                    f"{wanted!r}",
                )
        if all(_numbered(value, data) is value for value in _options(guidance).values()):
            return
        try:
            guidance.with_classes(_Classes(("another class",)))
        except ComponentError:
            return
        require(False, "a class name that the data do not have is accepted")

    def test_it_is_a_function_of_its_arguments(self) -> None:
        """Equal calls give equal results without gradient, arguments stay as they are, and nothing
        random is drawn.
        """
        guided = self.component().wrap(self.field())
        x, condition = self.x(), guided.prepare(self.condition())
        before = x.clone()
        with torch.no_grad(), untouched_randomness("a guided prediction"):
            first = guided.predict(x, self.times(), condition)
            again = guided.predict(x, self.times(), condition)
        require_close(again, first, "a second, equal call", rtol=0, atol=0)
        require_close(x, before, "x after the call", rtol=0, atol=0)
        require(not first.requires_grad, "a prediction under no_grad has a gradient")

    def test_dtypes_are_kept(self) -> None:
        """Predictions have the dtype of x."""
        guided = self.component().wrap(self.field())
        for dtype in {torch.float32, self.dtype}:
            with torch.no_grad():
                found = guided.predict(self.x().to(dtype), self.times().to(dtype), self.condition())
            require(found.dtype == dtype, f"the prediction is {found.dtype} for x of {dtype}")


def _options(guidance: Guidance) -> dict[str, Any]:
    return {each.name: getattr(guidance, each.name) for each in fields(guidance) if each.init}


def _numbered(value: Any, data: Dataset) -> Any:
    """Return an option with each class name replaced by its number; the same object if none is in
    it.
    """
    if isinstance(value, str):
        return data.class_number(value) if value in data.class_names else value
    if isinstance(value, Mapping):
        found: Any = {key: _numbered(each, data) for key, each in value.items()}
        return value if all(found[key] is value[key] for key in value) else found
    if isinstance(value, (tuple, list)):
        each = [_numbered(part, data) for part in value]
        same = all(new is old for new, old in zip(each, value, strict=True))
        return value if same else type(value)(each)
    return value


def _some(condition: Condition | None, rows: Any) -> Condition | None:
    return None if condition is None else {k: v[rows] for k, v in condition.items()}


def _of_others(field: Predictor) -> int:
    """Return the evaluations of the fields of other runs."""
    if not isinstance(field, Guided):
        return 0
    return _of_others(field.strong) + sum(each.forwards for each in field.others.values())


@final
@dataclass(frozen=True)
class _Classes(Dataset):
    """One point for each class, with the names of the classes."""

    class_names: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        return len(self.class_names)

    @property
    def shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def length(self) -> int:
        return self.classes

    @property
    def fingerprint(self) -> str:
        return f"classes {self.class_names}"

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        label = torch.tensor(list(indices))
        return {"x1": torch.zeros(len(label), 2), "label": label}


@final
class _Labelled(VectorField):
    """A smooth velocity towards a centre for each label, and another without a label."""

    classes = 3

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({"label"})

    def prepare(self, condition: Condition | None, x1: Tensor | None = None) -> Prepared:
        if condition is None or "label" not in condition:
            return Prepared(condition)
        rest = {k: v for k, v in condition.items() if k != "label"}
        return Prepared({**rest, "centre": 1.5 * (condition["label"] + 1).double()})

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Condition | None = None,
        *,
        until: Tensor | None = None,
    ) -> Tensor:
        self.calls += 1
        shape = (-1, *(1,) * (x.ndim - 1))
        centre = (condition or {}).get("centre", torch.zeros_like(t)).to(x).view(shape)
        return (centre - x) * (0.5 + t.view(shape)) + 0.3 * torch.sin(x + centre)


@final
@dataclass(frozen=True)
class _Straight(AffinePath):
    def coefficients(self, t: Tensor) -> Coefficients:
        one = torch.ones_like(t)
        return Coefficients(alpha=t, sigma=1 - t, d_alpha=one, d_sigma=-one)


@final
class _Velocity:
    """The objective of a network that predicts the velocity, as far as a field reads it."""

    prediction = "velocity"

    def output_shape(self, path: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def read(self, raw: Tensor, xt: Tensor, t: Tensor, path: Any) -> dict[str, Tensor]:
        return {"velocity": raw}

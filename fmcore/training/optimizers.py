"""The optimizers of a training: built by the recipe's component, checked, saved by name, restored.

A checkpoint holds the tensors of their state under the parameters' names, and numbers and the
options of groups as JSON; nothing else can be saved.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from fmcore.errors import CheckpointError, ComponentError
from fmcore.interfaces.optimizer import OptimizerFactory
from fmcore.training.fsdp import distribute_like

__all__ = ["Optimizers", "rehearse"]

SIZE = 16
"""The largest dimension of a weight in a rehearsal."""

OF_DEVICE = {"fused", "foreach", "capturable", "differentiable"}
"""Options of a group that choose an implementation: those of the machine that resumes."""


@final
class Optimizers:
    """The optimizers of a network's parameters, which step as one.

    Raises ComponentError if the recipe's optimizer leaves a parameter out, holds one twice, or has
    groups whose largest `lr` is not 1, unless `check` is False.
    """

    def __init__(
        self,
        factory: OptimizerFactory,
        named: Iterable[tuple[str, nn.Parameter]],
        check: bool = True,
    ) -> None:
        self.factory = factory
        self.named = dict(named)
        self._check = check
        self.parts = _built(factory, self.named)
        if check:
            _require_each_once(_title(factory), self.parts, self.named)
            _require_relative(_title(factory), self.param_groups)
        self._names = {id(parameter): name for name, parameter in self.named.items()}
        self._relative = [group["lr"] for group in self.param_groups]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all optimizers."""
        return [group for part in self.parts for group in part.param_groups]

    def joint(self) -> Any:
        """Return one object that steps all, for accelerate and loss scalers: with an optimizer
        each, a scaler would unscale the gradients once for each.
        """
        return self.parts[0] if len(self.parts) == 1 else _Joint(self)

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of every group, times the number that the group was built with."""
        for group, relative in zip(self.param_groups, self._relative, strict=True):
            group["lr"] = lr * relative

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the tensors by `PARAMETER/KEY`, and numbers and groups for JSON.

        Raises ComponentError for state that is neither.
        """
        tensors: dict[str, Tensor] = {}
        numbers: dict[str, dict[str, Any]] = {}
        for part in self.parts:
            if extra := sorted(part.state_dict().keys() - {"state", "param_groups"}):
                raise self._unsaved(f"the entry '{extra[0]}' of state_dict()")
            for parameter, own in part.state.items():
                name = self._names.get(id(parameter))
                if name is None:
                    raise self._unsaved(f"state under {type(parameter).__name__}, no parameter")
                for key, value in own.items():
                    what = f"'{key}' of parameter '{name}'"
                    if isinstance(value, Tensor) and "/" not in key:
                        tensors[f"{name}/{key}"] = value
                    else:
                        numbers.setdefault(name, {})[key] = self._plain(value, what)
        groups = [
            {
                key: self._plain(value, f"the option '{key}' of a group")
                for key, value in group.items()
                if key not in ("params", "lr")
            }
            for group in self.param_groups
        ]
        return tensors, {"numbers": numbers, "groups": groups}

    def restore(self, tensors: Mapping[str, Tensor], facts: Any, where: str) -> None:
        """Restore what `state` gave.  Raises CheckpointError if it is of another network or
        optimizer.
        """
        split = {key: key.rpartition("/")[::2] for key in tensors}
        self._require_fitting(tensors, split, where)
        numbers, groups = _parts_of(facts, where)
        for part in self.parts:
            for group in part.param_groups:
                for parameter in group["params"]:
                    name = self._names[id(parameter)]
                    state = dict(numbers.get(name, {}))
                    for key, (owner, entry) in split.items():
                        if owner == name:
                            whole = distribute_like(tensors[key], parameter)
                            state[entry] = _placed(whole, entry, parameter, group)
                    if state:
                        part.state[parameter] = state
        if len(groups) != len(self.param_groups):
            raise CheckpointError(f"{where}: the optimizer's state is of other groups")
        for group, saved in zip(self.param_groups, groups, strict=True):
            for key, value in saved.items():
                if key not in OF_DEVICE and key not in ("params", "lr"):
                    group[key] = _as_before(value, group.get(key))

    def _require_fitting(
        self, tensors: Mapping[str, Tensor], split: Mapping[str, tuple[str, str]], where: str
    ) -> None:
        expected = rehearse(self.factory, self.named, self._check)
        owners = {name for name, _ in split.values()}
        wanted = {f"{name}/{key}" for name in owners for key in expected.get(name, {})}
        if not owners <= self.named.keys() or not wanted <= tensors.keys():
            raise CheckpointError(f"{where}: the optimizer's state is of another network")
        for key, (name, entry) in split.items():
            shape = expected[name].get(entry)
            if shape is not None and tensors[key].shape != shape:
                raise CheckpointError(f"{where}: '{key}' of the optimizer has another shape")

    def _plain(self, value: Any, what: str) -> Any:
        if isinstance(value, list | tuple):
            return [self._plain(item, what) for item in value]
        if value is None or isinstance(value, str | bool | int):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
        shown = value if isinstance(value, float) else f"a {type(value).__name__}"
        raise self._unsaved(f"{what}, {shown}")

    def _unsaved(self, what: str) -> ComponentError:
        return ComponentError(
            f"{_title(self.factory)}: a checkpoint cannot hold {what}: the state of a parameter "
            "must be tensors and numbers, that of a group numbers, text and lists of them"
        )


class _Joint:
    """Several optimizers behind the methods that accelerate and a loss scaler call."""

    def __init__(self, optimizers: Optimizers) -> None:
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self.optimizers.param_groups

    def step(self, closure: None = None) -> None:
        for part in self.optimizers.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.optimizers.parts:
            part.zero_grad(set_to_none=set_to_none)


def rehearse(
    factory: OptimizerFactory, named: Mapping[str, Tensor], check: bool = True
) -> dict[str, dict[str, torch.Size | None]]:
    """Take a step with small weights of the same names, and return the tensors of the state.

    For each parameter, by key: the shape, None where it is neither the parameter's nor a scalar's.
    `named` may be on the meta device.  Raises ComponentError, before training, if the optimizer
    cannot be built, cannot step, or has state that cannot be saved.
    """
    small = {
        name: nn.Parameter(torch.full([min(n, SIZE) for n in tensor.shape], 0.5))
        for name, tensor in named.items()
    }
    for parameter in small.values():
        parameter.grad = torch.full_like(parameter, 0.1)
    optimizers = Optimizers(factory, small.items(), check)
    optimizers.set_lr(1e-3)
    try:
        for part in optimizers.parts:
            part.step()
    except Exception as error:  # of an author's code: any
        raise ComponentError(
            f"{_title(factory)} fails at its first step: {type(error).__name__}: {error}"
        ) from error
    tensors, _ = optimizers.state()
    layout: dict[str, dict[str, torch.Size | None]] = {name: {} for name in named}
    for key, value in tensors.items():
        name, _, entry = key.rpartition("/")
        scalar = value.shape if value.ndim == 0 else None
        layout[name][entry] = named[name].shape if value.shape == small[name].shape else scalar
    return layout


def _built(
    factory: OptimizerFactory, named: Mapping[str, nn.Parameter]
) -> list[torch.optim.Optimizer]:
    title = _title(factory)
    try:
        parts = list(factory.build(tuple(named.items())))
    except ComponentError:
        raise
    except Exception as error:  # torch's refusals are ValueErrors; an author's code raises any
        raise ComponentError(f"{title} cannot be built: {error}") from error
    for part in parts:
        if not isinstance(part, torch.optim.Optimizer):
            raise ComponentError(
                f"{title}: build gave a {type(part).__name__}, which is no torch.optim.Optimizer"
            )
    return parts


def _require_relative(title: str, groups: Sequence[Mapping[str, Any]]) -> None:
    rates = [group["lr"] for group in groups]
    if not all(isinstance(rate, int | float) for rate in rates) or max(rates) != 1:
        raise ComponentError(
            f"{title}: the learning rates of its groups are {', '.join(map(str, rates))}; they are "
            "relative to train.lr, and the largest must be 1: build the optimizer with lr=1.0"
        )


def _require_each_once(
    title: str, parts: Sequence[torch.optim.Optimizer], named: Mapping[str, nn.Parameter]
) -> None:
    held = [id(p) for part in parts for group in part.param_groups for p in group["params"]]
    rule = "every parameter must be in exactly one group"
    missing = [name for name, parameter in named.items() if id(parameter) not in held]
    if missing:
        raise ComponentError(
            f"{title} leaves out {len(missing)} of {len(named)} parameters, the first is "
            f"'{missing[0]}': {rule}"
        )
    twice = [name for name, parameter in named.items() if held.count(id(parameter)) > 1]
    if twice:
        raise ComponentError(f"{title} holds the parameter '{twice[0]}' twice: {rule}")
    if len(held) > len(named):
        raise ComponentError(f"{title} holds a parameter that is not the network's: {rule}")


def _parts_of(facts: Any, where: str) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    """Return the numbers and the groups in a checkpoint's facts."""
    try:
        numbers, groups = facts["numbers"], facts["groups"]
        if all(isinstance(item, dict) for item in (numbers, *numbers.values(), *groups)):
            return numbers, groups
    except (AttributeError, LookupError, TypeError):
        pass
    raise CheckpointError(f"{where}: the optimizer's state lacks its numbers or groups")


def _placed(value: Tensor, key: str, parameter: Tensor, group: Mapping[str, Any]) -> Tensor:
    """Return the tensor where the optimizer keeps it: torch holds step counts on the CPU, except
    those of fused and captured optimizers.
    """
    on_host = key == "step" and not (group.get("fused") or group.get("capturable"))
    return value if on_host else value.to(parameter.device)


def _as_before(value: Any, own: Any) -> Any:
    """Return a list from JSON as the tuple that it was."""
    return tuple(value) if isinstance(value, list) and not isinstance(own, list) else value


def _title(factory: OptimizerFactory) -> str:
    return f"train.optimizer: {type(factory).__name__}"

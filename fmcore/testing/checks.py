"""Assertions for the checks of every suite, with numbers in their messages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn
from unittest import SkipTest

import numpy as np
import torch
from torch import Tensor

__all__ = ["generator", "require", "require_close", "require_equal", "skip", "untouched_randomness"]


def require(condition: bool, message: str) -> None:
    """Raise AssertionError with `message`, addressed to the plugin's author, unless `condition`."""
    if not condition:
        raise AssertionError(message)


def skip(reason: str) -> NoReturn:
    """Skip a check that does not apply to this component, with the reason."""
    raise SkipTest(reason)


def require_close(
    found: Tensor, wanted: Tensor, message: str, *, rtol: float = 1e-9, atol: float = 1e-9
) -> None:
    """Require equal shapes and values within `atol + rtol |wanted|`; report the worst element."""
    require(
        found.shape == wanted.shape,
        f"{message}: shape {tuple(found.shape)}, should be {tuple(wanted.shape)}",
    )
    found, wanted = found.detach().double(), wanted.detach().double()
    wrong = ~torch.isclose(found, wanted, rtol=rtol, atol=atol)
    if not wrong.any():
        return
    excess = (found - wanted).abs().nan_to_num(torch.inf)
    worst = int(torch.where(wrong, excess, -1.0).flatten().argmax())
    place = tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), wanted.shape))
    raise AssertionError(
        f"{message}: {int(wrong.sum())} of {wrong.numel()} values are off, the worst at {place}: "
        f"{found.flatten()[worst]:.10g}, should be {wanted.flatten()[worst]:.10g}"
    )


def require_equal(found: Tensor, wanted: Tensor, message: str) -> None:
    """Require equal shapes, dtypes and bits."""
    require(found.dtype == wanted.dtype, f"{message}: {found.dtype}, should be {wanted.dtype}")
    require_close(found, wanted, message, rtol=0, atol=0)


def generator(seed: int = 0) -> torch.Generator:
    """Return a CPU generator; checks do not use the global one."""
    return torch.Generator().manual_seed(seed)


@contextmanager
def untouched_randomness(what: str) -> Iterator[None]:
    """Require that `what` draws from no global generator of torch, numpy or Python."""
    before = _generators()
    yield
    for name, state in _generators().items():
        require(
            state == before[name],
            f"{what} drew from the global generator of {name}; use the generator in its arguments",
        )


def _generators() -> dict[str, object]:
    """Return the states of the global generators in comparable form."""
    return {
        "torch": torch.random.get_rng_state().numpy().tobytes(),
        "numpy": repr(np.random.get_state()),
        "random": random.getstate(),
    }

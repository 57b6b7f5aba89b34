"""The laws of paths of tokens, as checks on one path with kappa."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from fmcore.interfaces.path import Path
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.space import Tokens
from fmcore.testing.checks import require, require_equal, untouched_randomness
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["TokenPathSuite"]

MANY = 50_000
"""Tokens in the check of shares, whose standard error is below 0.003."""

SHAPE = (3,)


class TokenPathSuite(ComponentChecks, Suite):
    """Override `component()` to build the path, `space` if it needs other tokens than 5 with a
    mask.
    """

    interface = Path
    space: Tokens = Tokens(5, mask=True)

    def path(self) -> Any:
        """Return the path on `space`."""
        return self.component().on(self.space)

    def drawn(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return noise, data and a draw of the bridge, `(n, *SHAPE)` each."""
        path, rows = self.path(), Rows(0, "token path", 0, range(n))
        bridge = path.bridge()
        require(bridge is not None, "a path of tokens needs a bridge: the time of each jump")
        x1 = rows.integers(self.space.classes, SHAPE).float()
        return path.noise().sample(rows, SHAPE), x1, bridge.sample(rows, SHAPE)

    def test_goes_from_noise_to_data(self) -> None:
        """At t_min xt is x0, and at t_max x1."""
        path = self.path()
        x0, x1, z = self.drawn(64)
        for t, end, name in ((path.t_min, x0, "x0 at t_min"), (path.t_max, x1, "x1 at t_max")):
            require_equal(path.sample(x0, x1, torch.full((64,), t), z).xt, end, f"xt, {name}")

    def test_share_of_the_data_is_kappa(self) -> None:
        """With z from `bridge()`, a token is x1 with probability kappa + (1 - kappa) p(x0 = x1)."""
        path = self.path()
        x0, x1, z = self.drawn(MANY)
        same = float((x0 == x1).double().mean())
        for t in (0.2, 0.5, 0.9):
            kappa = float(path.kappa(torch.tensor(t, dtype=torch.float64))[0])
            found = path.sample(x0, x1, torch.full((MANY,), t), z).xt
            share = float((found == x1).double().mean())
            wanted = kappa + (1 - kappa) * same
            require(
                abs(share - wanted) < 0.01,
                f"at t = {t} a share of {share:.3f} is x1, should be {wanted:.3f}",
            )

    def test_each_token_jumps_once(self) -> None:
        """With the same z at rising times, a token is x0 until its jump and x1 from then on."""
        path = self.path()
        x0, x1, z = self.drawn(256)
        times = torch.linspace(path.t_min, path.t_max, 33)
        states = [path.sample(x0, x1, t.expand(256), z).xt for t in times]
        for before, after in pairwise(states):
            known = bool(((before == x0) | (before == x1)).all())
            require(known, "a token is neither x0 nor x1")
            back = (before == x1) & (after != x1)
            require(not bool(back.any()), "a token leaves x1 again")

    def test_rows_are_independent(self) -> None:
        """Row i of xt depends on row i of the arguments alone, without other random numbers."""
        path = self.path()
        x0, x1, z = self.drawn(16)
        t = torch.linspace(0.1, 0.9, 16)
        with untouched_randomness("sample"):
            whole = path.sample(x0, x1, t, z).xt
        alone = [
            path.sample(x0[i, None], x1[i, None], t[i, None], z[i, None]).xt for i in range(16)
        ]
        require_equal(torch.cat(alone), whole, "xt of rows together and one by one")

    def test_tokens_have_no_velocity(self) -> None:
        """ut is 0, and both xt and ut have the dtype of the data."""
        path = self.path()
        x0, x1, z = self.drawn(8)
        for dtype in (torch.float32, torch.float64):
            found = path.sample(x0.to(dtype), x1.to(dtype), torch.full((8,), 0.5), z)
            kinds = found.xt.dtype == dtype == found.ut.dtype
            require(kinds, f"xt is {found.xt.dtype}, ut {found.ut.dtype}, for data of {dtype}")
            require(not bool(found.ut.any()), "ut is not 0")

"""Checks of the integrated divergence and of gradients through a solve."""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.solving import Augmentation
from fmcore.testing.checks import require, require_close, skip
from fmcore.testing.flows import Decay, starts
from fmcore.testing.solver_laws.subject import ACCURATE, INNER, SolverChecks, given, problem_of

__all__ = ["DerivativeChecks"]


class DerivativeChecks(SolverChecks):
    """Checks of divergence and gradients; part of `SolverSuite`."""

    def test_integrates_the_divergence(self) -> None:
        """With an augmentation, logdet is the integral of div u, as accurate as the state."""
        x0 = starts(4, 2)
        problem = problem_of(x0, *INNER, augmentation=Augmentation())
        try:
            solution = self.good().solve(problem)
        except ComponentError as error:
            skip(str(error))
        require(solution.logdet is not None, "the problem has an augmentation, and logdet is None")
        wanted = Decay.logdet(x0, Decay.exact(x0, *INNER))
        require_close(given(solution.logdet), wanted, "logdet", rtol=ACCURATE, atol=ACCURATE)

    def test_gradients_agree(self) -> None:
        """With grad="none" no graph is kept; checkpointed and direct gradients are equal."""
        gradients: list[Tensor] = []
        for grad in ("none", "direct", "checkpoint"):
            x0 = starts(3).requires_grad_()
            try:
                x = self.good().solve(problem_of(x0, *INNER, grad=grad)).x
            except ComponentError as error:
                skip(str(error))
            if grad == "none":
                require(
                    not x.requires_grad, "a graph was kept although the problem has grad='none'"
                )
                continue
            gradients.extend(torch.autograd.grad(x.sum(), x0))
        x0 = starts(3)
        wanted = (Decay.exact(x0, *INNER) / x0) ** 2
        require_close(gradients[0], gradients[1], "direct and checkpointed", rtol=1e-9, atol=1e-9)
        require_close(gradients[0], wanted, "d x(t1) / d x0", rtol=ACCURATE, atol=ACCURATE)

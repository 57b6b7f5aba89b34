"""An adaptive Adams predictor-corrector: one evaluation an attempted step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from fmcore.solving import AdaptiveSolver, Controller

__all__ = ["Adams"]


@final
@dataclass(frozen=True)
class Adams(AdaptiveSolver):
    """5(4), one evaluation an attempt: Adams-Bashforth over the last four velocities, corrected by
    Adams-Moulton (PEC), with steps of variable size.

    Orders grow from 2(1) as the first steps fill the history.  Gives no gradients.
    Source: Hairer, Norsett, Wanner I, III.1 and III.5.
    """

    history = 4
    # An I controller that at most doubles a step: the weights of Adams methods grow with the ratio
    # of neighbouring steps.
    controller: ClassVar[Controller] = Controller(i=0.7, p=0.0, safety=0.8, longest=2.0)

"""How a solve ended, for a caller who wants an exception."""

from __future__ import annotations

from fmcore.errors import SolverError
from fmcore.solving.problem import Solution, Status

__all__ = ["raise_if_failed"]

_ADVICE = {
    Status.MAX_STEPS: "raise max_steps or loosen rtol and atol",
    Status.DT_MIN: "the field is too rough there: loosen rtol and atol or stop short of the end",
    Status.NONFINITE: "the field is not finite there: look at what it returns",
    Status.MAX_NFE: "raise max_nfe or loosen rtol and atol",
}


def raise_if_failed(solution: Solution, label: str) -> None:
    """Raise SolverError if any sample did not arrive, saying which and why."""
    # waits for the device: only for those who ask
    failed = solution.status.nonzero().flatten().tolist()
    if not failed:
        return
    worst = failed[0]
    status = Status(int(solution.status[worst]))
    raise SolverError(
        f"{label}: {len(failed)} of {len(solution.status)} samples did not arrive; sample {worst} "
        "ended with "
        f"{status.name} at t = {float(solution.t_reached[worst]):.6g}: {_ADVICE[status]}"
    )

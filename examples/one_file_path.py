"""A path in one file, defined by alpha and sigma.

    fmcore explain smooth --plugin examples/one_file_path.py
    fmcore plugins check smooth --plugin examples/one_file_path.py
    fmcore run recipes/checkerboard.yaml path=smooth --plugin examples/one_file_path.py

torch differentiates them; for closed forms, write `coefficients` of an `AffinePath` instead, as
examples/fmcore-cosine does.
"""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from fmcore import SchedulePath, hookimpl


@dataclass(frozen=True)
class SmoothPath(SchedulePath):
    """A straight path with velocity 0 at both ends: alpha = ((3 - 2t) t^2)^`power`."""

    power: Annotated[float, Ge(1)] = 1.0

    def alpha(self, t: Tensor) -> Tensor:
        return (t * t * (3 - 2 * t)) ** self.power

    def sigma(self, t: Tensor) -> Tensor:
        return 1 - self.alpha(t)


@hookimpl
def register_paths(register):
    register("smooth", SmoothPath, summary="straight, with velocity 0 at both ends")

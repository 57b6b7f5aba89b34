"""A path in one file, by its two schedules alone.

    fmcore explain smooth --plugin examples/one_file_path.py
    fmcore plugins check smooth --plugin examples/one_file_path.py
    fmcore run recipes/checkerboard.yaml path=smooth --plugin examples/one_file_path.py

torch takes the derivatives; where a closed form matters, write `coefficients` of an `AffinePath`
instead, as examples/fmcore-cosine does.
"""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from fmcore import SchedulePath, hookimpl


@dataclass(frozen=True)
class SmoothPath(SchedulePath):
    """A straight path that starts and ends at rest: alpha = (3 - 2t) t^2 to the power `power`."""

    power: Annotated[float, Ge(1)] = 1.0

    def alpha(self, t: Tensor) -> Tensor:
        return (t * t * (3 - 2 * t)) ** self.power

    def sigma(self, t: Tensor) -> Tensor:
        return 1 - self.alpha(t)


@hookimpl
def register_paths(register):
    register("smooth", SmoothPath, summary="straight, starting and ending at rest")

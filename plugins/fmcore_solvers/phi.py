"""The functions of exponential integrators: phi_k(z) = sum_j z^j / (j + k)!, so that phi_0 = exp.

The recursion phi_k(z) = (phi_{k-1}(z) - 1/(k-1)!) / z cancels for small z, where the series is
used instead.
"""

from __future__ import annotations

import math

__all__ = ["phi"]


def phi(k: int, z: float) -> float:
    """Return phi_k(z), accurate to rounding.

    >>> phi(1, 0.0), phi(2, 0.0)
    (1.0, 0.5)
    """
    if abs(z) < 1:
        # the first term left out is below 1/18!, 2e-16
        return sum(z**j / math.factorial(j + k) for j in range(18))
    value = math.exp(z)
    for order in range(k):
        value = (value - 1 / math.factorial(order)) / z
    return value

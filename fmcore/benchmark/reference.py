"""Reference end points of the closed-form flows, to twelve digits, computed once and cached.

The flow of one Gaussian has a closed form.  A mixture is integrated sample by sample with scipy's
DOP853 at rtol 1e-12, which shares no code with the measured solvers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from scipy.integrate import solve_ivp
from torch import Tensor

from fmcore.errors import SolverError
from fmcore.flow.gaussian_mixture import GaussianMixtureField
from fmcore.runs.files import atomic
from fmcore.runs.progress import progress

__all__ = ["RTOL", "exact_endpoints", "load_or_compute"]

RTOL = 1e-12
ATOL = 1e-12

Array = NDArray[np.float64]


def load_or_compute(file: Path, compute: Callable[[], Tensor]) -> Tensor:
    """Return the tensor in `file`; if it is missing or corrupt, compute and write it."""
    try:
        return load_file(file)["x"]
    except (OSError, SafetensorError, KeyError):
        x = compute().contiguous()
        atomic(file, lambda part: save_file({"x": x}, part))
        return x


def exact_endpoints(field: GaussianMixtureField, x0: Tensor, quiet: bool = False) -> Tensor:
    """Return the flow from t_min to t_max of every row of `x0`, `(n, d)` in double precision.

    Raises SolverError if DOP853 fails.
    """
    t0, t1 = field.path.t_min, field.path.t_max
    if len(field.stds) == 1:
        return field.exact(x0, t0, t1)[0]
    velocity = _velocity(field)
    ends = np.empty(tuple(x0.shape))
    with progress("reference", len(x0), "samples", quiet=quiet) as show:
        for row, start in enumerate(x0.numpy()):
            found = solve_ivp(velocity, (t0, t1), start, method="DOP853", rtol=RTOL, atol=ATOL)
            if not found.success:
                raise SolverError(f"the reference solve of sample {row} failed: {found.message}")
            ends[row] = found.y[:, -1]
            show(row + 1)
    return torch.from_numpy(ends)


def _velocity(field: GaussianMixtureField) -> Callable[[float, Array], Array]:
    """Return the mixture's velocity at one point, by the formulas of
    `fmcore.flow.gaussian_mixture`, in numpy: for single points torch's overhead dominates.
    """
    mu, s = np.array(field.means), np.array(field.stds)
    log_w = np.log(np.array(field.weights))

    def velocity(t: float, x: Array) -> Array:
        c = field.path.coefficients(torch.tensor([t], dtype=torch.float64))
        alpha, sigma, d_alpha, product = map(float, (c.alpha, c.sigma, c.d_alpha, c.sigma_d_sigma))
        variance = alpha**2 * s**2 + sigma**2
        delta = x - alpha * mu
        log_r = log_w - 0.5 * ((delta**2).sum(1) / variance + len(x) * np.log(variance))
        r: Any = np.exp(log_r - log_r.max())
        a = (alpha * d_alpha * s**2 + product) / variance
        ends: Array = (r / r.sum()) @ (d_alpha * mu + a[:, None] * delta)
        return ends

    return velocity

"""Problems without training: the flows of Gaussian mixtures along an affine path."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch

from fmcore.benchmark.cells import Setting, digest
from fmcore.benchmark.reference import RTOL, exact_endpoints, load_or_compute
from fmcore.benchmark.task import Task
from fmcore.errors import ComponentError
from fmcore.flow.gaussian_mixture import (
    GaussianMixtureField,
    eight_gaussians,
    gaussian,
    stiff_mixture,
)
from fmcore.interfaces.gaussian import Gaussian
from fmcore.interfaces.path import AffinePath
from fmcore.interfaces.randomness import noise_of

__all__ = ["ClosedFormProblem"]


@final
@dataclass(frozen=True)
class ClosedFormProblem:
    """Creates the task of a setting; exact end points are cached in the folder `references`."""

    references: Path
    device: torch.device
    quiet: bool = False

    def facts(self) -> dict[str, Any]:
        """Return what the errors depend on, except for the cell."""
        return {"source": "closed form", "reference": f"DOP853, rtol {RTOL}; one Gaussian: exact"}

    def task(self, setting: Setting) -> Task:
        """Return the task of `setting`.  Raises ComponentError if it has no closed form."""
        if setting.path is None:
            raise ComponentError("a closed-form problem needs a path: add path=ot")
        path = setting.path.make()
        field = mixture(setting.problem, path, setting.dim or 2)
        shape = (field.dimensions,)
        x0 = noise_of(
            path.prior(), range(setting.samples), shape, setting.seed, dtype=torch.float64
        )
        start = x0.to(getattr(torch, setting.dtype))
        facts = {
            "problem": setting.problem,
            "path": repr(path),
            "dim": field.dimensions,
            "x0": start.double().tolist(),
            "rtol": RTOL,
            "velocity": 1,  # raise when the formulas change, to compute cached references anew
        }
        reference = load_or_compute(
            self.references / f"{digest(facts)}.safetensors",
            lambda: exact_endpoints(field, start.double(), self.quiet),
        )
        return Task(field, start.to(self.device), reference, path, setting.batch, setting.seed)


def mixture(problem: str, path: Any, dim: int) -> GaussianMixtureField:
    """Return the flow of `problem` in `dim` dimensions; planar means are padded with zeros."""
    if not isinstance(path, AffinePath) or path.source != Gaussian():
        raise ComponentError(
            f"only affine paths from N(0, I) have a closed form, and {type(path).__name__} has "
            "none: "
            "choose another path, such as path=ot or path=vp"
        )
    if problem == "gaussian":
        return gaussian(path, dim)
    field = eight_gaussians(path) if problem == "eight_gaussians" else stiff_mixture(path)
    if dim < field.dimensions:
        raise ComponentError(f"problem '{problem}' needs dim={field.dimensions} or more")
    padding = (0.0,) * (dim - field.dimensions)
    return replace(field, means=[(*mean, *padding) for mean in field.means])

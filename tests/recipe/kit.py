"""A plugin of one file with small components of each kind, to test recipes by themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from annotated_types import Ge, Gt, Len, Lt, MinLen

from fmcore import (
    ComponentError,
    Coupling,
    Dataset,
    LearningRate,
    Metric,
    OptimizerFactory,
    Path,
    Regression,
    Solver,
    Source,
    VectorField,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class _NoSource(Source):
    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        return rows.normal(shape, dtype)

    def log_prob(self, x, condition=None):
        return -x.flatten(1).square().sum(1)


@dataclass(frozen=True)
class Normal(_NoSource):
    temperature: Annotated[float, Gt(0)] = 1.0


@dataclass(frozen=True)
class Heavy(_NoSource):
    tail: float = 3.0


class _NoPath(Path):
    def sample(self, x0, x1, t):
        raise NotImplementedError

    def noise(self):
        return self.source

    def prior(self):
        return self.source


@dataclass(frozen=True)
class Straight(_NoPath):
    sigma_min: float = 1e-4
    source: Source = field(default=Normal(), kw_only=True)

    def __post_init__(self):
        if self.sigma_min < 0:
            raise ComponentError(f"path 'ot': sigma_min must be >= 0, got {self.sigma_min}")


@dataclass(frozen=True)
class Preserving(_NoPath):
    beta_min: float = 0.1
    beta_max: float = 20.0
    source: Source = field(default=Normal(temperature=0.5), kw_only=True)


@dataclass(frozen=True)
class Independent(Coupling):
    def pair(self, x0, x1, generator, condition=None):
        raise NotImplementedError


@dataclass(frozen=True)
class Matching(Regression):
    prediction = "velocity"
    skew: bool = False

    def weight(self, path, t):
        return torch.ones_like(t)

    def sample_time(self, n, generator, part=(0, 1)):
        return torch.rand(n, generator=generator)


class Net(VectorField):
    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: Annotated[int, Gt(0)] = 64,
        channel_mult: Annotated[list[int], MinLen(1)] = [1, 2],  # noqa: B006
        dropout: float | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.width, self.channel_mult = shape, width, channel_mult

    def forward(self, x, t, condition=None):
        return x


class _NoSolver(Solver):
    def solve(self, problem):
        raise NotImplementedError


@dataclass(frozen=True)
class Fixed(_NoSolver):
    steps: int | None = None
    grid: Literal["uniform", "cosine"] | list[float] = "uniform"


@dataclass(frozen=True, kw_only=True)
class Span:
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self):
        if self.low > self.high:
            raise ComponentError("low must not be above high")


@dataclass(frozen=True)
class Adaptive(_NoSolver):
    rtol: Annotated[float, Gt(0)] = 1e-5
    atol: Annotated[float, Gt(0)] = 1e-5
    span: Span = Span()


class _NoMetric(Metric):
    def begin(self, evaluation):
        raise NotImplementedError

    def update(self, batch):
        raise NotImplementedError

    def compute(self):
        raise NotImplementedError


@dataclass(frozen=True)
class Likelihood(_NoMetric):
    solver: Solver | None = None
    n_probes: Annotated[int, Ge(1)] = 1


@dataclass(frozen=True)
class Distance(_NoMetric):
    weights: FilePath = FilePath("weights.pt")
    moments: Annotated[tuple[float, ...], Len(2, 4)] = (1.0, 2.0)


@dataclass(frozen=True)
class Adam(OptimizerFactory):
    betas: tuple[Annotated[float, Ge(0), Lt(1)], Annotated[float, Ge(0), Lt(1)]] = (0.9, 0.999)
    weight_decay: Annotated[float, Ge(0)] = 0.0

    def build(self, named_parameters):
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(LearningRate):
    warmup: Annotated[int, Ge(0)] = 0

    def factor(self, step, steps):
        return 1.0


@dataclass(frozen=True)
class Toy(Dataset):
    figure: Literal["moons", "board"] = "moons"

    shape = (2,)
    length = 10
    fingerprint = "0"

    def batch(self, indices: Sequence[int]):
        raise NotImplementedError


@dataclass(frozen=True)
class Files(Toy):
    root: str = field(kw_only=True)
    image_size: Literal[32, 64] = field(default=32, kw_only=True)
    classes_of: dict[str, int] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class Refusing(Files):
    def __post_init__(self):
        raise ComponentError(f"root '{self.root}' is no folder")


@dataclass(frozen=True)
class Raising(_NoSource):
    def __post_init__(self):
        raise ZeroDivisionError("nothing to divide by")


class Greedy(_NoSource):
    def __init__(self, scale: float = 1.0, **rest: float) -> None:
        pass


class Untyped(_NoSource):
    def __init__(self, scale=1.0) -> None:
        pass


class Odd(_NoSource):
    def __init__(self, scale: complex = 1j) -> None:
        pass


@hookimpl
def register_sources(register):
    register("normal", Normal)
    register("heavy", Heavy)
    register("raising", Raising)
    register("greedy", Greedy)
    register("untyped", Untyped)
    register("odd", Odd)


@hookimpl
def register_paths(register):
    register("ot", Straight)
    register("vp", Preserving)


@hookimpl
def register_couplings(register):
    register("independent", Independent)


@hookimpl
def register_objectives(register):
    register("flow_matching", Matching)


@hookimpl
def register_models(register):
    register("net", Net)


@hookimpl
def register_solvers(register):
    register("fixed", Fixed)
    register("adaptive", Adaptive)


@hookimpl
def register_metrics(register):
    register("likelihood", Likelihood)
    register("distance", Distance)


@hookimpl
def register_datasets(register):
    register("toy", Toy)
    register("files", Files)
    register("refusing", Refusing)


@hookimpl
def register_optimizers(register):
    register("adam", Adam)


@hookimpl
def register_lr_schedules(register):
    register("constant", Constant)

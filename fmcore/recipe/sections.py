"""What a recipe may say: the sections, each with its options, types, ranges and defaults.

A section is either a component (data, path, ...: its options are the constructor's) or one of the
settings below. The schema is read from these signatures, so a default lives here and nowhere else.
Imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Le

if TYPE_CHECKING:
    from fmcore.interfaces.coupling import Coupling
    from fmcore.interfaces.dataset import Dataset, Split
    from fmcore.interfaces.metric import Metric
    from fmcore.interfaces.model import VectorField
    from fmcore.interfaces.objective import Objective
    from fmcore.interfaces.path import Path
    from fmcore.interfaces.solver import Solver

__all__ = ["Best", "Bound", "Evaluate", "Guidance", "Measure", "Sample", "Sections", "Train"]

Positive = Annotated[int, Gt(0)]
Count = Annotated[int, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
Decay = Annotated[float, Ge(0), Le(1)]
Width = Annotated[float, Gt(0), Le(0.28)]


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """What is measured, on which split, on how many of its examples (`count`; all by default)."""

    metrics: list[Metric]
    split: Split = "test"
    count: Positive | None = None
    batch_size: Positive = 256


@dataclass(frozen=True, kw_only=True)
class Best:
    """Which checkpoint is the best: the one whose `metric` is the least (`min`) or the greatest."""

    metric: str
    mode: Literal["min", "max"] = "min"


@dataclass(frozen=True, kw_only=True)
class Train:
    """How the network is trained: Adam on the objective, a moving average of the weights,
    checkpoints.

    `batch_size` is the effective one: over all processes and `grad_accum` micro-batches.  `warmup`
    steps rise linearly to `lr`; then it stays (`constant`), falls linearly (`linear`, the paper's
    "polynomial") or along half a cosine to `lr_end` at the last step.

    `loss_weights` multiplies the losses of the objective and of the network by name; 1 where a name
    is missing.  `ema` is the decay of the moving average, or of several; `ema_power` are widths of averages
    whose memory grows with the training (arXiv 2312.02696), from which snapshots, saved every
    `snapshot_every` steps, give one of any width afterwards.  `compile` compiles the network;
    `channels_last` stores images with their channels innermost; every `sample_every` steps, samples
    of the same noises are drawn into samples/progress.  Of the checkpoints the newest `keep_last` stay,
    and those at multiples of `keep_every`.

    Every `evaluate_every` steps, what `evaluate` says is measured with the first average on samples
    as the recipe draws them; by default what the recipe's own `evaluate` says, on at most 1000.
    `best` keeps the checkpoint that measures best, whatever `keep_last` says.  `trackers` are told the
    lines of metrics.jsonl too.  `fsdp` cuts weights, gradients, averages and Adam's moments among
    the processes (FSDP), for what does not fit one device.
    """

    steps: Positive
    batch_size: Positive = 128
    lr: Annotated[float, Gt(0)] = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: Annotated[float, Gt(0)] = 1e-8
    weight_decay: Annotated[float, Ge(0)] = 0.0
    warmup: Count = 0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    lr_end: Annotated[float, Ge(0)] = 1e-8
    loss_weights: dict[str, Annotated[float, Ge(0)]] = field(default_factory=dict)
    grad_clip: Annotated[float, Gt(0)] | None = None
    ema: Annotated[float, Ge(0), Le(1)] | tuple[Decay, ...] | None = 0.999
    ema_power: tuple[Width, ...] = ()
    snapshot_every: Positive | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    grad_accum: Positive = 1
    compile: bool = False
    channels_last: bool = False
    label_dropout: Fraction = 0.0
    sample_every: Positive | None = None
    evaluate_every: Positive | None = None
    evaluate: Evaluate | None = None
    best: Best | None = None
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = ()
    fsdp: bool = False
    checkpoint_every: Positive = 1000
    keep_last: Positive = 2
    keep_every: Positive | None = None
    log_every: Positive = 50


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """Guide the samples: v = v_weak + scale (v_strong - v_weak), while t lies in `interval`.

    A scale of 1 is no guidance.  The weak field is the network without its label (train with
    `label_dropout`), or the network of the run in folder `weak`.
    """

    scale: Annotated[float, Ge(0)]
    interval: tuple[float, float] = (0.0, 1.0)
    weak: str | None = None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """How samples are drawn: sample i is a function of (seed, i) alone.

    `keep_on_disk` is how many of `count` stay on disk, in whole batches (all by default): the others are
    drawn when they are measured, batch by batch, and never held together.
    `seed` defaults to the recipe's.  `weights` chooses the moving average (`ema`), the last step's
    weights (`raw`), a profile by name (`ema:0.9999`, `power:0.05`), or the `best` checkpoint's
    average.  `label` conditions every
    sample on one class; by default classes take turns if the model has labels.  `path` is another
    affine path to sample along than the one trained on.
    """

    solver: Solver
    count: Positive = 64
    keep_on_disk: Positive | None = None
    batch_size: Positive = 256
    seed: int | None = None
    weights: str = "ema"
    label: Count | None = None
    path: Path | None = None
    guidance: Guidance | None = None


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is measured of samples without a run, on the first `count` of them (all by default)."""

    metrics: list[Metric]
    count: Positive | None = None
    batch_size: Positive = 256
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The interval that a result must lie in; the run exits with 3 if it does not."""

    min: float | None = None
    max: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sections:
    """A whole recipe.  `train`, `sample`, `evaluate` are the stages: those that exist are run."""

    seed: int = 0
    data: Dataset
    path: Path
    coupling: Coupling = "independent"  # type: ignore[assignment]  # a component by its name, as in a recipe
    objective: Objective = "flow_matching"  # type: ignore[assignment]
    model: VectorField
    train: Train | None = None
    sample: Sample | None = None
    evaluate: Evaluate | None = None
    expect: dict[str, Bound] = field(default_factory=dict)

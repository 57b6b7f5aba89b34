"""The sections of a recipe, each with its options, types, ranges and defaults.

A section is either a component (data, path, ...), whose options are the constructor's, or one of
the settings below.  The schema is read from these signatures, so that a default is here and nowhere
else.  Imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Le

from fmcore.errors import ComponentError
from fmcore.recipe.create import create

if TYPE_CHECKING:
    from fmcore.interfaces.callback import Callback
    from fmcore.interfaces.codec import Codec
    from fmcore.interfaces.coupling import Coupling
    from fmcore.interfaces.dataset import Dataset, Split
    from fmcore.interfaces.guidance import Guidance
    from fmcore.interfaces.lr_schedule import LearningRate
    from fmcore.interfaces.metric import Metric
    from fmcore.interfaces.model import VectorField
    from fmcore.interfaces.objective import Objective
    from fmcore.interfaces.optimizer import OptimizerFactory
    from fmcore.interfaces.path import Path
    from fmcore.interfaces.run_option import RunOption
    from fmcore.interfaces.solver import Solver

__all__ = ["Best", "Bound", "Evaluate", "Measure", "Sample", "Sections", "Train"]

Positive = Annotated[int, Gt(0)]
Count = Annotated[int, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
# 1/sqrt(12) = 0.289 is the width of the uniform average over a whole training (exponent 0).
Width = Annotated[float, Gt(0), Le(0.28)]
# every tracker of accelerate
Tracker = Literal[
    "aim",
    "clearml",
    "comet_ml",
    "dvclive",
    "mlflow",
    "swanlab",
    "tensorboard",
    "trackio",
    "wandb",
]


# a number, text such as a file, or nested lists of numbers
ConditionValue = (
    int | float | str | list[float] | list[list[float]] | list[list[list[float]]] | list[str]
)


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """The metrics of a run, with the split and the number of examples (`count`, default all) that
    metrics of data are measured on.
    """

    metrics: list[Metric]
    split: Split = "test"
    count: Positive | None = None
    batch_size: Positive = 256


@dataclass(frozen=True, kw_only=True)
class Best:
    """The result that selects the best checkpoint: the least (`min`) or greatest (`max`)."""

    metric: str
    mode: Literal["min", "max"] = "min"


@dataclass(frozen=True, kw_only=True)
class Train:
    """Training: an optimizer on the objective, moving averages of the weights, checkpoints.

    `init` is a run of the same network from whose weights training starts (fine-tuning).

    `batch_size` is the total over all processes and `grad_accum` micro-batches.  The learning rate
    of a step is `lr` times the factor of `lr_schedule`.  `callbacks` measure the training and write
    their numbers into metrics.jsonl.

    `loss_weights` multiplies the losses of the objective and of the network by name; the default is
    1.  `ema` is the decay of the moving average, or of several.  `ema_power` are the widths of
    averages with power-function profiles (arXiv 2312.02696); from snapshots of them, saved every
    `snapshot_every` steps, an average of any width can be reconstructed.  `compile` compiles the
    network, `channels_last` stores images with channels innermost.  Every `sample_every` steps,
    samples from the same noise are drawn into samples/progress.  The newest `keep_last` checkpoints
    are kept, and those at multiples of `keep_every`.

    Every `evaluate_every` steps, the metrics of `evaluate` are measured with the first average on
    samples drawn as in `sample`; by default those of the recipe's section `evaluate`, on at most
    1000 samples.  `best` keeps the best checkpoint in addition to `keep_last`.  `trackers` log the
    lines of metrics.jsonl.  `fsdp` shards weights, gradients, averages and the optimizer's state
    among the processes (FSDP), for networks that do not fit one device.

    `condition_dropout` is the probability, by name, that a row loses a condition; `label_dropout`
    is that of the label.  `ignore_conditions` are conditions of the data that nothing reads.
    """

    steps: Positive
    init: RunOption | None = None
    batch_size: Positive = 128
    lr: Annotated[float, Gt(0)] = 1e-3
    # components by name, as a recipe writes them; `__post_init__` builds them
    optimizer: OptimizerFactory = "adam"  # type: ignore[assignment]
    lr_schedule: LearningRate = "constant"  # type: ignore[assignment]
    callbacks: list[Callback] = field(default_factory=list)
    loss_weights: dict[str, Annotated[float, Ge(0)]] = field(default_factory=dict)
    grad_clip: Annotated[float, Gt(0)] | None = None
    ema: Fraction | tuple[Fraction, ...] | None = 0.999
    ema_power: tuple[Width, ...] = ()
    snapshot_every: Positive | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    grad_accum: Positive = 1
    compile: bool = False
    channels_last: bool = False
    label_dropout: Fraction = 0.0
    condition_dropout: dict[str, Fraction] = field(default_factory=dict)
    ignore_conditions: tuple[str, ...] = ()
    sample_every: Positive | None = None
    evaluate_every: Positive | None = None
    evaluate: Evaluate | None = None
    best: Best | None = None
    trackers: tuple[Tracker, ...] = ()
    fsdp: bool = False
    checkpoint_every: Positive = 1000
    keep_last: Positive = 2
    keep_every: Positive | None = None
    log_every: Positive = 50

    def __post_init__(self) -> None:
        for kind in ("optimizer", "lr_schedule"):
            if isinstance(name := getattr(self, kind), str):
                object.__setattr__(self, kind, create(kind, name))
        if self.label_dropout and "label" in self.condition_dropout:
            raise ComponentError("label_dropout and condition_dropout.label are the same: give one")

    @property
    def dropout(self) -> dict[str, float]:
        """The probability of dropping each condition, by name, where it is above 0."""
        every = {"label": self.label_dropout, **self.condition_dropout}
        return {name: probability for name, probability in every.items() if probability > 0}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Sampling: sample i is a function of (seed, i) alone.

    `keep_on_disk` is how many of `count` samples are saved, rounded to whole batches (default all);
    the others are drawn batch by batch when they are measured.  `seed` defaults to the recipe's.
    `weights` selects the moving average (`ema`), the weights of the last step (`raw`), an average
    by name (`ema:0.9999`, `power:0.05`), or the average of the `best` checkpoint.  `label`
    conditions all samples on one class, given by its number or its name; by default, sample i of a
    model with labels has label i modulo the number of classes.  `condition` is where other
    conditions come from: sample i has those of example i, modulo their number, of the split `train`
    or `test`; or all samples have the given values, by name.  `path` is an affine path to sample
    along other than the one trained on.
    `temperature` multiplies the first noise, which must be Gaussian: below 1, less variety.
    `guidance` changes the field of the samples; the first of several is the innermost.
    """

    solver: Solver
    count: Positive = 64
    keep_on_disk: Positive | None = None
    batch_size: Positive = 256
    seed: int | None = None
    weights: str = "ema"
    label: Count | str | None = None
    condition: Literal["train", "test"] | dict[str, ConditionValue] | None = None
    path: Path | None = None
    temperature: Annotated[float, Gt(0)] = 1.0
    guidance: tuple[Guidance, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Measure:
    """The metrics of samples without a run, on the first `count` of them (default all)."""

    metrics: list[Metric]
    count: Positive | None = None
    batch_size: Positive = 256
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The interval that a result must lie in; the run exits with 3 if it does not.

    `max_unfinished` is the share of its solves that may fail, for example by `max_steps`.
    """

    min: float | None = None
    max: float | None = None
    max_unfinished: Fraction = 0.0

    def __post_init__(self) -> None:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ComponentError(f"min has to be at most max, got {self.min} and {self.max}")


@dataclass(frozen=True, kw_only=True)
class Sections:
    """A complete recipe.  `train`, `sample`, `evaluate` are the stages: the present ones run.

    With a `codec` the flow is trained on the latents of the data, and samples are decoded.
    """

    seed: int = 0
    data: Dataset
    codec: Codec | None = None
    path: Path
    # components by name, as a recipe writes them
    coupling: Coupling = "independent"  # type: ignore[assignment]
    objective: Objective = "flow_matching"  # type: ignore[assignment]
    model: VectorField
    train: Train | None = None
    sample: Sample | None = None
    evaluate: Evaluate | None = None
    expect: dict[str, Bound] = field(default_factory=dict)

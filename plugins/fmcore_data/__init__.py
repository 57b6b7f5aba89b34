"""The built-in data sets."""

from __future__ import annotations

from fmcore import hookimpl
from fmcore.hookspecs import Register

__all__ = ["register_datasets"]


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer points in the plane and images in the formats that people have."""
    register("toy", "fmcore_data.toy:Toy", summary="points in the plane: checkerboard, moons, ...")
    register(
        "digits",
        "fmcore_data.digits:Digits",
        summary="1,797 handwritten digits, 8x8, that come with scikit-learn",
        needs=("scikit-learn",),
    )
    register("idx", "fmcore_data.idx:IDX", summary="MNIST and Fashion-MNIST files (IDX)")

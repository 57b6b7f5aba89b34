"""Names of datasets that are easily confused, by their number of images.

There are two ImageNet-32 and two ImageNet-64 datasets, whose likelihoods differ: a result has to
name the one it means.
"""

from __future__ import annotations

from fmcore import Split

__all__ = ["name_known_dataset"]

OFFICIAL = "by count: ImageNet {0}x{0}, downsampled by Chrabaszcz et al. 2017 (the paper's)"
FIRST = "by count: ImageNet {0}x{0} of van den Oord et al. 2016 (not the paper's)"

COUNTS: dict[Split, dict[int, str]] = {
    "train": {1_281_167: OFFICIAL, 1_281_149: FIRST},
    "test": {50_000: OFFICIAL, 49_999: FIRST},
}


def name_known_dataset(shape: tuple[int, ...], split: Split, length: int) -> str:
    """The known dataset with `length` images of `shape` in `split`; empty if there is none.

    >>> name_known_dataset((3, 32, 32), "test", 49_999)
    "by count: ImageNet 32x32 of van den Oord et al. 2016 (not the paper's)"
    """
    size = shape[-1]
    if shape != (3, size, size) or size not in (16, 32, 64):
        return ""
    return COUNTS[split].get(length, "").format(size)

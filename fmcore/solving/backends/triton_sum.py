"""The sums of a plan as one Triton kernel."""

from __future__ import annotations

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

__all__ = ["BLOCK", "MAX_READS", "fused_sum"]

BLOCK = 1024
"""Elements of a program: two float32 vectors of 16 bytes for each of 128 threads."""

MAX_READS = 64
"""Registers that one launch reads at most; each is an argument of the kernel."""


@triton.jit(do_not_specialize=["offset"])  # type: ignore[untyped-decorator]
def _fused_sum(outs, reads, table, offset, size, MASK: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    # Unspecialized, `offset` compiles once; int64, since a batch of images has over 2^31 elements.
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = at < size
    values = ()
    for j in tl.static_range(len(reads)):
        value = tl.load(reads[j] + at, mask=there)
        values = values + (value,)  # type: ignore[assignment]  # noqa: RUF005  # Triton knows no *
    for i in tl.static_range(len(outs)):
        total = tl.zeros((BLOCK,), dtype=table.dtype.element_ty)
        for j in tl.static_range(len(reads)):
            if (MASK >> (i * len(reads) + j)) & 1:
                total += tl.load(table + offset + i * len(reads) + j) * values[j]
        tl.store(outs[i] + at, total, mask=there)


def fused_sum(
    outs: Sequence[Tensor], reads: Sequence[Tensor], table: Tensor, offset: int, mask: int
) -> None:
    """Compute outs = weights @ reads, at most MAX_READS of them, in one launch (see `Kernel`)."""
    size = outs[0].numel()
    if size == 0:
        return
    _fused_sum[(triton.cdiv(size, BLOCK),)](
        tuple(outs),
        tuple(reads),
        table,
        offset,
        size,
        MASK=mask,
        BLOCK=BLOCK,
        enable_fp_fusion=True,
    )

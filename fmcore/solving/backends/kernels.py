"""What adds up the registers of a plan: torch's own operations anywhere, one Triton kernel where
that works.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["MOST_READS", "Kernel", "Unavailable", "best_kernel", "chain", "sweep", "triton_kernel"]

Kernel = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor, int, int], None]
"""`kernel(outs, reads, table, offset, mask)`: outs[i] = sum_j table[offset + i * len(reads) + j] *
reads[j] over the j with bit i * len(reads) + j of `mask`.  All have one shape, layout and dtype;
outs share no memory with reads."""


class Unavailable(Exception):
    """A way of solving is not to be had here; says why."""


def chain(
    outs: Sequence[Tensor], reads: Sequence[Tensor], table: Tensor, offset: int, mask: int
) -> None:
    """The kernel as a chain of torch's own operations."""
    weights = table[offset : offset + len(outs) * len(reads)].unbind() if reads else ()
    for i, out in enumerate(outs):
        first = i * len(reads)
        terms = [j for j in range(len(reads)) if mask >> (first + j) & 1]
        if not terms:
            out.zero_()
            continue
        torch.mul(reads[terms[0]], weights[first + terms[0]], out=out)
        for j in terms[1:]:
            out.addcmul_(reads[j], weights[first + j])


def triton_kernel(device: torch.device) -> Kernel:
    """The kernel in Triton, which has shown once on this device that it works.

    Raises Unavailable with the reason if it does not.  On a CPU it runs in Triton's interpreter,
    where `TRITON_INTERPRET=1` asks for that.
    """
    found = _tried(device, os.environ.get("TRITON_INTERPRET") == "1")
    if isinstance(found, str):
        raise Unavailable(found)
    return found


def best_kernel(device: torch.device) -> Kernel:
    """Triton's where it works, otherwise the chain."""
    try:
        return triton_kernel(device)
    except Unavailable:
        return chain


@lru_cache(maxsize=64)
def _tried(device: torch.device, interpreted: bool) -> Kernel | str:
    if device.type != "cuda" and not (device.type == "cpu" and interpreted):
        return f"Triton has no kernels for the device '{device.type}'"
    try:
        from fmcore.solving.backends.kernels import sweep
    except ImportError:
        return "Triton is not installed: pip install 'triton>=3.3'"
    try:
        with torch.inference_mode(False), torch.no_grad(), _waiting_allowed(device):
            agrees = _agrees(sweep, device)
    except Exception as error:  # a compiler, a linker, a driver: they raise what they like
        reason = str(error).strip().partition("\n")[0]
        return f"Triton does not work here: {type(error).__name__}: {reason}"
    return sweep if agrees else "Triton's kernel and torch do not agree here"


def _agrees(kernel: Kernel, device: torch.device) -> bool:
    """Whether the kernel gives what the chain gives, on two vectors that end amid a block."""
    reads = [torch.linspace(-1, n, 1500, device=device) for n in (1, 2, 3)]
    table = torch.linspace(0.5, 2, 7, device=device)
    ours, torchs = ([torch.full_like(reads[0], 9.0) for _ in range(2)] for _ in range(2))
    for outs, by in ((ours, kernel), (torchs, chain)):
        by(outs, reads, table, 1, 0b101110)
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, torchs, strict=True))


@contextmanager
def _waiting_allowed(device: torch.device) -> Iterator[None]:
    """The trial waits for the device, once, even where the caller forbids it to solves."""
    if device.type != "cuda":
        yield
        return
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode(0)
    try:
        with torch.cuda.device(device):
            yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


BLOCK = 1024
"""Elements a program: two float32 vectors of 16 bytes for each of 128 threads."""


MOST_READS = 64
"""Registers that one launch reads; each is an argument of the kernel."""


@triton.jit(do_not_specialize=["offset"])  # type: ignore[untyped-decorator]
def _sweep(outs, reads, table, offset, size, MASK: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
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


def sweep(
    outs: Sequence[Tensor], reads: Sequence[Tensor], table: Tensor, offset: int, mask: int
) -> None:
    """outs = weights @ reads in one launch: see `fmcore.solving.backends.kernels.Kernel`."""
    size = outs[0].numel()
    if size == 0:
        return
    if len(reads) > MOST_READS:
        chain(outs, reads, table, offset, mask)
        return
    _sweep[(triton.cdiv(size, BLOCK),)](
        tuple(outs),
        tuple(reads),
        table,
        offset,
        size,
        MASK=mask,
        BLOCK=BLOCK,
        enable_fp_fusion=True,
    )

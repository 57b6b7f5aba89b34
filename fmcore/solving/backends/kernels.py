"""Kernels that sum the registers of a plan: torch's own operations, or one Triton kernel."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, wraps

import torch
from torch import Tensor

__all__ = ["Kernel", "Unavailable", "best_kernel", "chain", "triton_kernel"]

Kernel = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor, int, int], None]
"""`kernel(outs, reads, table, offset, mask)`: outs[i] = sum_j table[offset + i * len(reads) + j] *
reads[j] over the j with bit i * len(reads) + j of `mask`.  All have one shape, layout and dtype;
outs share no memory with reads."""


class Unavailable(Exception):
    """A backend or kernel cannot be used here; the message is the reason."""


def chain(
    outs: Sequence[Tensor], reads: Sequence[Tensor], table: Tensor, offset: int, mask: int
) -> None:
    """Compute the sums by a chain of torch's own operations."""
    weights = table[offset : offset + len(outs) * len(reads)].unbind() if reads else ()
    for i, out in enumerate(outs):
        first = i * len(reads)
        terms = [j for j in range(len(reads)) if mask >> (first + j) & 1]
        if not terms:
            out.zero_()
            continue
        # Weights stay on the device: reading them would make the host wait.
        torch.mul(reads[terms[0]], weights[first + terms[0]], out=out)
        for j in terms[1:]:
            out.addcmul_(reads[j], weights[first + j])


def triton_kernel(device: torch.device) -> Kernel:
    """Return the Triton kernel, after one test on this device.

    Raises Unavailable with the reason if the test fails.  On a CPU it runs in Triton's interpreter,
    if `TRITON_INTERPRET=1` is set.
    """
    found = _tried(device, os.environ.get("TRITON_INTERPRET") == "1")
    if isinstance(found, str):
        raise Unavailable(found)
    return found


def best_kernel(device: torch.device) -> Kernel:
    """Return the Triton kernel where it works, otherwise `chain`."""
    try:
        return triton_kernel(device)
    except Unavailable:
        return chain


@lru_cache(maxsize=64)
def _tried(device: torch.device, interpreted: bool) -> Kernel | str:
    if device.type != "cuda" and not (device.type == "cpu" and interpreted):
        return f"Triton has no kernels for the device '{device.type}'"
    try:
        # Triton is optional, and takes a second to import.
        from fmcore.solving.backends.triton_sum import MAX_READS, fused_sum
    except ImportError:
        return "Triton is not installed: pip install 'triton>=3.3'"
    try:
        with torch.inference_mode(False), torch.no_grad(), _waiting_allowed(device):
            agrees = _agrees(fused_sum, device)
    except Exception as error:  # of the compiler, the linker or the driver, of any type
        reason = str(error).strip().partition("\n")[0]
        return f"Triton does not work here: {type(error).__name__}: {reason}"
    return (
        _limited(fused_sum, MAX_READS) if agrees else "Triton's kernel and torch do not agree here"
    )


def _limited(kernel: Kernel, most: int) -> Kernel:
    """Return `kernel`, replaced by the chain for more than `most` reads."""

    @wraps(kernel)
    def limited(
        outs: Sequence[Tensor], reads: Sequence[Tensor], table: Tensor, offset: int, mask: int
    ) -> None:
        (kernel if len(reads) <= most else chain)(outs, reads, table, offset, mask)

    return limited


def _agrees(kernel: Kernel, device: torch.device) -> bool:
    """Return whether kernel and chain agree on vectors whose length is no multiple of a block."""
    # 1500 is no multiple of the block, so that the mask of the last block is tested too.
    reads = [torch.linspace(-1, n, 1500, device=device) for n in (1, 2, 3)]
    table = torch.linspace(0.5, 2, 7, device=device)
    ours, torchs = ([torch.full_like(reads[0], 9.0) for _ in range(2)] for _ in range(2))
    for outs, by in ((ours, kernel), (torchs, chain)):
        by(outs, reads, table, 1, 0b101110)
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, torchs, strict=True))


@contextmanager
def _waiting_allowed(device: torch.device) -> Iterator[None]:
    """Allow the test to wait for the device, even where the caller has forbidden it."""
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

"""The built-in couplings of noise and data within a batch, and datasets of pairs."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_couplings(register: Register) -> None:
    """Register the couplings."""
    register(
        "independent",
        "fmcore_couplings.independent:Independent",
        summary="noise and data drawn independently, as in the paper",
    )
    register(
        "minibatch_ot",
        "fmcore_couplings.minibatch_ot:MinibatchOT",
        summary="optimal transport within a batch or a pool of batches: OT-CFM",
    )
    paired = "fmcore_couplings.paired:Paired"
    register("paired", paired, summary="the pairs of the dataset, unchanged")
    register("reflow", paired, summary="alias of paired, for pairs that a run generated")


@hookimpl
def register_datasets(register: Register) -> None:
    """Register the datasets that have an x0."""
    register(
        "pairs",
        "fmcore_couplings.pairs:Pairs",
        summary="pairs of x0 and x1 in a safetensors file, as `fmcore.write_pairs` writes them",
    )

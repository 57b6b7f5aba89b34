"""How noise and data are paired within a batch, and data sets that come in pairs."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_couplings(register: Register) -> None:
    """Offer the couplings."""
    register(
        "independent",
        "fmcore_couplings.independent:Independent",
        summary="noise and data as they were drawn: the paper's",
    )
    register(
        "minibatch_ot",
        "fmcore_couplings.minibatch_ot:MinibatchOT",
        summary="the cheapest permutation of a batch, or of a pool of them: OT-CFM",
    )
    paired = "fmcore_couplings.paired:Paired"
    register("paired", paired, summary="the pairs of the data set, left as they are")
    register("reflow", paired, summary="another name of paired, for pairs that a run generated")


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer data that bring their own x0."""
    register(
        "pairs",
        "fmcore_couplings.pairs:Pairs",
        summary="pairs of x0 and x1 in a safetensors file, as `fmcore.write_pairs` makes them",
    )

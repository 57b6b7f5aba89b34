"""How noise and data are paired within a batch."""

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

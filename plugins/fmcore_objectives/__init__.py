"""What a network predicts, how its errors are weighted, and when they are looked at."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_objectives(register: Register) -> None:
    """Offer the objectives."""
    register(
        "flow_matching",
        "fmcore_objectives.flow_matching:FlowMatching",
        summary="the velocity itself: conditional flow matching (eq. 9, 14)",
    )

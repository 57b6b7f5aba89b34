"""The built-in objectives: what a network predicts and how its errors are weighted over time."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_objectives(register: Register) -> None:
    """Register the objectives."""
    register(
        "flow_matching",
        "fmcore_objectives.flow_matching:FlowMatching",
        summary="the velocity itself: conditional flow matching (eq. 9, 14)",
    )
    register("ddpm", "fmcore_objectives.ddpm:DDPM", summary="the noise (eq. 44)")
    register("data", "fmcore_objectives.data:DataPrediction", summary="the data: a denoiser")
    register(
        "score_matching",
        "fmcore_objectives.score_matching:ScoreMatching",
        summary="the score, weighted by sigma^2 (eq. 42)",
    )
    register(
        "scoreflow",
        "fmcore_objectives.scoreflow:ScoreFlow",
        summary="the score, weighted for likelihood: beta on vp (eq. 42)",
    )

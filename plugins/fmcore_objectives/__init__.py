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
    register(
        "mean_flow",
        "fmcore_objectives.mean_flow:MeanFlow",
        summary="the average velocity between two times: few-step sampling (arXiv 2505.13447)",
    )
    register(
        "improved_mean_flow",
        "fmcore_objectives.improved_mean_flow:ImprovedMeanFlow",
        summary="MeanFlow as a regression of the velocity (arXiv 2512.02012)",
    )
    register(
        "shortcut",
        "fmcore_objectives.shortcut:Shortcut",
        summary="steps of any size, each as good as two of half of it (arXiv 2410.12557)",
    )
    register(
        "consistency",
        "fmcore_objectives.consistency:Consistency",
        summary="equal ends from close times; distils a teacher run (arXiv 2407.02398)",
    )
    register(
        "none",
        "fmcore_objectives.none:NoObjective",
        summary="only the network's own losses, as for an autoencoder",
    )

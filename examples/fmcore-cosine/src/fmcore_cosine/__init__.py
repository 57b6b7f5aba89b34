"""The cosine schedule of improved DDPM, as a path for fmcore."""

from fmcore import Register, hookimpl


@hookimpl
def register_paths(register: Register) -> None:
    """Register the path; its module, which needs torch, is imported on first use."""
    register(
        "offset_cosine",
        "fmcore_cosine.path:OffsetCosinePath",
        summary="the cosine schedule of improved DDPM, with its offset",
    )

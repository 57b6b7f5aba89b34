"""Manifolds, tokens and products: spaces, and the components of flows on them."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_spaces(register: Register) -> None:
    """Register the spaces."""
    core = "fmcore.interfaces.space"
    register("euclidean", f"{core}:Euclidean", summary="R^n, the space of all other data")
    register("torus", "fmcore_spaces.torus:Torus", summary="angles in [-pi, pi)")
    register("sphere", "fmcore_spaces.sphere:Sphere", summary="unit vectors")
    register("so3", "fmcore_spaces.so3:SO3", summary="rotation matrices")
    register("tokens", f"{core}:Tokens", summary="whole numbers of a vocabulary, and a mask")
    register("product", f"{core}:Product", summary="parts of several spaces in one row")


@hookimpl
def register_sources(register: Register) -> None:
    """Register the sources of points on spaces."""
    register("uniform", "fmcore_spaces.uniform:Uniform", summary="uniform on a compact space")
    register(
        "wrapped_normal",
        "fmcore_spaces.wrapped_normal:WrappedNormal",
        summary="normal tangent vectors at a base point of a manifold",
    )


@hookimpl
def register_paths(register: Register) -> None:
    """Register the paths on spaces."""
    register(
        "geodesic",
        "fmcore_spaces.geodesic:GeodesicPath",
        summary="along the shortest geodesic of a manifold (arXiv 2302.03660)",
    )


@hookimpl
def register_datasets(register: Register) -> None:
    """Register the data on spaces."""
    register("airports", "fmcore_spaces.airports:Airports", summary="7,884 airports on the sphere")
    register(
        "rotations", "fmcore_spaces.rotations:Rotations", summary="rotations of a known density"
    )

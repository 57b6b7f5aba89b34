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
    register("mask", "fmcore_spaces.mask:Mask", summary="every token is the mask")
    register(
        "unigram", "fmcore_spaces.unigram:Unigram", summary="tokens with the data's frequencies"
    )


@hookimpl
def register_paths(register: Register) -> None:
    """Register the paths on spaces."""
    register(
        "geodesic",
        "fmcore_spaces.geodesic:GeodesicPath",
        summary="along the shortest geodesic of a manifold (arXiv 2302.03660)",
    )
    register(
        "mixture",
        "fmcore_spaces.mixture:MixturePath",
        summary="tokens that jump from x0 to x1 (arXiv 2407.15595)",
    )
    register("product", "fmcore_spaces.product_path:ProductPath", summary="a path for each part")


@hookimpl
def register_objectives(register: Register) -> None:
    """Register the objectives of tokens and products."""
    module = "fmcore_spaces.token_objectives"
    register("cross_entropy", f"{module}:CrossEntropy", summary="posterior of tokens")
    register(
        "generalized_kl",
        f"{module}:GeneralizedKL",
        summary="bound on -log p of tokens (arXiv 2412.03487)",
    )
    register(
        "product",
        "fmcore_spaces.product_objective:ProductObjective",
        summary="an objective for each part",
    )


@hookimpl
def register_models(register: Register) -> None:
    """Register the networks of sequences."""
    register("sequence", "fmcore_spaces.sequence:Sequence", summary="transformer over positions")


@hookimpl
def register_solvers(register: Register) -> None:
    """Register the solver of tokens and products."""
    register("leap", "fmcore_spaces.leap:Leap", summary="jumps and geodesic steps towards the data")


@hookimpl
def register_metrics(register: Register) -> None:
    """Register the metrics of tokens."""
    register("token_bound", "fmcore_spaces.token_bound:TokenBound", summary="bound on bits a token")
    register(
        "ngram_validity",
        "fmcore_spaces.ngram_validity:NgramValidity",
        summary="share of n-grams that the training data hold",
    )


@hookimpl
def register_datasets(register: Register) -> None:
    """Register the data on spaces."""
    register(
        "airports",
        "fmcore_spaces.airports:Airports",
        summary="airports on the sphere",
        needs=("airportsdata",),
    )
    register(
        "rotations", "fmcore_spaces.rotations:Rotations", summary="rotations of a known density"
    )
    register(
        "digits_tokens",
        "fmcore_spaces.digits_tokens:DigitsTokens",
        summary="levels of digits as tokens",
    )
    register("words", "fmcore_spaces.words:Words", summary="words of 3 to 8 letters as tokens")

"""What does not know the data's space is refused before training, with what to use instead."""

from __future__ import annotations

import pytest

from fmcore import ComponentError, FmcoreError, load_recipe
from fmcore.stages.components import Components

ROTATIONS = """
data: {name: rotations, count: 300}
path: PATH
objective: OBJECTIVE
coupling: COUPLING
model: {name: mlp, width: 16, depth: 1}
train: {steps: 2, batch_size: 16}
sample: {solver: SOLVER, count: 8}
evaluate: {metrics: [METRIC]}
"""
RIGHT = {
    "PATH": "geodesic",
    "OBJECTIVE": "flow_matching",
    "COUPLING": "independent",
    "SOLVER": "euler",
    "METRIC": "nll",
}


def checked(tmp_path, text, **words):
    for name, value in {**RIGHT, **words}.items():
        text = text.replace(name, value)
    file = tmp_path / "recipe.yaml"
    file.write_text(text, encoding="utf-8")
    components = Components.of(load_recipe(file))
    components.check()
    return components


def test_components_that_fit_are_accepted(tmp_path):
    components = checked(tmp_path, ROTATIONS)
    assert components.path.space == components.data.space
    checked(tmp_path, ROTATIONS, COUPLING="minibatch_ot")
    checked(tmp_path, ROTATIONS, OBJECTIVE="data")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            {"PATH": "ot"},
            "path OTPath has points of Euclidean, .* are points of SO3: use path 'geo",
        ),
        ({"PATH": "{name: geodesic, source: gaussian}"}, "source Gaussian draws points of R"),
        ({"PATH": "{name: geodesic, source: mask}"}, "source 'mask' needs tokens"),
        ({"OBJECTIVE": "ddpm"}, "objective DDPM does not train flows of points of SO3"),
        ({"SOLVER": "ddim"}, "integrates the linear part of an affine path"),
        ({"SOLVER": "flow_map"}, "solver FlowMap does not move points of SO3"),
        (
            {"SOLVER": "{name: 'torchdiffeq:euler', steps: 4}"},
            "does not move points of SO3: use solver a Runge",
        ),
        ({"METRIC": "sliced_wasserstein"}, "sliced_wasserstein measures distances in R"),
        ({"METRIC": "token_bound"}, "token_bound is a bound on the probability of tokens"),
    ],
    ids=str,
)
def test_components_that_do_not_know_rotations_are_refused(tmp_path, words, text):
    with pytest.raises(FmcoreError, match=text):
        checked(tmp_path, ROTATIONS, **words)


DIGITS = ROTATIONS.replace("{name: rotations, count: 300}", "digits_tokens")
TOKENS = {
    "PATH": "mixture",
    "OBJECTIVE": "cross_entropy",
    "SOLVER": "leap",
    "METRIC": "token_bound",
}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"PATH": "geodesic"}, "path 'geodesic' needs points of a manifold"),
        ({"OBJECTIVE": "flow_matching"}, "use objective 'cross_entropy'"),
        ({"SOLVER": "dopri5"}, "solver Dopri5 does not move points of Tokens: use solver 'leap'"),
        ({"METRIC": "nll"}, "nll is a density, .* use metric 'token_bound'"),
        (
            {
                "PATH": "{name: mixture, source: uniform}",
                "OBJECTIVE": "{name: cross_entropy, where: noised}",
            },
            "needs source 'mask'",
        ),
    ],
    ids=str,
)
def test_components_that_do_not_know_tokens_are_refused(tmp_path, words, text):
    checked(tmp_path, DIGITS, **TOKENS)
    with pytest.raises(FmcoreError, match=text):
        checked(tmp_path, DIGITS, **{**TOKENS, **words})


def test_a_network_without_the_space_is_refused(tmp_path):
    text = ROTATIONS.replace("{name: mlp, width: 16, depth: 1}", "{name: unet, channels: 8}")
    with pytest.raises(FmcoreError):
        checked(tmp_path, text).model()


def test_token_data_refuse_a_likelihood():
    import torch

    from fmcore import Tokens, create, log_prob

    path = create("path", "mixture").on(Tokens(3))
    with pytest.raises(ComponentError, match="use metric 'token_bound'"):
        log_prob(lambda x, t: x, torch.zeros(2, 2), path=path)

"""`fmcore plugins show`: the facts of a component, and the plan of a fixed solver."""

from __future__ import annotations

import json

import pytest

from fmcore.registry import registry

FACTS = {"order", "evaluations", "path", "coupling"}
NEED_A_BUDGET = {f"torchdiffeq:{name}" for name in ("euler", "midpoint", "rk4")}


def show(call, *arguments):
    ended = call("plugins", "show", *arguments)
    assert ended.code == 0, ended.err
    return ended.out


def test_the_facts_of_unipc_are_its_order_cost_grid_and_path(call):
    facts = json.loads(show(call, "unipc", "--json"))["facts"]
    assert facts == {
        "order": "3",
        "evaluations": "1 a step",
        "grid": "lambda on curved paths by default",
        "path": "an affine one, whose alpha and sigma it reads",
        "coupling": "any",
    }
    assert "order        3\nevaluations  1 a step\n" in show(call, "unipc")


def test_facts_follow_the_options(call):
    assert json.loads(show(call, "unipc", "--set", "p=3", "--json"))["facts"]["order"] == "3"


@pytest.mark.parametrize(
    "name", [e.name for e in registry().entries("solver") if e.plugin == "fmcore_solvers"]
)
def test_every_solver_states_its_facts(call, name):
    budget = ("--set", "nfe=24") if name in NEED_A_BUDGET else ()
    facts = json.loads(show(call, name, *budget, "--json"))["facts"]
    wanted = {"path", "coupling"} if name.startswith("torchdiffeq:") else FACTS
    assert wanted <= facts.keys()


def test_a_stochastic_solver_names_its_noise(call):
    facts = json.loads(show(call, "ancestral", "--json"))["facts"]
    assert facts["noise"] == "added in each step, an SDE"
    assert facts["coupling"] == "independent, for the score"


def test_plan_lists_the_computations_of_every_step(call):
    out = show(call, "unipc", "--plan", "3", "--path", "vp")
    title, *rows = out[out.index("3 steps, ") :].splitlines()
    assert title == "3 steps, 3 evaluations of the field; r0 = x0"
    assert sum("= field(" in row for row in rows) == 3
    assert rows[-1].startswith("x = r")
    assert json.loads(show(call, "midpoint", "--plan", "1", "--json"))["plan"].splitlines() == [
        "1 steps, 2 evaluations of the field; r0 = x0",
        "r1 = field(r0, t=0)",
        "r2 = 1 r0 + 0.5 r1",
        "r3 = field(r2, t=0.5)",
        "r4 = 1 r0 + 1 r3",
        "x = r4",
    ]


def test_the_plan_of_an_sde_has_its_noise(call):
    out = show(call, "ancestral", "--plan", "3", "--set", "noise=0.5", "--path", "{name: linear}")
    assert out.count("= noise(") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dopri5", "--plan", "3"), "solver 'dopri5' has no plan"),
        (("unipc", "--set", "p"), "--set takes OPTION=VALUE, got 'p'"),
        (("unipc", "--set", "q=3"), "has no option 'q'"),
        (("unipc", "--plan", "3", "--path", "vpp"), "did you mean 'vp'?"),
    ],
)
def test_wrong_arguments_of_show_are_errors(call, arguments, message):
    ended = call("plugins", "show", *arguments)
    assert ended.code == 2
    assert message in ended.err


def test_a_component_without_facts_has_none_in_json(call):
    assert json.loads(show(call, "ot", "--kind", "path", "--json"))["facts"] == {}


def test_any_component_may_have_facts(call, tmp_path):
    plugin = tmp_path / "calm.py"
    plugin.write_text(
        "from dataclasses import dataclass\n"
        "from fmcore import Gaussian, Source, hookimpl\n"
        "@dataclass(frozen=True)\n"
        "class Calm(Source):\n"
        "    width: float = 2.0\n"
        "    def sample(self, rows, shape, condition=None, dtype=None):\n"
        "        return Gaussian(self.width).sample(rows, shape)\n"
        "    def log_prob(self, x, condition=None):\n"
        "        return Gaussian(self.width).log_prob(x)\n"
        "    def facts(self):\n"
        "        return {'variance': str(self.width**2)}\n"
        "@hookimpl\n"
        "def register_sources(register):\n"
        "    register('calm', Calm)\n",
        encoding="utf-8",
    )
    out = show(call, "calm", "--plugin", str(plugin), "--set", "width=3", "--json")
    assert json.loads(out)["facts"] == {"variance": "9.0"}

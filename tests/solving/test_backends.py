"""Backends by name: what runs, what is said where it cannot, and that nothing else changes."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest
import torch

from fmcore import ComponentError, Field, FmcoreWarning, Guided, Problem, create
from fmcore.solving import Augmentation, CompiledSteps
from fmcore.solving.backends import select as backends
from fmcore.solving.backends.cuda_graph import GraphedSteps
from fmcore.solving.backends.field_state import Counters, PerField, addresses, recognizer
from fmcore.solving.backends.kernels import Unavailable, chain
from fmcore.testing.backends import run_again


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch):
    monkeypatch.setattr(backends, "_warned", set())


@pytest.fixture
def quick_compiler(monkeypatch):
    """Traces steps and compiles nothing: what torch refuses, it refuses all the same."""
    kept = PerField(lambda field: CompiledSteps(field, backend="eager"))
    monkeypatch.setattr(backends, "_compiled", kept)


def field(x, t):
    return torch.sin(3 * x) * (1 - t.unsqueeze(-1))


def problem(field=field, **more):
    return Problem(field, torch.linspace(-1, 1, 12).reshape(4, 3), **more)


def solver(backend, **options):
    return create("solver", "midpoint", nfe=6, backend=backend, **options)


def test_the_default_on_a_cpu_is_eager_and_says_nothing():
    solution = create("solver", "midpoint", nfe=6).solve(problem())
    assert torch.equal(solution.x, solver("eager").solve(problem()).x)
    assert set(solution.stats.extra) == {"nfe_asked"}


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("fused", "Triton has no kernels for the device 'cpu'"),
        ("graph", "CUDA graphs need a CUDA device, and x0 is on 'cpu'"),
    ],
)
def test_what_a_cpu_lacks_is_replaced_with_one_word(backend, reason, monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    expected = f"^solver 'midpoint': no backend '{backend}' here: {reason}; solving by 'eager'$"
    with pytest.warns(FmcoreWarning, match=expected) as heard:
        solutions = [solver(backend).solve(problem()) for _ in range(3)]
    assert len(heard) == 1
    for solution in solutions:
        assert solution.stats.extra == {"nfe_asked": 6, "backend": "eager", "refused": reason}
        assert torch.equal(solution.x, solver("eager").solve(problem()).x)


@pytest.mark.usefixtures("quick_compiler")
def test_compiled_steps_run_by_name():
    solution = solver("compiled").solve(problem())
    assert solution.stats.extra["backend"] == "compiled"
    torch.testing.assert_close(solution.x, solver("eager").solve(problem()).x)


@pytest.mark.usefixtures("quick_compiler")
def test_a_field_that_does_not_compile_is_solved_otherwise_and_not_tried_again():
    tried = []

    def branching(x, t):
        tried.append(len(x))
        return -x if x.sum() > 0 else x.clone()

    with pytest.warns(FmcoreWarning, match="the step does not compile: .*; solving by 'eager'"):
        solution = solver("compiled").solve(problem(branching))
    assert solution.stats.extra["backend"] == "eager"
    assert "does not compile" in solution.stats.extra["refused"]
    again = solver("compiled").solve(problem(branching))
    assert again.stats.extra == solution.stats.extra
    assert torch.equal(again.x, solver("eager").solve(problem(branching)).x)


@pytest.mark.parametrize(
    ("more", "backend", "reason"),
    [
        ({"grad": "direct"}, "compiled", "gradients go through torch's own operations"),
        ({"augmentation": Augmentation()}, "compiled", "divergences need autograd"),
        ({"augmentation": Augmentation()}, "graph", "divergences need autograd"),
    ],
)
def test_what_a_backend_cannot_do_is_done_by_another(more, backend, reason):
    asked = problem(**more)
    with pytest.warns(FmcoreWarning, match=reason):
        solution = solver(backend).solve(asked)
    wanted = solver("eager").solve(asked)
    assert torch.equal(solution.x, wanted.x)
    if wanted.logdet is not None:
        assert torch.equal(solution.logdet, wanted.logdet)


@pytest.mark.usefixtures("quick_compiler")
def test_errors_stay_errors():
    def narrow(x, t):
        return x[:, :1]

    asked = problem(narrow)
    with pytest.raises(ComponentError, match="field narrow returned"):
        solver("compiled").solve(asked)
    with pytest.raises(ComponentError, match="did you mean 'compiled'"):
        solver("compile")
    with pytest.raises(ComponentError, match=r"backend must be 'auto', .* or 'graph', got 'gpu'"):
        replace(solver("eager"), backend="gpu")
    with pytest.raises(ComponentError, match="no option 'backend'"):
        create("solver", "dopri5", backend="graph")


@pytest.mark.usefixtures("quick_compiler")
def test_counters_of_fields_are_right_when_compiled():
    path, model = create("path", "ot"), create("model", "mlp", shape=(3,)).eval()
    objective = create("objective", "flow_matching")
    strong, weak = (Field(model, path, objective) for _ in range(2))
    guided = Guided(strong, create("guidance", "cfg", scale=2.0, drop=()), {"weak": weak})
    for count in (1, 2):
        solution = solver("compiled").solve(problem(guided, path=path))
        assert solution.stats.extra["backend"] == "compiled"
        assert solution.stats.extra["forwards"] == 12
        assert (guided.nfe, strong.forwards, weak.forwards) == (6 * count,) * 3


@pytest.mark.usefixtures("quick_compiler")
def test_compiled_steps_do_not_keep_their_field_alive():
    model = create("model", "mlp", shape=(3,)).eval()
    trained = Field(model, create("path", "ot"), create("objective", "flow_matching"))
    solver("compiled").solve(problem(trained))
    gone = weakref.ref(trained)
    del trained
    gc.collect()
    assert gone() is None


def test_values_belong_to_fields_and_methods_to_their_object():
    class Model:
        def velocity(self, x, t):
            return x

        def other(self, x, t):
            return x

    kept, first, second = PerField(lambda field: object()), Model(), Model()
    assert kept.of(first.velocity) is kept.of(first.velocity)
    assert kept.of(first.velocity) is not kept.of(first.other)
    assert kept.of(first.velocity) is not kept.of(second.velocity)
    assert recognizer(first.velocity)(first.velocity)
    assert not recognizer(first.velocity)(second.velocity)


def test_addresses_are_found_behind_fields_functions_and_methods():
    model = create("model", "mlp", shape=(3,))
    trained = Field(model, create("path", "ot"), create("objective", "flow_matching"))
    count = 1 + len(list(model.parameters())) + len(list(model.buffers()))
    guided = create("guidance", "cfg", scale=2.0).wrap(trained)
    for holder in (model, trained, guided, model.forward, lambda x, t: model(x, t)):
        assert len(addresses(holder)) == 1
        assert len(addresses(holder)[0]) == count


def test_counters_outside_a_compiled_step_are_left_where_they_were():
    trained = Field(
        create("model", "mlp", shape=(3,)),
        create("path", "ot"),
        create("objective", "flow_matching"),
    )
    trained.nfe = 5
    counters = Counters(trained)

    def failing():
        assert trained.nfe == 0
        trained.nfe += 1
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        counters.apart(failing)
    assert trained.nfe == 6


def test_replacing_the_backend_keeps_the_rest():
    changed = replace(solver("eager", grid="cosine"), backend="fused")
    assert changed.grid == "cosine"
    assert changed.nfe == 6


@pytest.fixture
def recorded_by(monkeypatch):
    """Lets graphs be asked for without a GPU, made by another recorder."""

    def install(recorder):
        kept = PerField(lambda field: GraphedSteps(field, chain, recorder))
        monkeypatch.setattr(backends, "_graphed", kept)
        monkeypatch.setattr(backends, "_require", lambda backend, problem: None)

    return install


def test_graphs_run_by_name_and_serve_later_solves(recorded_by):
    made = []

    def recorder():
        made.append(1)
        return run_again()

    recorded_by(recorder)
    for _ in range(3):
        solution = solver("graph").solve(problem())
        assert solution.stats.extra == {"nfe_asked": 6, "backend": "graph"}
        torch.testing.assert_close(solution.x, solver("eager").solve(problem()).x)
    assert len(made) == 1


def test_a_step_that_cannot_be_recorded_is_solved_otherwise_and_not_tried_again(recorded_by):
    tried = []

    def recorder():
        def record(step):
            tried.append(1)
            step()  # a trial run goes well, and counts
            raise Unavailable("operation not permitted when stream is capturing")

        return record

    recorded_by(recorder)
    model, path = create("model", "mlp", shape=(3,)).eval(), create("path", "ot")
    trained = Field(model, path, create("objective", "flow_matching"))
    expected = "cannot be recorded: operation not permitted .*; solving by 'eager'"
    with pytest.warns(FmcoreWarning, match=expected):
        solution = solver("graph").solve(problem(trained))
    assert trained.nfe == 6
    torch.testing.assert_close(solution.x, solver("eager").solve(problem(trained)).x)
    assert solver("graph").solve(problem(trained)).stats.extra["refused"].startswith("the step")
    assert len(tried) == 1

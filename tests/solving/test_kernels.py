"""The Triton kernel without a GPU: its numbers by Triton's interpreter, and its machine code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("triton", reason="pip install 'triton>=3.3' to test the fused kernel")

SOLVES = """
    import json, os, warnings
    import torch
    from fmcore import Problem, create
    from fmcore.registry import registry
    from fmcore.solving import Augmentation, FixedSolver
    from fmcore.solving.backends import kernels
    from fmcore.solving.backends.fusion import program_of

    def field(x, t, condition=None):
        rate = 1 if condition is None else condition["rate"][:, None]
        return rate * torch.sin(3 * x) * (1 - t.unsqueeze(-1))

    launched = []
    def counting(*given):
        launched.append(1)
        kernel(*given)
    cpu = torch.device("cpu")
    kernel = kernels.triton_kernel(cpu)
    kernels._tried = lambda device, interpreted: counting

    warnings.simplefilter("error")
    found = {"kernel": f"{kernel.__module__}.{kernel.__name__}"}
    for entry in registry().entries("solver"):
        if not issubclass(entry.load(), FixedSolver):
            continue
        for dtype in (torch.float32, torch.float64):
            path = create("path", "vp")
            x0 = torch.linspace(-1, 1, 1500, dtype=dtype).reshape(500, 3)
            problem = Problem(field, x0, path=path, times=(0.5,), seed=2,
                              condition={"rate": torch.linspace(0.5, 1, 500, dtype=dtype)})
            by = {b: create("solver", entry.name, steps=5, backend=b) for b in ("eager", "fused")}
            eager = by["eager"].solve(problem)
            launched.clear()
            fused = by["fused"].solve(problem)
            plan = by["fused"].plan(path=path, times=(0.5,))
            found[f"{entry.name} {dtype}"] = {
                "error": max(float((fused.x - eager.x).abs().max()),
                             float((fused.trajectory - eager.trajectory).abs().max())),
                "size": float(eager.x.abs().max()),
                "ran": fused.stats.extra["backend"],
                "launches": [len(launched), program_of(plan).launches, plan.nfe],
            }
    midpoint = create("solver", "midpoint", steps=3, backend="fused")
    problem = Problem(field, torch.linspace(-1, 1, 12).reshape(4, 3), augmentation=Augmentation())
    fused, eager = midpoint.solve(problem), create("solver", "midpoint", steps=3).solve(problem)
    found["logdet"] = float((fused.logdet - eager.logdet).abs().max())
    empty = Problem(field, torch.zeros(0, 3))
    found["empty"] = list(midpoint.solve(empty).x.shape)
    print(json.dumps(found))
"""

COMPILES = """
    import json, sys
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from fmcore.solving.backends.triton_sum import BLOCK, _fused_sum

    found = []
    for reads, outs, mask, kind in ((0, 1, 0, "*fp32"), (2, 1, 3, "*fp32"), (4, 3, 0b111011111011,
                                    "*fp32"), (3, 1, 7, "*fp64")):
        names = {"outs": (kind,) * outs, "reads": (kind,) * reads, "table": kind, "offset": "i32",
                 "size": "i32", "MASK": "constexpr", "BLOCK": "constexpr"}
        aligned = [["tt.divisibility", 16]]
        attrs = {(0, i): aligned for i in range(outs)} | {(1, i): aligned for i in range(reads)}
        source = ASTSource(fn=_fused_sum, signature=names, attrs=attrs | {(4,): aligned},
                           constexprs={(5,): mask, (6,): BLOCK})
        code = triton.compile(source, target=GPUTarget("cuda", 80, 32),
                              options={"enable_fp_fusion": True}).asm
        found.append({
            "binary": len(code["cubin"]),
            "loads": sum("ld.global" in l and ".v" in l for l in code["ptx"].splitlines()),
            "stores": sum("st.global" in l and ".v" in l for l in code["ptx"].splitlines()),
            "narrow": sum("st.global" in l and ".v" not in l for l in code["ptx"].splitlines()),
            "vectors": BLOCK // 128 // (4 if kind == "*fp32" else 2),
            "reads": reads, "outs": outs,
        })
    print(json.dumps(found))
"""


def ran(code, tmp_path, **env):
    """What the code prints, run by a process of its own: Triton reads its settings at import."""
    cleared = {k: v for k, v in os.environ.items() if not k.startswith("TRITON_")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=cleared | {"TRITON_CACHE_DIR": str(tmp_path)} | env,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    return ran(SOLVES, tmp_path_factory.mktemp("triton"), TRITON_INTERPRET="1")


def test_every_fixed_solver_ends_where_the_eager_one_does(solved):
    assert solved["kernel"] == "fmcore.solving.backends.triton_sum.fused_sum"
    rows = {name: row for name, row in solved.items() if " " in name}
    assert len(rows) >= 40
    for name, row in rows.items():
        bound = 2e-6 if "float32" in name else 1e-13
        assert row["ran"] == "fused", name
        assert row["error"] <= bound * max(1.0, row["size"]), name


def test_the_kernel_is_launched_once_an_evaluation(solved):
    for name, row in solved.items():
        if " " in name:
            launched, planned, nfe = row["launches"]
            assert launched == planned, name
            assert launched <= nfe + 1, name


def test_divergences_and_empty_batches_are_taken_too(solved):
    assert solved["logdet"] < 1e-6
    assert solved["empty"] == [0, 3]


def test_the_kernel_compiles_for_a_gpu_and_reads_each_register_once(tmp_path):
    """To machine code for compute capability 8.0, which needs no GPU; every load and store of a
    register is 16 bytes wide.
    """
    for built in ran(COMPILES, tmp_path):
        assert built["binary"] > 0
        assert built["loads"] == built["reads"] * built["vectors"]
        assert built["stores"] == built["outs"] * built["vectors"]
        assert built["narrow"] == 0


def test_without_triton_the_kernels_load_and_give_the_reason(monkeypatch):
    import importlib.util

    import torch

    from fmcore.solving.backends import kernels

    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "fmcore.solving.backends.triton_sum", raising=False)
    spec = importlib.util.spec_from_file_location("kernels_without_triton", kernels.__file__)
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    with pytest.raises(copy.Unavailable, match="Triton is not installed"):
        copy.triton_kernel(torch.device("cpu"))
    assert copy.best_kernel(torch.device("cpu")) is copy.chain


@pytest.mark.gpu
def test_the_kernel_on_a_gpu_gives_what_the_chain_gives():
    import torch

    from fmcore.solving.backends.kernels import chain, triton_kernel

    device = torch.device("cuda")
    for dtype in (torch.float32, torch.float64):
        for size in (1, 1023, 1024, 100_000):
            reads = [torch.randn(size, dtype=dtype, device=device) for _ in range(4)]
            table = torch.randn(20, dtype=dtype, device=device)
            ours, torchs = ([torch.empty_like(reads[0]) for _ in range(3)] for _ in range(2))
            triton_kernel(device)(ours, reads, table, 5, 0b101111110111)
            chain(torchs, reads, table, 5, 0b101111110111)
            for a, b in zip(ours, torchs, strict=True):
                torch.testing.assert_close(a, b)

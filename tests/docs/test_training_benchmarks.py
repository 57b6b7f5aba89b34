"""The results of the training benchmarks, and the numbers on their page."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results"
NAMES = [
    "training_step",
    "trainer_overhead",
    "loader",
    "minibatch_ot",
    "bridge",
    "super_resolution",
    "reflow",
    "few_steps_images",
    "image_networks",
    "few_steps_digits",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_measurement_names_its_machine(name):
    report = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    assert {"processor", "cpus", "torch", "threads", "load_average"} <= report["machine"].keys()


def test_the_page_has_the_measured_numbers():
    page = " ".join((ROOT / "docs/training.md").read_text(encoding="utf-8").split())
    step = json.loads((RESULTS / "training_step.json").read_text(encoding="utf-8"))["steps"]
    for row in ("fmcore fp32", "fmcore bf16", "torchcfm bf16"):
        assert f"{step[row]['ratio']:.2f}" in page
    overhead = json.loads((RESULTS / "trainer_overhead.json").read_text(encoding="utf-8"))
    assert f"{overhead['outside_share']:.1%}".replace("%", " %") in page
    assert f"{overhead['checkerboard']['ratio']:.2f} (" in page
    for row in overhead["moving_average"].values():
        assert f"{row['ratio']:.2f}" in page


def test_the_table_of_super_resolution_has_the_measured_numbers():
    page = (ROOT / "docs/images.md").read_text(encoding="utf-8")
    results = json.loads((RESULTS / "super_resolution.json").read_text(encoding="utf-8"))["results"]
    formats = {"psnr": ".2f", "ssim": ".3f", "low_pass_error": ".3f", "fd_lite0": ".0f"}
    for kind, seeds in results.items():
        cells = (", ".join(f"{s[m]:{f}}" for s in seeds.values()) for m, f in formats.items())
        assert f"| {kind} | {' | '.join(cells)} |" in page


def test_the_table_of_reflow_has_the_measured_numbers():
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    found = json.loads((RESULTS / "reflow.json").read_text(encoding="utf-8"))["sliced_w2"]
    for name, row in (("first flow", "first"), ("after reflow", "reflow")):
        cells = [f"{error:.3f}" for error in found[row].values()]
        assert f"| {name} | {' | '.join(cells)} |" in page
        assert f"| {name}, distilled | {found[f'{row}, distilled']['1']:.3f} |" in page
    # what the text claims
    assert found["reflow"]["1"] < found["first"]["32"]
    assert found["reflow, distilled"]["1"] > found["reflow"]["1"]


def test_the_patterns_of_super_resolution_are_those_that_the_page_states():
    found = json.loads((RESULTS / "super_resolution.json").read_text(encoding="utf-8"))["results"]
    flow, regression = (list(found[kind].values()) for kind in ("flow", "regression"))
    for own, other in zip(flow, regression, strict=True):
        assert own["psnr"] < other["psnr"]
        assert own["ssim"] < other["ssim"]
        assert own["low_pass_error"] < 0.05
    holds = [a["fd_lite0"] < b["fd_lite0"] for a, b in zip(flow, regression, strict=True)]
    assert holds == [False, True]


NFES = ("1", "2", "4", "8", "16", "64")


def table_row(method, solver, own):
    """A row of a page's table: the distances at the numbers of evaluations measured."""
    *guided, name = solver.split()
    name = " ".join([f"`{method}`,", *guided, f"`{name}`"])
    cells = [f"{own[n]:.0f}" if n in own else "" for n in NFES]
    return " ".join(f"| {name} | {' | '.join(cells)} |".split())


@pytest.mark.parametrize("images", ["digits", "images"])
def test_the_tables_of_distilled_flows_have_the_measured_numbers(images):
    page = " ".join((ROOT / "docs/images.md").read_text(encoding="utf-8").split())
    report = json.loads((RESULTS / f"few_steps_{images}.json").read_text(encoding="utf-8"))
    found = report["fd_lite0"]
    for method, own in found.items():
        for solver, distances in own.items():
            if isinstance(distances, dict):
                assert table_row(method, solver, distances) in page
    flow, student = found["flow_matching"], found["distilled"]
    assert f"is {report['data']:.0f}:" in page
    assert f"{student['step_seconds'] / flow['step_seconds']:.1f} times" in page
    # a chain has the time of flow matching in all
    first = report["steps"] // 2
    spent = first * flow["step_seconds"] + student["steps"] * student["step_seconds"]
    assert spent == pytest.approx(flow["steps"] * flow["step_seconds"], rel=0.01)


def test_one_evaluation_is_compared_as_the_page_states():
    digits, fashion = (
        json.loads((RESULTS / f"few_steps_{images}.json").read_text(encoding="utf-8"))["fd_lite0"]
        for images in ("digits", "images")
    )
    for found in (digits, fashion):
        one, flow = found["distilled"]["euler"]["1"], found["flow_matching"]
        assert all(one > each for name in ("euler", "midpoint") for each in flow[name].values())
    assert digits["distilled"]["euler"]["1"] == pytest.approx(
        digits["flow_matching"]["guided euler"]["8"], rel=0.02
    )


def test_the_table_of_networks_for_images_has_the_measured_numbers():
    page = " ".join((ROOT / "docs/images.md").read_text(encoding="utf-8").split())
    report = json.loads((RESULTS / "image_networks.json").read_text(encoding="utf-8"))
    last = {}
    for kind, rows in report["networks"].items():
        first = rows["0"]
        assert all(row["minutes"][-1] == report["minutes"] == 15 for row in rows.values())
        cells = [f"{first['parameters'] / 1e6:.1f} M"]
        cells.append(", ".join(f"{row['steps']:,}" for row in rows.values()))
        cells.append(", ".join(f"{row['fd_lite0'][-1]:,.0f}" for row in rows.values()))
        assert f"| `{kind}` | {' | '.join(cells)} |" in page
        last[kind] = [row["fd_lite0"][-1] for row in rows.values()]
    assert f"are {report['data']:.0f}" in page
    autoencoder = [row["autoencoder"] for row in report["networks"]["latent_dit"].values()]
    assert " and ".join(f"{value:.0f}" for value in autoencoder) in page
    # what the page recommends
    assert max(last["latent_dit"]) < min(last["unet"] + last["dit"])

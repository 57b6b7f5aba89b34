"""The pages of a benchmark and of Table 1: readable without a script, sorted by one, escaped."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil

import pytest

from fmcore.benchmark.benchmark_page import write_benchmark_page
from fmcore.benchmark.pareto import mark_pareto
from fmcore.benchmark.run_tables import RunRow, RunsReport
from fmcore.benchmark.table1_page import write_table1_page
from fmcore.benchmark.tables import SolversReport
from fmcore.report.plots.method_curves import STYLES, CurvePoint, Panel

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&$x$"
SETTING = {
    **{"problem": "gaussian", "dim": 2, "path": "ot", "seed": 0, "samples": 8, "batch": 8},
    "dtype": "float64",
}


def row(solver, nfe, error, seconds, reason=""):
    return {
        **SETTING,
        **{"solver": solver, "plugin": "p", "grid": "auto", "nfe": nfe, "tol": None},
        **{"nfe_mean": float(nfe), "nfe_p95": nfe, "nfe_max": nfe, "error_rms": error},
        **{"error_p95": error, "error_max": error, "seconds": seconds, "us_per_nfe_outside": 1.0},
        **{"waits_per_nfe": 0.0, "metrics": "", "reason": reason},
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A benchmark of a recipe with hostile names."""
    rows = [
        *(row("euler", n, 1 / n, 0.001 * n) for n in (4, 8, 16)),
        *(row(EVIL, n, 3 / n**2, 0.002 * n) for n in (4, 8, 16)),
        row("rk4", 2, None, None, f"no step of 2 {EVIL}"),
    ]
    made = {
        "machine": {"processor": EVIL, "device": "cpu", "threads": 1, "device_name": "x"},
        "versions": {"python": "3", "torch": "2"},
        "reference": "exact",
    }
    results = {"nll": {"value": 2.5, "error": 0.25}, "nfe": {"value": 8.0, "error": None}}
    runs = RunsReport(
        ["path", "seed"],
        [
            RunRow({"path": "ot", "seed": "0"}, "runs/a", results, 3.0),
            RunRow({"path": EVIL, "seed": "0"}, "runs/b", results, 4.0),
            RunRow({"path": "ve", "seed": "0"}, "", reason="cannot be"),
        ],
        f"Recipe {EVIL}",
    )
    file = tmp_path_factory.mktemp("page") / "benchmark.html"
    report = SolversReport(mark_pareto(rows), made)
    write_benchmark_page(file, report, title=EVIL, lead="Lead.", runs=runs)
    return file


def test_names_from_anywhere_are_escaped(page, read):
    seen = read(page)
    assert not seen.open
    assert seen.count("script") == 1
    assert seen.count("img") == 0
    assert EVIL in seen.text
    assert "onerror=" not in str([a for _, a in seen.tags])
    assert "Left out" not in seen.text


def test_only_our_own_script_may_run(page):
    source = page.read_text("utf-8")
    script = re.search(r"<script>(.*)</script>\n</body>", source, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in source
    assert "http" not in source.replace("http-equiv", "")


def test_everything_can_be_read_without_a_script(page, read):
    seen = read(page)
    assert seen.sections == ["runs", "setting-1", "refused", "how"]
    words = re.findall(r'class="tip"><title>([^<]*)</title>', seen.source)
    assert "euler, 8 NFE, error 0.12, 8 ms" in words
    assert "path=ot, seed=0: nll 2.5 at 8 NFE" in words
    assert len(words) == 2 * 6 + 2
    assert "path=ve, seed=0: cannot be" in seen.text
    assert "2.5 ± 0.25" in seen.text


def test_table_1_shows_its_figures_and_their_numbers(tmp_path, read):
    curves = {
        "a": [CurvePoint(4, (1.0, 2.0)), CurvePoint(8, (0.5,))],
        "b": [CurvePoint(4, (float("inf"),))],
    }
    panel = Panel("p", EVIL, "NFE", "up", curves, log_x=True, log_y=True)
    write_table1_page(
        tmp_path / "table1.html",
        title="Table 1 on x",
        table=(["method", "nll"], [[EVIL, "3 ± 1"]]),
        how="how",
        warnings=["a failed"],
        figures=[("Quality", "caption", [(panel, (["method", "4"], [["A", "1.5 ± 0.7"]]))])],
        names={"a": EVIL, "b": "B"},
        styles=dict(zip("ab", STYLES, strict=False)),
        notes=["not there"],
    )
    seen = read(tmp_path / "table1.html")
    assert seen.sections == ["table", "figure-0", "notes"]
    assert seen.count("svg") == 1
    assert seen.source.count('class="tip"') == 2
    assert "1.5 ± 0.7" in seen.text
    assert EVIL in seen.text
    assert seen.count("img") == 0


def test_a_click_on_a_head_sorts_and_a_point_shows_its_description(page, browser, tmp_path):
    shutil.copy(page, tmp_path / "page.html")
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<iframe id=f src='page.html' width=360 height=640></iframe><script>onload = () => {"
        "const d = f.contentDocument, root = d.documentElement, said = [];"
        "const table = d.querySelectorAll('table.sortable')[2];"
        "const first = () => table.tBodies[0].rows[0].cells[6].textContent;"
        "const head = table.tHead.rows[0].cells[6];"
        "head.querySelector('button').click(); said.push(first(), head.ariaSort);"
        "head.querySelector('button').click(); said.push(first(), head.ariaSort);"
        "const tip = d.querySelector('#setting-1 .tip');"
        "tip.dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));"
        "said.push(d.querySelector('#setting-1 .point').textContent);"
        "said.push(root.scrollWidth - root.clientWidth);"
        "document.title = said.join(' | ') }</script>"
    )
    title = browser.title_of(frame)
    assert title == ("0.012 | ascending | 0.25 | descending | euler, 4 NFE, error 0.25, 4 ms | 0")


def test_it_follows_light_and_dark(page, browser):
    light = browser.photographed(page.as_uri(), 900, 700)
    dark = browser.photographed(page.as_uri(), 900, 700, "--blink-settings=preferredColorScheme=0")
    assert light[0, 0].min() > 240
    assert dark[0, 0].max() < 40
    assert min(light.std(), dark.std()) > 10

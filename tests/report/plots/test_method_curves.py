"""Curves over seeds: their means, their spread, and what is not averaged away."""

import json
import math

from fmcore.benchmark.table1_panels import figure_panels, notes_on
from fmcore.report.plots.figure import figure
from fmcore.report.plots.method_curves import STYLES, CurvePoint, Panel, draw_panel, save_panels

NAMES = {"a": "Method $A", "b": "B"}
STYLE = dict(zip(NAMES, STYLES, strict=False))


def row(method, seed, nfe, error, value=None, reason="", step=10):
    metrics = {} if value is None else {"far": {"value": value, "error": None}}
    return {
        "method": method,
        "seed": seed,
        "step": step,
        "nfe": nfe,
        "nfe_mean": 7.0,
        "error_rms": error,
        "metrics": json.dumps(metrics) if metrics else "",
        "reason": reason,
    }


def test_seeds_are_gathered_into_means_and_deviations():
    rows = [row("a", seed, n, e) for seed in (0, 1) for n, e in ((8, 1.0 + seed), (4, 3.0 + seed))]
    panel = figure_panels(rows, "far")["quality-nfe"][0]
    first, second = panel.curves["a"]
    assert (first.x, first.mean, first.std) == (4, 3.5, 0.5**0.5)
    assert str(second) == "1.5 ± 0.7"


def test_a_seed_that_exploded_or_is_missing_is_not_averaged_away():
    rows = [row("a", 0, 4, 1.0, 2.0), row("a", 1, 4, math.inf, reason="not finite")]
    error, far = figure_panels(rows, "far")["quality-nfe"]
    assert (error.curves["a"][0].mean, str(error.curves["a"][0])) == (None, "exploded")
    assert (far.curves["a"][0].mean, str(far.curves["a"][0])) == (None, "–")
    assert json.loads(json.dumps(error.json(), allow_nan=False))["curves"]["a"][0]["values"] == [
        1.0,
        None,
    ]
    assert notes_on(rows) == ["a, seed 1, 4 NFE: not finite"]


def test_what_a_metric_says_against_its_numbers_is_told_once():
    metrics = json.dumps({"far": {"value": 1.0, "error": None, "notes": ["biased: 3 < 9"]}})
    rows = [{**row("a", seed, 4, 1.0), "metrics": metrics} for seed in (0, 1)]
    assert notes_on(rows) == ["far: biased: 3 < 9"]


def test_figures_without_a_point_are_not_there():
    assert list(figure_panels([row("a", 0, None, None)], "far")) == ["nfe-training"]
    assert figure_panels([], "far") == {}


def test_a_gap_breaks_the_line_and_a_band_stays_positive(tmp_path):
    places = [CurvePoint(4, (1.0, 4.0)), CurvePoint(8, (math.inf, 1.0)), CurvePoint(16, (0.1, 3.0))]
    panel = Panel("p", "p", "x", "y", {"a": places}, log_x=True, log_y=True)
    with figure(tmp_path / "one.png", 3, 3) as axes:
        draw_panel(axes[0, 0], panel, STYLE)
        lines = [list(line.get_xdata()) for line in axes[0, 0].lines]
        lows = [band.get_paths()[0].vertices[:, 1].min() for band in axes[0, 0].collections]
    assert lines == [[4], [16]]
    assert min(lows) > 0


def test_methods_keep_their_colour_and_any_name_can_be_drawn(tmp_path):
    one = Panel("p", "title $x", "across $", "up", {"b": [CurvePoint(1, (2.0,))]})
    save_panels(tmp_path / "p.png", [one], NAMES, STYLE, "how $ it was " * 20, ("svg",))
    text = (tmp_path / "p.svg").read_text()
    assert STYLE["b"][0] in text
    assert STYLE["a"][0] not in text
    assert "Date" not in text

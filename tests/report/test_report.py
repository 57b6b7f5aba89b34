"""The page of a run: complete, self-contained, escaped, and never the cause of a failure."""

import io
import re
from collections import Counter
from pathlib import Path

import pytest

from fmcore import load_recipe
from fmcore.benchmark.compare import compare
from fmcore.benchmark.compare_page import write_comparison_page
from fmcore.report.charts import histogram, lines
from fmcore.report.page import make_report, write_report
from fmcore.runs.files import write_json
from fmcore.runs.folder import RunFolder
from fmcore.stages.run import evaluate

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7 * 7 }}</style>"


def quiet(line):
    """Print nothing."""


def addresses(page):
    """Everything that would make a browser fetch something."""
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
                yield tag, value or ""
    yield from (("css", url) for url in re.findall(r"url\(([^)]*)\)", page.source))


def test_a_run_ends_with_a_page_of_all_its_sections(finished, read):
    page = read(finished.root / "report.html")
    assert page.sections == [
        *("warnings", "results", "samples", "progress", "curves", "histograms"),
        *("repeat", "recipe", "timings", "environment"),
    ]
    assert page.count("svg") == 5  # loss, gradient norm, learning rate, nfe, nll
    assert page.count("img") == 5  # density, animation, ways, and two steps of training
    assert not page.open


def test_every_number_carries_its_error_and_how_it_was_made(finished, read):
    text = read(finished.root / "report.html").text
    nll = finished.results()["nll"]
    assert f"{nll['value']:.4g} ± {nll['error']:.2g}" in text
    assert "over 12 examples of the test split; weights 'ema' after 20 steps" in text
    assert "over 24 samples" in text
    assert "solver midpoint (nfe 8" in text


def test_the_page_makes_no_request_and_runs_no_script(finished, read):
    page = read(finished.root / "report.html")
    found = list(addresses(page))
    assert found
    assert all(url.startswith(("data:image/", "#")) for _, url in found)
    assert "http://" not in page.source
    assert "https://" not in page.source
    assert page.count("script") == 0
    policy = [a["content"] for tag, a in page.tags if a.get("http-equiv")]
    assert policy == [
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
    ]


def test_ids_are_unique_and_every_reference_has_a_target(finished, read):
    page = read(finished.root / "report.html")
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    referred = {url[1:] for _, url in addresses(page) if url.startswith("#")}
    assert referred
    assert referred <= set(ids)


def test_values_show_where_they_were_written(finished, read):
    assert finished.origins()["path.sigma_min"] == "default of path 'ot'"
    page = read(finished.root / "report.html")
    assert re.search(r"small\.yaml:\d+:\d+", page.text)
    assert "default of path 'ot'" in page.text
    assert "source not recorded" not in page.text


def test_a_missed_bound_is_a_warning(finished, read):
    assert "and was expected at most -100" in read(finished.root / "report.html").text


@pytest.mark.parametrize(
    ("gone", "section"),
    [
        ("samples", "progress"),
        ("metrics.jsonl", "curves"),
        ("per_sample", None),
        ("results.json", None),
        ("origins.json", None),
        ("run.json", "environment"),
        ("recipe.yaml", "recipe"),
    ],
)
def test_what_is_missing_is_left_out(copied, read, gone, section):
    place = copied.root / gone
    if place.is_dir():
        place.rename(copied.root.parent / gone)
    else:
        place.unlink()
    page = read(make_report(copied))
    assert section not in page.sections
    assert "results" in page.sections


@pytest.mark.parametrize(
    "corrupt",
    [
        *("results.json", "run.json", "recipe.yaml", "origins.json", "metrics.jsonl"),
        *("samples/density.png", "samples/trajectories.webp", "samples/made.json"),
        *("samples/shard-00000000-00000016.safetensors", "per_sample/nll.safetensors"),
    ],
)
@pytest.mark.parametrize("content", [b"\xff\x00 corrupt {", b'{"loss": "x", "step": []}\n'])
def test_a_corrupt_file_removes_only_its_part(copied, read, corrupt, content):
    (copied.root / corrupt).write_bytes(content)
    page = read(make_report(copied))
    assert {"results", "samples"} <= set(page.sections)
    assert not page.open


def test_a_run_that_only_trained_has_a_page(tmp_path, read):
    (tmp_path / "r.yaml").write_text("{data: toy, path: ot, model: {name: mlp, width: 8}}")
    page = read(
        make_report(RunFolder.begin(load_recipe(tmp_path / "r.yaml"), tmp_path / "r", quiet))
    )
    assert "No samples were drawn. No metrics were computed." in page.text
    assert "No pictures of samples." in page.text


def test_text_from_elsewhere_is_shown_and_never_executed(copied, read):
    write_json(copied.root / "run.json", {"recipe": EVIL, "git": EVIL, "versions": {EVIL: EVIL}})
    provenance = {"count": EVIL, "solver": EVIL, EVIL: {EVIL: EVIL}}
    result = {"value": 1.0, "error": None, "provenance": provenance, "details": {"note": EVIL}}
    write_json(copied.results_file, {EVIL: result})
    write_json(copied.root / "origins.json", {"path.name": EVIL})
    (copied.root / "log.txt").write_text(f"warning: {EVIL}\n")
    (copied.root / "per_sample" / "nll.safetensors").rename(
        copied.root / "per_sample" / "<script>$x_$.safetensors"
    )
    page = read(make_report(copied))
    assert page.text.count(EVIL) > 8
    assert page.count("script") == 0
    assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
    assert "<script>$x_$" in page.text
    assert "49" not in re.findall(r"alert\(2\)>\"'&(.{2})", page.text)


def test_only_images_are_embedded(copied, read):
    (copied.samples / "density.png").write_text("<svg onload='alert(1)'></svg>")
    page = read(make_report(copied))
    assert "density.png is not a PNG, GIF or WebP" in page.text
    assert "onload" not in page.source


def test_a_page_that_cannot_be_written_is_a_warning(copied):
    lines_logged = []
    (copied.root / "report.html").unlink()
    (copied.root / "report.html").mkdir()
    write_report(RunFolder(copied.root, lines_logged.append))
    assert len(lines_logged) == 1
    assert lines_logged[0].startswith("warning: no report: ")


def test_measuring_again_renews_the_page(copied, read):
    before = copied.results()["nll"]["value"]
    with pytest.raises(Exception, match="outside the bounds of expect"):
        evaluate(copied.root, ("count=5",), quiet=True, device="cpu")
    after = copied.results()["nll"]["value"]
    assert after != before
    assert f"{after:.4g} ± " in read(copied.root / "report.html").text


def test_runs_are_compared_on_a_page(finished, copied, tmp_path, read):
    evil = RunFolder.open(copied.root.rename(tmp_path / "<script>alert(1)&lt;"), quiet)
    file = tmp_path / "compared.html"
    write_comparison_page(file, [finished, evil])
    page = read(file)
    assert "<script>alert(1)&lt;" in page.text
    for row in compare([finished, evil]).rows():
        for cell in row:
            assert cell in page.text
    assert all(url.startswith(("data:image/", "#")) for _, url in addresses(page))
    assert page.count("svg") == 1
    assert page.count("script") == 0


def test_charts_use_the_text_colour_of_the_page():
    for chart in (
        lines("a", [(range(100), [1 / (1 + i) for i in range(100)])], "loss"),
        histogram("b", [8, 8, 10], "NFE", whole=True),
    ):
        assert "currentColor" in chart
        assert "#000000" not in chart
        assert "http" not in chart


def test_numbers_that_are_not_finite_are_no_curve_and_no_crash():
    assert "<svg" in lines("a", [([1, 2, 3], [1.0, float("nan"), 3.0])], "loss")
    with pytest.raises(ValueError, match="no finite value"):
        histogram("b", [float("nan")], "NFE")


def test_results_are_read_as_json_wrote_them(copied, read):
    results = copied.results()
    results["nll"]["value"] = "inf"
    copied.save_results(results)
    assert "nll is inf" in read(make_report(copied)).text


def test_the_commands_print_the_path_of_the_page(copied, finished, tmp_path, read):
    from click.testing import CliRunner

    from fmcore.cli import command_line

    (copied.root / "report.html").unlink()
    ended = CliRunner().invoke(command_line, ["report", str(copied.root)])
    assert ended.output.strip() == str(copied.root / "report.html")
    assert "recipe" in read(copied.root / "report.html").sections
    runs = [str(finished.root), str(copied.root)]
    ended = CliRunner().invoke(command_line, ["compare", *runs, "--html", str(tmp_path / "c.html")])
    assert ended.exit_code == 0
    assert "2 runs compared" in read(tmp_path / "c.html").text


def test_the_report_reads_every_file_once(copied, monkeypatch):
    (copied.root / "log.txt").write_text("warning: slow\n")
    opened = Counter()
    open_file = io.open

    def counted(file, *arguments, **options):
        opened[Path(file).name] += 1
        return open_file(file, *arguments, **options)

    monkeypatch.setattr(io, "open", counted)  # what Path.open and read_text call
    make_report(copied)
    names = ("recipe.yaml", "run.json", "results.json", "origins.json", "metrics.jsonl", "log.txt")
    once = dict.fromkeys(names, 1) | {"results.json": 2}  # once for its checksum
    assert {name: opened[name] for name in names} == once
    assert opened["made.json"] <= 2  # once more to find the shards that it describes

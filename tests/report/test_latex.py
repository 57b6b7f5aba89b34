"""Tables for papers: nothing of a name is read as a command, and numbers look like numbers."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from fmcore.report.latex import PREAMBLE, latex_table

HOSTILE = r"a_b & 50% #1 {x} $y$ ~z^2 \input{/etc/passwd} ± µ"


def lines(*arguments, **options) -> list[str]:
    return [line.strip() for line in latex_table(*arguments, **options).splitlines()]


def test_numbers_are_formulas_and_their_columns_are_set_right():
    rows = [["euler", "1.8e-05", "-inf", ""], ["rk4", "2", "3.1 ± 0.2", "5"]]
    made = lines(["solver", "error", "x", "y"], rows, "c", "l")
    assert r"\begin{tabular}{lrrr}" in made
    assert r"euler & $1.8\times10^{-5}$ & $-\infty$ &  \\" in made
    assert r"rk4 & $2$ & $3.1 \pm 0.2$ & $5$ \\" in made
    assert r"$0.5$* \\" in lines(["x"], [["0.5*"]], "c", "l")


def test_a_column_with_a_word_in_it_is_set_left():
    assert r"\begin{tabular}{l}" in lines(["x"], [["1"], ["failed"]], "c", "l")


def test_bold_cells_are_bold():
    made = lines(["a", "b"], [["vp", "1e-3"], ["ot", "2"]], "c", "l", bold={(0, 0), (0, 1)})
    assert r"\textbf{vp} & $\mathbf{1\times10^{-3}}$ \\" in made
    assert r"ot & $2$ \\" in made


def test_what_means_something_to_latex_is_only_text():
    assert (
        r"a\_b \& 50\% \#1 \{x\} \$y\$ \textasciitilde{}z\textasciicircum{}2 "
        r"\textbackslash{}input\{/etc/passwd\} $\pm$ $\mu$ \\"
    ) in lines(["x"], [[HOSTILE]], "c", "l")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_takes_it(tmp_path):
    table = latex_table([HOSTILE, "n"], [[HOSTILE, "1.0 ± 2e-3"]], HOSTILE, "x", bold={(0, 1)})
    package = PREAMBLE.removeprefix("% ")
    text = f"\\documentclass{{article}}{package}\\begin{{document}}{table}\\end{{document}}"
    (tmp_path / "page.tex").write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "page.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout

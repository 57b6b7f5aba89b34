"""Tables as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

__all__ = ["PREAMBLE", "latex_table"]

PREAMBLE = "% \\usepackage{booktabs}"
"""The package that a document needs for these tables."""

_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|-?inf"
_NUMERIC = re.compile(rf"({_NUMBER})(?: ± ({_NUMBER}))?(\*?)")
_SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "µ": r"$\mu$",
    "×": r"$\times$",
    "<": "$<$",
    ">": "$>$",
    "\n": " ",
}


def latex_table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str,
    label: str,
    bold: Collection[tuple[int, int]] = (),
) -> str:
    r"""Return a floating table; columns of numbers are right-aligned, and the cells (row, column)
    of `bold` are bold.

    >>> print(latex_table(["solver", "error"], [["dopri5", "1.8e-05"]], "Errors.", "errors"))
    \begin{table}
      \centering
      \caption{Errors.}
      \label{tab:errors}
      \begin{tabular}{lr}
        \toprule
        solver & error \\
        \midrule
        dopri5 & $1.8\times10^{-5}$ \\
        \bottomrule
      \end{tabular}
    \end{table}
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(heads)
    head = _line(map(_escaped, heads))
    body = [
        _line(_cell(text, (i, j) in bold) for j, text in enumerate(row))
        for i, row in enumerate(rows)
    ]
    inside = [r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{{_escaped(caption)}}}",
            f"  \\label{{tab:{label}}}",
            f"  \\begin{{tabular}}{{{''.join(map(_alignment, columns))}}}",
            *(f"    {line}" for line in inside),
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _alignment(cells: Sequence[str]) -> str:
    filled = [cell for cell in cells if cell]
    return "r" if filled and all(map(_NUMERIC.fullmatch, filled)) else "l"


def _cell(text: str, bold: bool) -> str:
    numeric = _NUMERIC.fullmatch(text)
    if numeric is None:
        return f"\\textbf{{{_escaped(text)}}}" if bold else _escaped(text)
    value, error, mark = numeric.groups()
    formula = _number(value) if error is None else f"{_number(value)} \\pm {_number(error)}"
    return (f"$\\mathbf{{{formula}}}$" if bold else f"${formula}$") + mark


def _number(text: str) -> str:
    mantissa, e, exponent = text.partition("e")
    mantissa = mantissa.replace("inf", r"\infty")
    return f"{mantissa}\\times10^{{{int(exponent)}}}" if e else mantissa


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(sign, sign) for sign in text)

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robustlvq.core.types import Norm
from robustlvq.errors import OutputError
from robustlvq.reproduce.latex import escaped as latex_escaped
from robustlvq.reproduce.latex import latex
from robustlvq.reproduce.markdown import escaped as markdown_escaped
from robustlvq.reproduce.markdown import exceptions, markdown
from robustlvq.reproduce.notes import NOTES, letter
from robustlvq.reproduce.paper_table import COLUMNS, PRINTED, ROWS
from robustlvq.reproduce.table import Comparison, compare
from robustlvq.reproduce.view import View
from robustlvq.reproduce.write import FILES, csv_text, write_files
from tests.reproduce.made import attacked, measured

HOSTILE = "50%_a|b~\\{x}.npz"


@pytest.fixture
def tiny() -> Comparison:
    """Two models, of which one has a hostile title, and two attacks."""
    results = {
        ("salt-and-pepper", "cnn"): attacked("salt-and-pepper", np.repeat([1, 65], [6, 94])),
        ("salt-and-pepper", "gmlvq"): attacked("salt-and-pepper", np.repeat([20, 21], [50, 50])),
        ("fgm", "cnn"): attacked("fgm", np.repeat([1, 2.5], [27, 73])),
        ("fgm", "gmlvq"): attacked("fgm", []),
    }
    clean = {"cnn": np.arange(100) < 99}
    made = compare(measured(results, clean, n=100, dataset=HOSTILE, size=100, failures=("a_b|",)))
    entries = tuple(
        replace(entry, column=replace(entry.column, title="C_N&N\\^~"))
        if entry.column.name == "cnn"
        else entry
        for entry in made.entries
    )
    return replace(made, entries=entries)


TABULAR = r"""
\begin{tabular}{ll*{2}{r@{\ }r}}
\hline
 &  & \multicolumn{2}{c}{C\_N\&N\textbackslash{}\textasciicircum{}\textasciitilde{}} & \multicolumn{2}{c}{GMLVQ} \\
 & \#prototypes & \multicolumn{2}{c}{--} & \multicolumn{2}{c}{1} \\
\hline
 & Clean acc. & \multicolumn{2}{c}{99} & \multicolumn{2}{c}{--} \\
 & {\scriptsize paper} & \multicolumn{2}{c}{{\scriptsize 99}} & \multicolumn{2}{c}{{\scriptsize 88}} \\
\hline
$L^2$ & FGM \rlvqwhite{} & 2.50$^{\mathrm{!}}$ & 73 & \multicolumn{2}{c}{--} \\
 & {\scriptsize paper} & {\scriptsize 2.1} & {\scriptsize 73} & {\scriptsize 0.6} & {\scriptsize 7} \\
\cline{2-6}
 & \textbf{worst-c.} & 2.50 & 73$^{*}$ & \multicolumn{2}{c}{--} \\
 & {\scriptsize paper} & {\scriptsize 1.5} & {\scriptsize 50} & {\scriptsize 0.5} & {\scriptsize 3} \\
\hline
$L^0$ & S\&P \rlvqblack{} & \textbf{65} & 94 & 20.5$^{\mathrm{!}}$ & 100$^{\mathrm{!}}$ \\
 & {\scriptsize paper} & {\scriptsize 65} & {\scriptsize 94} & {\scriptsize 8} & {\scriptsize 37} \\
\cline{2-6}
 & \textbf{worst-c.} & 65 & 94$^{*}$ & 20.5 & 100$^{*}$ \\
 & {\scriptsize paper} & {\scriptsize 19} & {\scriptsize 73} & {\scriptsize 3} & {\scriptsize 6} \\
\hline
\end{tabular}
"""  # noqa: E501

TABLE = r"""
|  | cnn | gmlvq |
| --- | ---: | ---: |
| clean accuracy | 99 / 99 (0) | – / 88 |
| **L2** |  |  |
| fgm □ | **2.50 / 2.1 (+19%)**! · 73 / 73 (0) | – / 0.6 · – / 7 |
| worst case | 2.50 / 1.5 (+67%) · 73 / 50 (+23) \* | – / 0.5 · – / 3 |
| **L0** |  |  |
| salt-and-pepper ■ | 65 / 65 (0%) · 94 / 94 (0) | **20.5 / 8 (+156%)**! · **100 / 37 (+63)**! |
| worst case | 65 / 19 (+242%) · 94 / 73 (+21) \* | 20.5 / 3 (+583%) · 100 / 6 (+94) \* |

**2 of 4 cells within tolerance (4 of 7 numbers, 3 outside)**
"""

LINES = """
                      cnn       gmlvq
─────────────────────────────────────
salt-and-pepper ■  65  94    20.5 100
  paper            65  94       8  37
  difference       0%   0 +156%! +63!
worst case        65  94*   20.5 100*
  paper            19  73       3   6
  difference
"""


def test_latex_has_the_layout_of_the_paper(tiny: Comparison) -> None:
    text = latex(tiny)
    assert TABULAR in text
    # What is not the tabular, or the definition of the boxes, is a comment.
    rest = text.replace(TABULAR, "\n").splitlines()
    assert all(line.startswith(("%", r"\providecommand")) for line in rest if line)


def test_the_best_of_the_paper_stays_the_best_of_all_its_models() -> None:
    results = {("bim-l2", name): attacked("bim-l2", [1.0, 2.0]) for name in ("cnn", "gtlvq-10")}
    text = latex(compare(measured(results)))
    assert r"\textbf{2.3}" not in text  # Madry has 4.9
    assert r"{\scriptsize \underline{\textbf{2.2}}}" in text  # the worst case
    both = results | {("bim-l2", "madry"): attacked("bim-l2", [9.0])}
    assert r"\textbf{4.9}" in latex(compare(measured(both)))


def linf(at_random: bool) -> Comparison:
    """All attacks of a norm on two models, one of which is unfinished."""
    names = [row.key for row in ROWS if row.norm is Norm.LINF and row.box]
    results = {(name, "cnn"): attacked(name, np.full(90, 0.125)) for name in names} | {
        (name, "glvq"): attacked(name, np.full(90, 0.1), at_random=at_random) for name in names
    }
    clean = {name: np.arange(90) < 89 for name in ("cnn", "glvq")}
    unfinished = frozenset() if at_random else frozenset(["glvq"])
    return compare(measured(results, clean, n=90, unfinished=unfinished))


def test_the_paper_has_no_zero_before_the_point_in_linf_and_underlines_the_worst_case() -> None:
    text = latex(linf(True))
    assert r"\underline{\textbf{.125}} & 0 & .100 & 0 \\" in text
    assert r"{\scriptsize .12} & {\scriptsize 0} & {\scriptsize .11} & {\scriptsize 2} \\" in text


def shown(comparison: Comparison) -> str:
    return View(comparison).to_text()


def test_what_is_unfinished_is_marked_in_every_format() -> None:
    done, unfinished = linf(True), linf(False)
    for write, sign in ((latex, r"$^{\sim}$"), (markdown, r" \~ |"), (shown, "90~")):
        # The clean accuracy, four attacks and the worst case.
        assert write(unfinished).count(sign) == 6
        assert sign not in write(done)
    assert r"\textbf{.1" not in latex(unfinished)  # the other may yet be the best
    rows = csv.DictReader(io.StringIO(csv_text(unfinished)))
    assert {row["at_random"] for row in rows if row["model"] == "glvq"} == {"false"}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_sets_the_table_without_any_package(tiny: Comparison, tmp_path: Path) -> None:
    """With everything that may be in a cell: marks, boxes, hostile titles, and what is missing."""
    for number, comparison in enumerate((tiny, linf(True), linf(False))):
        (tmp_path / f"{number}.tex").write_text(latex(comparison), encoding="utf-8")
    document = r"\documentclass{article}\begin{document}\input{0}\input{1}\input{2}\end{document}"
    (tmp_path / "all.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "all.pdf").is_file()


def test_markdown(tiny: Comparison) -> None:
    text = markdown(tiny)
    assert TABLE in text
    assert r"50%\_a\|b\~\\\{x\}.npz" in text
    assert r"- failed: a\_b\|" in text


def test_exceptions_are_listed_with_interval_and_cause(tiny: Comparison) -> None:
    row = "| salt-and-pepper ■ | gmlvq | median | 20.5 | 20 to 21 | 8 | 100 | outside |  |"
    assert row in exceptions(tiny)
    results = {("deepfool-l2", "gmlvq"): attacked("deepfool-l2", np.full(50, np.inf))}
    text = exceptions(compare(measured(results)))
    assert "| ∞ | ∞ to ∞ | 0.5 | 50 | outside | deepfool-rounding |" in text
    assert "**deepfool-rounding**: " in text
    good = {("fgm", "cnn"): attacked("fgm", np.repeat([1, 2.1], [27, 73]))}
    assert "|" not in exceptions(compare(measured(good)))


def test_the_terminal_shows_three_lines_a_row(tiny: Comparison) -> None:
    assert LINES in View(tiny).to_text() + "\n"


def test_eight_models_fit_into_120_columns_and_nothing_is_cut_off() -> None:
    # All medians 25 % above the paper's, so that every number has a mark.
    results = {
        (row.key, column.name): attacked(
            row.key, np.full(50, 1.25 * PRINTED[row.key, column.name].median)
        )
        for row in ROWS
        if row.box
        for column in COLUMNS
    }
    view = View(compare(measured(results, n=60)))
    wide = view.to_text(120)
    assert max(map(len, wide.splitlines())) <= 120
    assert wide.count("L0 attacks") == wide.count("L2 attacks") == 1
    narrow = view.to_text(60)
    assert max(map(len, narrow.splitlines())) <= 60
    assert narrow.count("L0 attacks") > 1
    assert "…" not in wide + narrow


def test_what_is_just_outside_does_not_look_as_if_it_were_within() -> None:
    delta = np.repeat([1.0, 2.3101], [314, 686])  # 10.005 % above 2.1; 68.6 % for 73 %
    text = View(compare(measured({("fgm", "cnn"): attacked("fgm", delta)}))).to_text()
    assert "+10.0%! -4.4?" in text


def test_signs_not_colours_mark_what_deviates() -> None:
    rows = {
        ("fgm", "cnn"): attacked("fgm", np.repeat([1.0, 2.1], [4, 6])),  # 60 %: 30 to 90
        ("deepfool-l2", "gmlvq"): attacked("deepfool-l2", np.full(90, np.inf)),
    }
    text = View(compare(measured(rows))).to_text()
    assert "-13?" in text
    assert "+∞!a" in text
    assert f"{letter(NOTES[0])}: {NOTES[0].cause}" in text
    assert NOTES[1].cause not in text


def test_csv_can_be_read_by_a_program(tiny: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(tiny))))
    assert len(rows) == len(tiny.entries) == 10
    found = {(row["attack"], row["norm"], row["model"]): row for row in rows}
    row = found["salt-and-pepper", "l0", "gmlvq"]
    assert (float(row["median"]), float(row["median_ratio"])) == (20.5, 2.5625)
    assert (row["acc_difference"], row["within_tolerance"]) == ("63", "false")
    assert (row["forward"], row["seconds"], row["threshold"]) == ("10", "0.25", "12")
    assert (row["prototypes_per_class"], row["n"]) == ("1", "100")
    assert found["worst-case", "l0", "cnn"]["within_tolerance"] == ""
    assert found["worst-case", "l0", "cnn"]["lacking"] == "pointwise-l0"
    assert found["fgm", "l2", "gmlvq"]["median_paper"] == "0.6"
    assert found["clean", "", "cnn"]["acc"] == "99"


def test_texts_are_escaped() -> None:
    assert latex_escaped("a_b%\n$#&{}") == r"a\_b\% \$\#\&\{\}"
    assert markdown_escaped("a|b\n*c*") == r"a\|b \*c\*"


def test_files_are_written_whole_and_again(tiny: Comparison, tmp_path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "new" / "folder"
    for _ in range(2):
        paths = write_files(tiny, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert paths[2].read_text(encoding="utf-8") == latex(tiny)


def test_nothing_is_written_over_a_folder_or_into_a_file(tiny: Comparison, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "out" / "table1.tex").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"table1\.tex is a folder"):
        write_files(tiny, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["table1.tex"]
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is not a folder"):
        write_files(tiny, tmp_path / "file")
    with pytest.raises(OutputError, match="file is not a folder"):
        write_files(tiny, tmp_path / "file" / "below")

"""The figures in the pages: from one table, which one command makes and puts there."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "README.zh-CN.md", "docs/benchmarks.md")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script tests/benchmarks/table.py."""
    monkeypatch.syspath_prepend(str(ROOT / "tests/benchmarks"))
    yield importlib.import_module("table")
    sys.modules.pop("table")


def read(root: Path, page: str) -> str:
    return (root / page).read_text(encoding="utf-8")


def rows(text: str) -> List[Tuple[str, str]]:
    """The rows of the tables of figures: what was measured, and all else."""
    found = re.findall(r"(?m)^\| (.+?) \| (\S+ \S+ \| .+ \| [\d.]+) \|$", text)
    return [(subject, figures) for subject, figures in found]


def test_a_readme_shows_figures_that_were_measured(table: Any) -> None:
    """Each row of its table is one of the page that the script writes, in either language."""
    measured = rows(read(ROOT, "docs/benchmarks.md"))
    english, chinese = (rows(read(ROOT, page)) for page in PAGES[:2])
    assert len(english) >= 3 and set(english) <= set(measured)
    names: Dict[str, str] = {shown: name for name, shown in table.CHINESE.items()}
    assert len(chinese) >= 3
    assert {(names[shown], figures) for shown, figures in chinese} <= set(measured)


def test_each_peer_that_is_ahead_is_named() -> None:
    """With the reason: the rows that have a part of 1.1 or more, and no others."""
    text = read(ROOT, "docs/benchmarks.md")
    section = text.split("## Where a peer is ahead")[1].split("\n## ")[0]
    named = re.findall(r"(?m)^\| (.+?) \| [^|]{20,} \|$", section)
    behind = [name for name, figures in rows(text) if float(figures.split(" | ")[-1]) >= 1.1]
    assert named == list(dict.fromkeys(behind))


def test_the_command_writes_the_pages(table: Any, tmp_path: Path) -> None:
    """The figures in three pages are the new ones, and all else in them stays.

    Where a subject has two rows, seconds and megabytes, a README has the first.
    """
    (tmp_path / "docs").mkdir()
    for page in PAGES:
        shutil.copy(ROOT / page, tmp_path / page)
    subjects = list(dict.fromkeys(name for name, _ in rows(read(ROOT, "docs/benchmarks.md"))))
    made = [
        {"subject": name, "unit": unit, "ours": ours, "peers": {"a peer": 40.0, "another": 50.0}}
        for name in subjects
        for unit, ours in (("s", 10.0), ("MB", 20.0))
    ]
    table.write_pages(tmp_path, table.draw(made))
    assert len(rows(read(tmp_path, PAGES[2]))) == 2 * len(subjects)
    for page in PAGES[:2]:
        before, after = (read(root, page).split("\n") for root in (ROOT, tmp_path))
        changed = [new for old, new in zip(before, after) if new != old]
        assert len(before) == len(after) and len(changed) == len(rows("\n".join(before)))
        wanted = "10.0 s | a peer 40 s, another 50 s | 0.25"
        assert {figures for _, figures in rows("\n".join(changed))} == {wanted}
    before, after = (
        re.split("<!-- (?:table|end) -->", read(x, PAGES[2])) for x in (ROOT, tmp_path)
    )
    assert (len(after), after[0], after[2]) == (3, before[0], before[2])


def test_a_script_that_fails_is_named(
    table: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The others are measured, the command fails, and no page is written."""
    scripts = {("no_such_script",): None, ("timing",): None}  # the second measures nothing
    monkeypatch.setattr(table, "SCRIPTS", scripts)
    monkeypatch.setattr(table, "write_pages", lambda *words: pytest.fail("it has written"))
    monkeypatch.setattr(sys, "argv", ["table.py", "--write"])
    assert table.main() == 1
    shown = capfd.readouterr().out
    assert "no_such_script" in shown and "timing.py" not in shown
    monkeypatch.setattr(sys, "argv", ["table.py", "--write", "--only", "timing"])
    with pytest.raises(SystemExit):
        table.main()

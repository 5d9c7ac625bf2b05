"""All that is measured beside peers, as one table: ``python tests/benchmarks/table.py``.

Each script of the list runs alone, with the peers in the same run; that takes half an hour. It
needs the extra ``test``, rclone and the package index. ``--only NAME`` runs one script;
``--write`` puts the table into docs/benchmarks.md, and those of its rows that the README has into
that. Less is better in every row; the last column is ours as a part of the best peer's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from timing import ROWS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: The scripts that have peers with their options, and those of ``--quick``; None: not then.
SCRIPTS: Dict[Tuple[str, ...], Optional[Tuple[str, ...]]] = {
    ("satisfied",): ("satisfied",),
    ("pins", "--cold"): ("pins",),
    ("shell",): ("shell",),
    ("run",): ("run", "--megabytes", "2", "--cells", "20"),
    ("transfer",): ("transfer", "--rounds", "1"),
    ("transfer", "--delay", "0.1"): None,
    ("gpu",): ("gpu",),
    ("namespace",): ("namespace",),
}
#: The rows that README.zh-CN.md has, with what it calls them.
CHINESE = {
    "a setup cell where all holds": "设置单元格，所有行都已就绪",
    "numpy, pandas, scikit-learn, matplotlib; empty cache": "安装 numpy 等四个包，没有缓存",
    "`true` in a cell": "在单元格里运行 `true`",
    "2000 cells of x=1": "运行一个有 2000 个单元格的笔记本",
    "to the drive: 2,000 files of 10 kB": "把 2000 个 10 kB 的文件传到云盘",
    "keeping 1 GB of arrays": "保存 1 GB 的数组",
}
#: Seconds after which a script is given up.
LONGEST = 1200


def measure(script: str, *options: str) -> List[Dict[str, Any]]:
    """Run a script, whose own lines are shown on stderr, and return its rows."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder, "rows")
        rows.touch()
        env = {**os.environ, ROWS: str(rows), "PYTHONWARNINGS": "ignore"}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process compiles all that it imports
        command = [sys.executable, str(HERE / f"{script}.py"), *options]
        subprocess.run(command, env=env, stdout=sys.stderr, check=True, timeout=LONGEST)
        return [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]


def amount(value: float, unit: str) -> str:
    """Return a measured value with two digits or more."""
    if unit == "s" and value < 0.1:
        value, unit = 1000 * value, "ms"
    digits = 0 if value >= 20 else 1 if value >= 2 else 2
    return f"{value:,.{digits}f} {unit}"


def draw(rows: List[Dict[str, Any]]) -> str:
    """Return the rows as a table of Markdown; `ValueError` for one without a peer."""
    lines = ["| what | colab_magics | peers | part |", "|---|---|---|---|"]
    for row in rows:
        unit, peers = row["unit"], row["peers"]
        others = ", ".join(f"{name} {amount(value, unit)}" for name, value in peers.items())
        part = row["ours"] / min(peers.values())
        cells = (row["subject"], amount(row["ours"], unit), others, f"{part:.2g}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write(page: Path, table: str) -> None:
    """Put a table, with its day and machine, between the marks of a page."""
    text = page.read_text(encoding="utf-8")
    day, python = date.today().isoformat(), platform.python_version()
    where = f"On {day}, Linux, {os.cpu_count()} cores, Python {python}:"
    new = f"<!-- table -->\n{where}\n\n{table}<!-- end -->"
    text, count = re.subn(r"<!-- table -->.*?<!-- end -->", lambda match: new, text, flags=re.S)
    if count != 1:
        raise SystemExit(f"{page} has no marks for the table.")
    page.write_text(text, encoding="utf-8")


def refresh(page: Path, table: str, names: Optional[Dict[str, str]] = None) -> None:
    """Let the rows of a page that the table has too be those of the table.

    Of those of one subject its first. ``names`` has what the page calls the subjects.
    """
    rows: Dict[str, str] = {}
    for line in table.splitlines():
        subject, _, rest = line[2:].partition(" | ")
        rows.setdefault((names or {}).get(subject, subject), rest)
    lines = page.read_text(encoding="utf-8").split("\n")
    for at, line in enumerate(lines):
        subject = line[2:].partition(" | ")[0]
        if line.startswith("| ") and subject in rows:
            lines[at] = f"| {subject} | {rows[subject]}"
    page.write_text("\n".join(lines), encoding="utf-8")


def write_pages(root: Path, table: str) -> None:
    """Put a table into the pages of a checkout that show it, or some rows of it."""
    write(root / "docs/benchmarks.md", table)
    refresh(root / "README.md", table)
    refresh(root / "README.zh-CN.md", table, CHINESE)


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=sorted({name for name, *_ in SCRIPTS}))
    parser.add_argument("--quick", action="store_true", help="on less, in about three minutes")
    parser.add_argument("--write", action="store_true", help="into the pages that show it")
    options = parser.parse_args()
    if options.write and (options.only or options.quick):
        parser.error("--write needs the whole table.")
    chosen = [words for words in SCRIPTS if options.only in (None, words[0])]
    rows, failed = [], []
    for words in [SCRIPTS[words] if options.quick else words for words in chosen]:
        try:
            rows += measure(*words) if words else []
        except subprocess.SubprocessError as error:
            failed.append(f"Not measured: {error}")
    table = draw(rows)
    print(table, *failed, sep="\n" if failed else "", end="\n" if failed else "")
    if options.write and not failed:
        write_pages(ROOT, table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

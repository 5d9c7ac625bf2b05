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
from typing import Any, Dict, List

from timing import ROWS

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs/benchmarks.md"
#: The scripts that have peers, with their options.
SCRIPTS = (
    ("satisfied",),
    ("pins", "--cold"),
    ("shell",),
    ("run",),
    ("transfer",),
    ("transfer", "--delay", "0.1"),
    ("gpu",),
    ("namespace",),
)
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


def refresh(page: Path, table: str) -> None:
    """Let the rows of a page that the table has too be those of the table."""
    rows = {line.split("|")[1]: line for line in table.splitlines() if line.count("|") > 2}
    lines = page.read_text(encoding="utf-8").split("\n")
    new = [rows.get(x.split("|")[1], x) if x.startswith("| ") else x for x in lines]
    page.write_text("\n".join(new), encoding="utf-8")


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--only", choices=sorted({name for name, *_ in SCRIPTS}))
    options.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    chosen = options.parse_args()
    scripts = [script for script in SCRIPTS if chosen.only in (None, script[0])]
    table = draw([row for script in scripts for row in measure(*script)])
    print(table, end="")
    if chosen.write:
        write(PAGE, table)
        refresh(PAGE.parents[1] / "README.md", table)


if __name__ == "__main__":
    main()

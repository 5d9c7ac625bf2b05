"""The map for those who change something is true."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_each_file_that_it_names_is_there() -> None:
    """Below the package or the project, by the path that is written."""
    names = set(re.findall(r"[\w./]*\w/[\w.]+\.py\b|\btests/\w+\b", TEXT))
    assert len(names) > 8
    roots = (ROOT, ROOT / "colab_magics")
    assert [name for name in names if not any((root / name).exists() for root in roots)] == []


def test_the_map_has_each_folder() -> None:
    """A folder of the package that the map lacks is one that nobody finds."""
    block = TEXT.split("```")[1]
    folders = {path.parent.name for path in (ROOT / "colab_magics").glob("*/__init__.py")}
    assert [name for name in folders if f"{name}/" not in block] == []

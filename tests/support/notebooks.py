"""Notebooks on disk as these tests make and read them: plain JSON, no nbformat in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

MARKER = "# colab_magics:setup v1"


def notebook(path: Path, *sources: str, minor: int = 5, **metadata: Any) -> Path:
    """Write a notebook of code cells in the form in which Jupyter saves it."""
    cells = [code(source, minor, at) for at, source in enumerate(sources)]
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def code(source: str, minor: int = 5, at: int = 0) -> Dict[str, Any]:
    """One code cell."""
    cell: Dict[str, Any] = {"cell_type": "code", "execution_count": None}
    if minor >= 5:
        cell["id"] = f"cell-{at}"
    lines = source.splitlines(keepends=True)
    return {**cell, "metadata": {}, "outputs": [], "source": lines}


def whole(path: Path) -> Dict[str, Any]:
    """A notebook as it stands on disk."""
    found: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def source(cell: Dict[str, Any]) -> str:
    """The text of a cell."""
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)


def setup_cells(path: Path) -> List[Tuple[int, str]]:
    """Place and text of each cell that carries our marker."""
    cells = [source(cell) for cell in whole(path)["cells"]]
    return [(at, text) for at, text in enumerate(cells) if MARKER in text]


def setup_text(path: Path) -> Optional[str]:
    """The text of the setup cell, which stands on top and once, or None where there is none."""
    found = setup_cells(path)
    assert [at for at, _ in found] in ([], [0]), f"setup cells at {found}"
    return found[0][1] if found else None


def shown(path: Path) -> List[str]:
    """What each cell printed or displayed, as plain text; an error by its name and message."""
    return ["\n".join(map(_text, cell.get("outputs", ()))) for cell in whole(path)["cells"]]


def _text(output: Dict[str, Any]) -> str:
    if output["output_type"] == "error":
        return f"{output['ename']}: {output['evalue']}"
    text = output["text"] if "text" in output else output["data"].get("text/plain", "")
    return text if isinstance(text, str) else "".join(text)


def state(folder: Path) -> Dict[str, Tuple[int, bytes]]:
    """Time of change and bytes of every file below a folder."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

"""``setup diff``: read the set-ups that are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

from ..core.errors import NotebookError
from ..notebook.document import Document
from ..notebook.metadata_keys import READERS
from ..pin.lock import OFF, Lock
from ..record.cell import Line, is_setup, parse
from .diff import Setup


def read_setup(path: Path) -> Setup:
    """Return the set-up of a notebook on disk; `NotebookError` where it has none."""
    document = Document.load(path)
    text = document.setup_text(is_setup)
    if text is None:
        raise NotebookError(
            f"{path.name} has no setup cell.",
            f"Make one: colab-magics run {path.name}",
            code="no-setup-cell",
        )
    return make_setup(path.name, parse(text), READERS["lock"](document.metadata))


def make_setup(name: str, lines: Sequence[Line], lock: Optional[str]) -> Setup:
    """Return a set-up with the packages of a lock; a lock that cannot be read counts as none."""
    try:
        decoded = Lock.decode(lock) if lock not in (None, OFF) else None
    except NotebookError:
        decoded = None
    return Setup(name, lines, None if decoded is None else _packages(decoded))


def _packages(lock: Lock) -> Dict[str, str]:
    """Return name → version, or where it comes from if that is no index."""
    return {package["name"]: _source(package) for package in lock.packages}


def _source(package: Mapping[str, Any]) -> str:
    archive, vcs = package.get("archive"), package.get("vcs")
    if isinstance(archive, dict):
        return str(archive["url"])
    if isinstance(vcs, dict):
        return f"{vcs.get('url', '')}@{vcs.get('commit-id', '')}"
    return str(package.get("version", ""))

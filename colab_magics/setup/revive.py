"""A proposal for running an old notebook: its day, its Python and its packages.

All of it is read from the notebook, its folder and git; nothing of the notebook is run.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timezone
from pathlib import Path
from statistics import median_low
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from ..core.day import RELEASES, python_of, settled_by
from ..core.errors import NotebookError
from ..core.process import run
from ..notebook.document import Document
from ..notebook.made_on import read_language
from ..record.cell import is_setup, parse
from .imports import read_imports
from .packages import find_packages

#: Where front ends and executors note when a cell ran: keys of its metadata.
#: Sources: JupyterLab (record timing), the ExecuteTime extension, papermill and Colab.
_MOMENTS = (
    ("execution", "iopub.execute_input"),
    ("ExecuteTime", "start_time"),
    ("papermill", "start_time"),
    ("executionInfo", "timestamp"),
)
#: No notebook of format 4 is older.
_FIRST_DAY = "2014-01-01"
#: A name that git takes for a path, whatever it contains.
_LITERAL = ":(literal)"


@dataclass(frozen=True)
class Day:
    """A day, and what says so: ``typed``, ``recorded`` on a line, ``cells`` or ``git``."""

    day: str
    evidence: str


@dataclass(frozen=True)
class Proposal:
    """How to run a notebook again, in the same way on any machine.

    ``day`` is that of its packages, ``made`` the notebook's own, ``said`` the Python that it names
    (or empty), ``evidence`` that of `Day`. ``imports``: module → numbers of cells.
    """

    day: str
    made: str
    evidence: str
    python: str
    said: str
    packages: Tuple[str, ...]
    unknown: Tuple[str, ...] = ()
    local: Tuple[str, ...] = ()
    unread: Tuple[int, ...] = ()
    imports: Mapping[str, List[int]] = field(default_factory=dict)

    @property
    def words(self) -> List[str]:
        """The words of the ``%pin`` line; none where no package is known."""
        options = ["--as-of", self.day, "--python", self.python]
        return [*self.packages, *options] if self.packages else []

    def as_json(self) -> Dict[str, Any]:
        """Return it as data."""
        line = " ".join(["%pin", *self.words]) if self.words else ""
        return {"schema": 1, **asdict(self), "line": line}


def propose(document: Document, path: Optional[Path], name: str, as_of: str) -> Proposal:
    """Return how to run a notebook; ``as_of`` is the day that was typed, if one was.

    `NotebookError` where nothing says its day, or where it is written for Python 2 or in another
    language.
    """
    said = _read_python(document, name)
    made = find_day(document, path, as_of)
    if made is None:
        raise NotebookError(
            f"Nothing says when {name} was made: no commit, and no time of its cells.",
            "Say it: --as-of 2020-07-11",
            code="no-day",
        )
    if said and _is_released_after(said, made.day):
        said = ""  # a front end that opens a notebook names its own kernel there
    minor, day = _choose_python(said, made.day)
    cells = enumerate(document.heads, 1)
    sources = [(at, document.source(cell)) for at, cell in cells if cell.get("cell_type") == "code"]
    found = read_imports([(at, text) for at, text in sources if not is_setup(text)])
    packages = find_packages(found.cells, path.parent if path is not None else None)
    return Proposal(
        *(max(day, made.day), made.day, made.evidence, minor, said),
        *(packages.packages, packages.unknown, packages.local, found.unread, found.cells),
    )


# ---------------------------------------------------------------------- its Python
def _read_python(document: Document, name: str) -> str:
    """Return the Python 3 that a notebook names, or empty; `NotebookError` if it is for another."""
    info, spec = (_part(document.metadata, key) for key in ("language_info", "kernelspec"))
    language = str(info.get("name") or spec.get("language") or "python").lower()
    if language not in {"python", "ipython", "python2", "python3"}:
        raise NotebookError(
            f"{name} is written in {language}: there is nothing to pin.",
            "Open it with a kernel of that language.",
            code="other-language",
        )
    if str(info.get("version", "")).startswith("2.") or spec.get("name") == "python2":
        raise NotebookError(
            f"{name} is written for Python 2, which no kernel here runs.",
            "Translate it first (2to3), then run this again.",
            code="python-2",
        )
    return ".".join(read_language(document.metadata).split(".")[:2])


def _is_released_after(python: str, day: str) -> bool:
    released = RELEASES.get(int(python.split(".")[1]), "")
    return released > day


def _choose_python(named: str, made: str) -> Tuple[str, str]:
    """Return the Python to take, and the first day on which packages had builds for it.

    The nearest to what the notebook names that can be had; else the one of its day.
    """
    if not named:
        return python_of(made), settled_by(python_of(made))
    oldest, newest = min(RELEASES), max(RELEASES)
    minor = min(max(int(named.split(".")[1]), oldest), newest)
    return f"3.{minor}", settled_by(f"3.{minor}") if f"3.{minor}" != named else ""


# ---------------------------------------------------------------------- its day
def find_day(document: Document, path: Optional[Path], as_of: str) -> Optional[Day]:
    """Return the day of a notebook: as typed, or of a line of its setup cell, or when most of its
    cells had run, or of its last commit.
    """
    recorded = _recorded_day(document)
    if as_of or recorded:
        return Day(as_of or recorded, "typed" if as_of else "recorded")
    days = sorted(day for cell in document.heads for day in _days(_part(cell, "metadata")))
    if days:
        return Day(median_low(days), "cells")
    day = _last_commit(path) if path is not None else ""
    return Day(day, "git") if day else None


def _recorded_day(document: Document) -> str:
    """Return the first day that a line of the setup cell has; empty where none has one."""
    for line in parse(document.setup_text(is_setup) or ""):
        words = line.step.arguments() if line.step is not None else ()
        if "--as-of" in words[:-1]:
            return words[words.index("--as-of") + 1]
    return ""


def _days(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield the day on which a cell ran, if its metadata say one."""
    for key, name in _MOMENTS:
        day = _as_day(_part(metadata, key).get(name))
        if day:
            yield day
            return


def _as_day(value: Any) -> str:
    """Return the day of a moment, which is a text of ISO 8601 or milliseconds; else empty."""
    today = datetime.now(timezone.utc).date().isoformat()
    try:
        if isinstance(value, (int, float)):
            day = datetime.fromtimestamp(value / 1000, timezone.utc).date().isoformat()
        else:
            match = re.match(r"(\d{4}-\d\d-\d\d)([T ]|$)", value, re.ASCII)
            day = date.fromisoformat(match[1]).isoformat() if match else ""
    except (TypeError, ValueError, OverflowError, OSError):
        return ""
    return day if _FIRST_DAY <= day <= today else ""


def _last_commit(path: Path) -> str:
    """Return the day of the last commit that touched a file; empty where there is none.

    A stranger may have made the repository: nothing here runs a program that it names.
    """
    program = shutil.which("git")
    if program is None:
        return ""
    variables = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    variables.update(GIT_ALLOW_PROTOCOL="none", GIT_TERMINAL_PROMPT="0", LC_ALL="C")
    settings = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}", "log.showSignature=false")
    words = [word for setting in settings for word in ("-c", setting)]
    log = ["log", "-1", "--no-ext-diff", "--no-textconv", "--format=%cI", "--"]
    place = path.absolute()
    command = [program, "-C", str(place.parent), *words, *log, f"{_LITERAL}{place.name}"]
    try:
        done = run(command, variables, timeout=30.0)
    except (OSError, TimeoutError):
        return ""
    return _as_day(done.lines[-1]) if done.lines and not done.status else ""


def _part(values: Any, key: str) -> Mapping[str, Any]:
    part = values.get(key) if isinstance(values, Mapping) else None
    return part if isinstance(part, Mapping) else {}

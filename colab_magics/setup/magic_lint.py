"""``colab-magics setup lint``: what is wrong with a notebook before it is committed.

As JSON it is one object: ``schema`` is 1; ``problems`` has an object for each with ``notebook``,
``code`` and ``message``: ``bad-line`` (it cannot be read), ``twice`` (two lines decide the same),
``no-drive`` (a line reads from a drive that no line above it mounts), ``secret``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Tuple

from ..core import files
from ..core.errors import ColabMagicsError
from ..core.redact import redact
from ..github.secret_scan import find_secret, read
from ..notebook.document import Document
from ..record.cell import Line, brief, is_setup, parse


@dataclass(frozen=True)
class Problem:
    """What is wrong with a notebook; ``code`` is stable."""

    notebook: str
    code: str
    message: str


def lint(path: Path) -> List[Problem]:
    """Return what is wrong; nothing is executed. A notebook without a setup cell may have none."""
    name = str(path)
    try:
        data = files.read(path)
        text = Document.parse(data, path.name).setup_text(is_setup)
        problems = [Problem(name, *each) for each in _check_lines(parse(text or ""))]
        place, secret = find_secret(read(path.name, data))
    except ColabMagicsError as error:
        return [Problem(name, error.code, error.message)]
    if secret:
        problems.append(Problem(name, "secret", f"{place} holds {secret}"))
    return problems


def _check_lines(lines: Sequence[Line]) -> Iterator[Tuple[str, str]]:
    seen: Dict[Tuple[str, str], str] = {}
    for line in lines:
        shown = redact(brief(line.text))
        if line.problem:
            yield "bad-line", f"{shown}: {line.problem}"
        if line.step is None:
            continue
        words = line.step.arguments()
        reads_drive = any(word.startswith("drive:") for word in words)
        if reads_drive and line.step.word != "drive" and not any(x == "drive" for x, _ in seen):
            yield "no-drive", f"{shown}: no line above it mounts the drive"
        for part in line.step.parts():
            for key in part.keys:
                if (part.word, key) in seen:
                    yield "twice", f"{shown}: {key} is in another line too: {seen[part.word, key]}"
                seen[part.word, key] = shown

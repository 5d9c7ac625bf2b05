"""``%pin environments``: those of other Pythons, their size and last use, and taking one away."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, List

from ..core.display import Report
from ..core.errors import ColabMagicsError, usage_error
from ..extension.magic import Call
from ..extension.output import say, show


def environments(call: Call) -> Any:
    """List them, or remove one by its name."""
    words = call.words[1:]
    if not words:
        return _list()
    if len(words) != 2 or words[0] != "remove":
        what = " ".join(words)
        raise usage_error(f"%pin environments: {what}?", "%pin environments remove NAME")
    return _remove(words[1])


def _list() -> Any:
    from .environments.store import listed

    found = listed()
    if not found:
        say("There are none. For instance: %pin torch==1.5 --python 3.8")
        return found
    rows: List[Any] = [("Python", "size", "last used", "name", "notebook")]
    for one in found:
        used = time.strftime("%Y-%m-%d", time.localtime(one.used))
        rows.append((one.python, f"{one.size / 1e6:.0f} MB", used, one.name, one.notebook))
    show(Report((), tuple(rows), ("Take one away: %pin environments remove NAME",)))
    return found


def _remove(name: str) -> None:
    from .environments.store import remove, root, unnamed

    if root() / name in Path(sys.prefix).parents or root() / name == Path(sys.prefix):
        raise ColabMagicsError(f"{name} is running this kernel.", "Choose another kernel first.")
    if not remove(name):
        raise ColabMagicsError(f"There is no environment {name}.", "See: %pin environments")
    unnamed(name)
    say(f"{name} removed")

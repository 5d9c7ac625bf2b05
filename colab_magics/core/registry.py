"""Parts that are named by strings and imported when they are first needed.

Every extension point of the project (magics, steps, drive providers, installers, notebook
writers) is a table of ``"module:attribute"`` strings: adding one is one file and one line. Another
package adds a magic and its step by entry points, which are strings of the same form.
"""

from __future__ import annotations

import site
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple


def load(target: str) -> Any:
    """Return the object that ``"package.module:attribute"`` names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def entry_points(group: str) -> Dict[str, str]:
    """Return name → target of the entry points of a group, such as ``colab_magics.magics``.

    Only files that name the group are parsed: ``importlib.metadata`` reads all of them, which takes
    a tenth of a second where there are hundreds of packages.
    """
    targets: Dict[str, str] = {}
    for text in _entry_point_files():
        if f"[{group}]" in text:
            import configparser

            parser = configparser.ConfigParser(delimiters="=", interpolation=None, strict=False)
            parser.optionxform = str  # type: ignore[assignment] # names keep their case
            with suppress(configparser.Error):
                parser.read_string(text)
                targets.update(parser.items(group))
    return targets


@lru_cache(maxsize=1)
def _entry_point_files() -> Tuple[str, ...]:
    """Read those of what is installed; a package in the working directory is none of it."""
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    texts = []
    for folder in dict.fromkeys(folders):
        for path in Path(folder).glob("*.dist-info/entry_points.txt"):
            with suppress(OSError, ValueError):
                texts.append(path.read_text(encoding="utf-8"))
    return tuple(text for text in texts if "[colab_magics." in text)


def choose(
    targets: Iterable[str], reason_against: Callable[[Any], Optional[str]]
) -> Tuple[Any, Tuple[Tuple[str, str], ...]]:
    """Return the first part that has no reason against it (or None), and (name, reason) of those
    before it.
    """
    reasons: List[Tuple[str, str]] = []
    for target in targets:
        part = load(target)()
        reason = reason_against(part)
        if reason is None:
            return part, tuple(reasons)
        reasons.append((part.name, reason))
    return None, tuple(reasons)

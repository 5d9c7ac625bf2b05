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
    """The object that ``"package.module:attribute"`` names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def entry_points(group: str) -> Dict[str, str]:
    """Return name → target of the entry points of a group, such as ``colab_magics.magics``.

    Only files that name the group are parsed: ``importlib.metadata`` reads all of them, which takes
    a tenth of a second where there are hundreds of packages.
    """
    found: Dict[str, str] = {}
    for text in _entry_point_files():
        if f"[{group}]" in text:
            import configparser

            parser = configparser.ConfigParser(delimiters="=", interpolation=None, strict=False)
            parser.optionxform = str  # type: ignore[assignment] # names keep their case
            try:
                parser.read_string(text)
            except configparser.Error:
                continue
            found.update(parser.items(group))
    return found


@lru_cache(maxsize=1)
def _entry_point_files() -> Tuple[str, ...]:
    """The entry points of what is installed; a package in the working directory is none of it."""
    places = [
        *site.getsitepackages(),
        *([site.getusersitepackages()] if site.ENABLE_USER_SITE else []),
    ]
    texts = []
    for place in dict.fromkeys(places):
        for path in Path(place).glob("*.dist-info/entry_points.txt"):
            with suppress(OSError, ValueError):
                texts.append(path.read_text(encoding="utf-8"))
    return tuple(text for text in texts if "[colab_magics." in text)


def choose(
    targets: Iterable[str], reason_against: Callable[[Any], Optional[str]]
) -> Tuple[Any, Tuple[Tuple[str, str], ...]]:
    """The first part that has no reason against it, and why each earlier one was passed over.

    A part is called once, without arguments, to make the object that is asked. Returns
    ``(None, reasons)`` when every one has a reason; ``reasons`` are ``(name, reason)`` pairs.
    """
    reasons: List[Tuple[str, str]] = []
    for target in targets:
        part = load(target)()
        reason = reason_against(part)
        if reason is None:
            return part, tuple(reasons)
        reasons.append((part.name, reason))
    return None, tuple(reasons)

"""Parts that are named by strings and imported when they are first needed.

Every extension point of the project (magics, steps, drive providers, installers, notebook
writers) is a table of ``"module:attribute"`` strings: adding one is one file and one line.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable, Iterable, List, Optional, Tuple


def load(target: str) -> Any:
    """The object that ``"package.module:attribute"`` names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


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

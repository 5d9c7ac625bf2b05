"""A ``%pin`` line as a step: its requirements, files, folders and options."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

from ..core.arguments import Parser
from ..core.errors import usage_error
from .environments.interpreters import version_of
from .options import Options, add_options
from .requirements import key, normal
from .step import PinStep

#: First words that are no requirements; a package of such a name has a version behind it.
COMMANDS = ("environments", "freeze", "lock", "undo")

_USAGE = "%pin REQUIREMENT... [-r FILE] [-e FOLDER] [options]"
_HOW = ("upgrade", "allow_kernel_changes")
_OPERATORS = {"==", "=", ">=", "<=", "~=", "!=", "<", ">", "@"}


def parse(words: List[str]) -> Optional[PinStep]:
    """The pins that a line asks for; None for a line that asks for nothing."""
    if words and words[0] in COMMANDS:
        return None
    parser = Parser("%pin", usage=_USAGE)
    parser.add_argument("requirements", nargs="*")
    parser.add_argument("-r", "--requirement", dest="files", action="append", default=[])
    parser.add_argument("-e", "--editable", dest="folders", action="append", default=[])
    parser.add_argument("-U", "--upgrade", action="store_true")
    parser.add_argument("--allow-kernel-changes", action="store_true")
    parser.add_argument("--python", default="")
    add_options(parser)
    found = parser.parse_intermixed_args(words)
    _check(found)
    texts: Dict[str, str] = {key(text): text for text in map(normal, found.requirements)}
    if not texts and not found.files and not found.folders:
        if words:
            raise usage_error("%pin: options, and nothing to pin.", "Name a package too.")
        return None
    return PinStep(
        tuple(texts.values()),
        tuple(dict.fromkeys(found.files)),
        tuple(dict.fromkeys(found.folders)),
        Options.of(found),
        frozenset(flag for flag in _HOW if getattr(found, flag)),
        python=version_of(found.python) if found.python else "",
    )


def _check(found: Any) -> None:
    """Refuse what can only be a slip."""
    for text in found.requirements:  # typed with spaces around the operator
        if text in _OPERATORS or text[:1] in {*"=<>~!"}:
            raise usage_error(f"%pin: a space before {text}.", "Write numpy==2.1.3 without spaces.")
    if found.index_auth and not re.fullmatch(r"[A-Za-z_]\w*", found.index_auth):
        raise usage_error(
            "%pin: --index-auth takes the name of an environment variable, not the secret.",
            "Take the secret out of this cell, and clear the history (%history -g).",
        )
    for folder in found.folders:
        if "://" in folder:
            raise usage_error(
                "%pin -e takes a folder.", "A repository is written: 'NAME @ git+https://...'"
            )
    if found.index_auth and not (found.index_url or found.extra_index_url):
        raise usage_error(
            "%pin: --index-auth, and no index to log in to.",
            "Add --index-url or --extra-index-url.",
        )

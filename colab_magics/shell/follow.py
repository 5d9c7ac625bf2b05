"""The kernel goes where its shell went: directory and environment, and what it cannot follow."""

import os
import re
import sys
from pathlib import Path
from typing import Dict, List, Mapping, Optional


#: What the shell gets beside the kernel's own: nothing that waits for a key.
_GIVEN = {"PAGER": "cat", "GIT_PAGER": "cat", "MANPAGER": "cat", "SYSTEMD_PAGER": "cat"}
#: What a shell keeps of itself.
_OWN = ("_", "SHLVL", "PWD", "OLDPWD")
#: Read once, when a process starts.
_AT_START = re.compile(r"LD_\w+|DYLD_\w+|PYTHON(PATH|HASHSEED|HOME|STARTUP|UTF8)")
#: A program is given a variable of 128 kB at most on Linux, ``env`` that would tell them too.
_UNSAID = (
    "The environment is as it was before this command: with it no program could be started,"
    " it is too large. Unset what is large, or do not export it"
)
_ACTIVE = ("VIRTUAL_ENV", "CONDA_PREFIX")


def environment(own: Mapping[str, str], tty: bool) -> Dict[str, str]:
    """The environment of a command; ``own`` is what the shells have kept to themselves."""
    given = {**os.environ, **own, **_GIVEN}
    given.setdefault("TERM", "xterm-256color")
    if not tty:
        given.setdefault("PYTHONUNBUFFERED", "1")
    return given


def follow(
    directory: str,
    after: Optional[Mapping[str, str]],
    given: Mapping[str, str],
    own: Dict[str, str],
) -> List[str]:
    """Change the kernel's directory and environment to those of a shell that has ended.

    ``given`` is the environment that the shell began with, and ``after`` what became of it, if
    anything. Gives what is to be known about it.
    """
    if after is None:
        own["PWD"] = directory
        return _go(directory)
    own.update({name: after[name] for name in ("PWD", "OLDPWD") if name in after})
    if not after:
        return [*_go(directory), _UNSAID]
    return [*_go(directory), *_set(after, given)]


def _go(directory: str) -> List[str]:
    try:
        here = os.getcwd()  # noqa: PTH109 - compared as text
    except OSError:
        here = ""
    try:
        if directory and not (here and Path(directory).samefile(here)):
            os.chdir(directory)
    except OSError as error:
        return [f"The kernel cannot follow to {directory}: {error.strerror}"]
    return []


def _set(after: Mapping[str, str], given: Mapping[str, str]) -> List[str]:
    changed = []
    for name in sorted({*after, *given} - {*_OWN}):
        if after.get(name) == given.get(name) or name.startswith("__cm_"):
            continue
        changed.append(name)
        if name in after:
            os.environ[name] = after[name]
        else:
            os.environ.pop(name, None)
    late = [name for name in changed if _AT_START.fullmatch(name)]
    said = [
        f"{name} counts for programs started from here: this kernel read it at its start"
        for name in late
    ]
    for name in sorted({*_ACTIVE} & {*changed} & {*after}):
        active = Path(after[name])
        if active != Path(sys.prefix):
            said.append(f"{active.name} is active for programs; this kernel keeps its own Python")
    return said

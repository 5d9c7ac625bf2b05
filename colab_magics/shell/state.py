"""A shell that lasts as long as the kernel, though each of its commands has a shell of its own.

What a shell says at its end, in a file of a folder that only this user can read, is carried to the
next one where it is whole; else all is as it was before the command. The kernel goes where the
shell went: its directory and its environment.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Collection, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from ..core.errors import CommandFailed, usage_error
from ..core.folders import find_room, has_room, scratch_folder
from .dialects import KINDS, Kind
from .processes import MARK
from .reaper import Guard
from .runner import Ended, Listener, run

_PREFIX = "colab_magics-shell-"

#: Variables that each shell sets for itself.
_OWN = re.compile(
    r"(__cm_\w+|BASH\w*|FUNCNAME|PIPESTATUS|EPOCH\w+|S?RANDOM|SECONDS|LINENO|GROUPS|DIRSTACK|"
    r"HISTCMD|OPTIND|COMP_\w+|E?UID|PPID|SHELLOPTS|SHLVL|O?L?D?PWD|_|IFS_OLD|"
    r"LOGCHECK|WATCHFMT|zle_\w+)$"
)
#: What a shell keeps of itself.
_OWN_NAMES = ("_", "SHLVL", "PWD", "OLDPWD")
#: What the shell gets beside the kernel's own: nothing that waits for a key.
_GIVEN = {"PAGER": "cat", "GIT_PAGER": "cat", "MANPAGER": "cat", "SYSTEMD_PAGER": "cat"}
#: Read once, when a process starts.
_AT_START = re.compile(r"LD_\w+|DYLD_\w+|PYTHON(PATH|HASHSEED|HOME|STARTUP|UTF8)")
_ACTIVE = ("VIRTUAL_ENV", "CONDA_PREFIX")
#: A program is given a variable of 128 kB at most on Linux, ``env`` that would tell them too.
_UNSAID = (
    "The environment is as it was before this command: with it no program could be started,"
    " it is too large. Unset what is large, or do not export it"
)


def find(wanted: str = "") -> str:
    """The name of the shell that is wanted, else of the first that is here."""
    if os.name != "posix":
        raise usage_error("%shell needs a shell of Unix.", "Here: !command, or use WSL.")
    if wanted and wanted not in KINDS:
        raise usage_error(f"%shell: {wanted} is not carried on.", f"Known: {', '.join(KINDS)}.")
    for name in [wanted] if wanted else KINDS:
        if _found(name):
            return name
    raise usage_error(f"%shell: there is no {wanted or 'shell'} here.", "Install bash.")


class Lasting:
    """One shell of a kernel, by the name of its program."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder: Optional[Path] = None
        #: The last one is for what is started now; each looks after what was started under it.
        self._guards: List[Guard] = []
        self._own: Dict[str, str] = {}
        #: All commands of this shell carry it: see `processes`.
        self._mark, self._count = uuid.uuid4().hex, count(1)
        #: Cells may run at once, in threads: each command begins where one has ended.
        self._alone = threading.Lock()
        self.carried = Carried(KINDS[name])
        #: The log of the last command that had one.
        self.log: Optional[Path] = None

    def forget(self) -> None:
        """Begin anew; directory and environment are the kernel's and stay."""
        self.carried = Carried(KINDS[self.name])

    def run(
        self, command: str, listener: Listener, timeout: Optional[float], tty: bool
    ) -> Tuple[Ended, List[str]]:
        """Run a command where the last one left off; and what is to be known of its end."""
        with self._alone:
            return self._run(command, listener, timeout, tty)

    def _run(
        self, command: str, listener: Listener, timeout: Optional[float], tty: bool
    ) -> Tuple[Ended, List[str]]:
        given = {**_environment(self._own, tty), MARK: f"{self._mark}.{next(self._count)}"}
        env = shutil.which("env") or "/usr/bin/env"
        kind = KINDS[self.name]
        program = self._program()
        parts = self.carried.parts(command, given)
        with _write_errors():
            folder = self._ready(_room(parts))
            _write(folder, parts)
        # A shell says its own name in its messages, which are to be the same on every machine.
        words = [program, *kind.arguments, "-c", kind.script, self.name, str(folder), env]
        try:
            ended = run(words, given, listener, self._guards[-1].watch, timeout, tty)
            self._guards[-1].ended(ended.remains)
        finally:
            began = (folder / "after").exists()
            state = self.carried.take(folder)
        if state is None:
            return ended, [_lost(ended, began)]
        if ended.reaped:
            ended = replace(ended, status=state.status)
        return ended, _follow(state.directory, state.environment, given, self._own)

    @contextmanager
    def apart(self, command: str, tty: bool) -> Iterator[Tuple[List[str], Dict[str, str]]]:
        """The words and the environment of a shell that begins like the next one, and is forgotten.

        What it begins with lies in a folder that only this user can read, until it has begun.
        """
        given = _environment(self._own, tty)
        kind, parts = KINDS[self.name], self.carried.parts(command, given)
        with _write_errors():
            folder = scratch_folder(_PREFIX, find_room(_room(parts)))
        try:
            with _write_errors():
                _write(folder, parts)
            words = [self._program(), *kind.arguments, "-c", kind.alone, self.name, str(folder)]
            yield words, given
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _program(self) -> str:
        program = _found(self.name)
        if program is None:
            raise usage_error(f"%shell: {self.name} is not in PATH.", "Repair os.environ['PATH'].")
        return program

    def _ready(self, size: int) -> Path:
        """The folder, made again where somebody has cleaned up, and elsewhere where it is full."""
        before = self._folder
        if before and before.is_dir() and (has_room(before, size) or find_room(size) is None):
            return before
        self._folder = scratch_folder(_PREFIX, find_room(size))
        self._guards.append(Guard(self._folder, f"{self._mark}."))
        self._guards[-1].ended()  # it is there before the first command is
        if before is not None:
            shutil.rmtree(before, ignore_errors=True)
        return self._folder


class Carried:
    """What is carried from one command to the next, for one kind of shell."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        #: How a shell is before its first command, and how the last one was.
        self._fresh: Optional[State] = None
        self._last: Optional[State] = None

    def parts(self, command: str, environment: Collection[str]) -> Dict[str, bytes]:
        """What a shell reads, by names of files: its command, the state that it begins with."""
        traced = "set -o xtrace; " if "set -o xtrace" in self._options() else ""
        blank = " " if command.startswith("-") else ""  # ``eval`` would take it for an option
        texts = {"command": f"{traced}{blank}{command}\n"}
        if self._fresh is not None:
            texts["state"] = self._state(environment)
        return {name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()}

    def take(self, folder: Path) -> Optional[State]:
        """Read what the shell has said at its end; None where it could not say it whole."""
        for name in ("command", "state", "exports", "exports_after"):
            (folder / name).unlink(missing_ok=True)
        before, after = self._read(folder / "before"), self._read(folder / "after")
        self._fresh = self._fresh or before
        self._last = after or self._last
        return after

    @property
    def counts(self) -> Dict[str, int]:
        """How much of each kind differs from a fresh shell."""
        last = self._last
        return {
            "variable": len(self._variables(())),
            "function": len(re.findall(r"(?m)^\S+ \(\)", last.functions)) if last else 0,
            "alias": len(self._aliases()),
            "option": len(self._options()),
        }

    def _state(self, environment: Collection[str]) -> str:
        """As a script. Functions come before aliases, which would be expanded in them."""
        if self._last is None:
            return ""
        options = self._options()
        late = [text for text in options if text.startswith("set ") and "xtrace" not in text]
        early = [text for text in options if not text.startswith("set ")]
        variables = self._variables(environment).values()
        parts = [*early, self._last.functions, self._last.aliases, *variables, *late]
        return "\n".join(part for part in parts if part) + "\n"

    def _aliases(self) -> Set[str]:
        if self._last is None or self._fresh is None:
            return set()
        return {*self._last.aliases.splitlines()} - {*self._fresh.aliases.splitlines()}

    def _options(self) -> List[str]:
        if self._last is None or self._fresh is None:
            return []
        return [text for text in self._last.options if text not in self._fresh.options]

    def _variables(self, environment: Collection[str]) -> Dict[str, str]:
        """Those that a command has set; where the kernel's environment has one, that holds."""
        if self._last is None or self._fresh is None:
            return {}
        fresh = self._fresh.variables
        return {
            name: text
            for name, text in self._last.variables.items()
            if fresh.get(name) != text and name not in environment and not _OWN.match(name)
        }

    def _read(self, path: Path) -> Optional[State]:
        """What a shell has said into a file, which is deleted."""
        try:
            parts = path.read_bytes().decode("utf-8", "surrogateescape").split("\0")
        except FileNotFoundError:
            return None
        path.unlink(missing_ok=True)
        at = next((at for at, part in enumerate(parts) if part in ("=ENV", "=SAME")), 0)
        if parts[-2:] != ["END", ""] or not at:
            return None
        status, directory, options, aliases, functions, *variables = parts[:at]
        entries = [entry.partition("=") for entry in parts[at + 1 : -2]]
        return State(
            int(status),
            directory,
            tuple(options.splitlines()),
            aliases,
            functions,
            self._kind.variables(variables),
            {name: value for name, _, value in entries} if parts[at] == "=ENV" else None,
        )


@dataclass(frozen=True)
class State:
    """The state of a shell, each part as text that a shell reads."""

    status: int
    directory: str
    options: Tuple[str, ...]
    aliases: str
    functions: str
    variables: Dict[str, str]
    #: None where it is as the shell had it when it began.
    environment: Optional[Dict[str, str]]


def _write(folder: Path, parts: Mapping[str, bytes]) -> None:
    """Lay out what a shell reads, all of it or none: they may hold secrets."""
    try:
        for name, data in parts.items():
            (folder / name).write_bytes(data)
    except BaseException:
        for name in parts:
            (folder / name).unlink(missing_ok=True)
        raise


@contextmanager
def _write_errors() -> Iterator[None]:
    """While what a shell begins with is laid out: `CommandFailed` where it has no room."""
    try:
        yield
    except OSError as error:
        raise CommandFailed(
            f"%shell has nowhere to write what a shell begins with: {error.strerror or error}."
            " Nothing was run.",
            "Make space in the folder for temporary files (TMPDIR), for instance with !rm.",
        ) from None


def _room(parts: Mapping[str, bytes]) -> int:
    """Bytes that a shell needs: what it says at its end is about as much as it began with."""
    return 2 * sum(map(len, parts.values()))


def _found(name: str) -> Optional[str]:
    """Where a shell is: in PATH, or where systems have it, for a PATH to be repaired from it."""
    return shutil.which(name) or shutil.which(name, path=os.defpath)


def _lost(ended: Ended, began: bool) -> str:
    """Why the state is not known; ``began``: the shell began to say it."""
    why = "it was replaced (exec), or left by an EXIT trap of your own"
    if began:
        why = "it could not be written whole; is the disk full?"
    if ended.status < 0 or ended.timed_out:
        why = "it was ended by force"
    return f"The shell's state is as it was before this command: {why}"


def _environment(own: Mapping[str, str], tty: bool) -> Dict[str, str]:
    """The environment of a command; ``own`` is what the shells have kept to themselves."""
    given = {**os.environ, **own, **_GIVEN}
    given.setdefault("TERM", "xterm-256color")
    if not tty:
        given.setdefault("PYTHONUNBUFFERED", "1")
    return given


def _follow(
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
    for name in sorted({*after, *given} - {*_OWN_NAMES}):
        if after.get(name) == given.get(name) or name.startswith("__cm_"):
            continue
        changed.append(name)
        if name in after:
            os.environ[name] = after[name]
        else:
            os.environ.pop(name, None)
    late = [name for name in changed if _AT_START.fullmatch(name)]
    notes = [
        f"{name} counts for programs started from here: this kernel read it at its start"
        for name in late
    ]
    for name in sorted({*_ACTIVE} & {*changed} & {*after}):
        active = Path(after[name])
        if active != Path(sys.prefix):
            notes.append(f"{active.name} is active for programs; this kernel keeps its own Python")
    return notes

"""A shell that lasts as long as the kernel, though each of its commands has a shell of its own.

At its end a shell writes its state into a file of a folder that only this user can read. Where that
is complete the next shell begins with it, else with the state before. The kernel follows to the
shell's directory and takes over its environment.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Callable, Collection, Dict, Iterator, List, Mapping, Optional, Tuple

from ..core.errors import CommandFailed, usage_error
from ..core.folders import find_room, has_room, scratch_folder
from .dialects import DIALECTS, Dialect
from .processes import MARK
from .reaper import Reaper
from .runner import Exit, Listener, run

_PREFIX = "colab_magics-shell-"

#: Variables that each shell sets for itself.
_SHELLS_OWN = re.compile(
    r"(__cm_\w+|BASH\w*|FUNCNAME|PIPESTATUS|EPOCH\w+|S?RANDOM|SECONDS|LINENO|GROUPS|DIRSTACK|"
    r"HISTCMD|OPTIND|COMP_\w+|E?UID|PPID|SHELLOPTS|SHLVL|O?L?D?PWD|_|IFS_OLD|"
    r"LOGCHECK|WATCHFMT|zle_\w+)$"
)
#: Variables that the kernel does not take over.
_NOT_FOLLOWED = re.compile(r"_|SHLVL|(OLD)?PWD|__cm_.*")
#: What the shell gets beside the kernel's own: nothing that waits for a key.
_PAGERS = {"PAGER": "cat", "GIT_PAGER": "cat", "MANPAGER": "cat", "SYSTEMD_PAGER": "cat"}
#: Variables that a process reads at its start alone.
_AT_START = re.compile(r"LD_\w+|DYLD_\w+|PYTHON(PATH|HASHSEED|HOME|STARTUP|UTF8)")


def find_shell(name: str = "") -> str:
    """Return the name of a shell if it is installed; without one, of the first that is."""
    if os.name != "posix":
        raise usage_error("%shell needs a Unix shell.", "Here: !command, or use WSL.")
    for candidate in [name] if name else DIALECTS:
        if _find_program(candidate):
            return candidate
    raise usage_error(
        f"%shell: {name or 'no shell'} is not installed.", "Install bash.", code="no-shell"
    )


class PersistentShell:
    """One shell of a kernel, by the name of its program."""

    def __init__(self, name: str) -> None:
        self.name, self._dialect = name, DIALECTS[name]
        self._folder: Optional[Path] = None
        #: The last one is for what is started now; each cares for what was started under it.
        self._reapers: List[Reaper] = []
        #: PWD and OLDPWD, which the kernel does not take over.
        self._own_variables: Dict[str, str] = {}
        #: All commands of this shell carry it: see `processes`.
        self._mark, self._count = uuid.uuid4().hex, count(1)
        #: Cells may run at once, in threads: each command begins where another has ended.
        self._lock = threading.Lock()
        self.carried = Carried(self._dialect)
        #: The log of the last command that had one.
        self.log: Optional[Path] = None

    def has_variable(self, name: str) -> bool:
        """Return whether the next command has it, as far as that is known before."""
        known = (os.environ, self._own_variables, _PAGERS, self.carried.names)
        return any(name in names for names in known) or bool(_SHELLS_OWN.match(name))

    def forget(self) -> None:
        """Begin anew; directory and environment are the kernel's and stay."""
        self.carried = Carried(self._dialect)

    def run(
        self, command: str, listener: Listener, timeout: Optional[float], tty: bool, merged: bool
    ) -> Tuple[Exit, List[str]]:
        """Run a command in the state that the last one left; return notes on its end, too."""
        with self._lock:
            environment = self._environment(tty)
            environment[MARK] = f"{self._mark}.{next(self._count)}"
            env = shutil.which("env") or "/usr/bin/env"
            parts = self.carried.parts(command, environment)
            folder = _write_parts(parts, self._ensure_folder)
            # A shell writes its name in its messages, which are to be the same on every machine.
            script = ["-c", self._dialect.around, self.name, str(folder), env]
            words = [_find_program(self.name), *self._dialect.arguments, *script]
            reaper = self._reapers[-1]
            try:
                ended = run(words, environment, listener, reaper.add, timeout, tty, merged)
                reaper.end_command(ended.remains)
            finally:
                partial = (folder / "after").exists()
                state = self.carried.update(folder)
            if state is None:
                return ended, [_explain_loss(ended, partial)]
            # Its own word counts: something else in this process may have waited for it first.
            return replace(ended, status=state.status), self._follow(state, environment)

    @contextmanager
    def prepare_job(self, command: str, tty: bool) -> Iterator[Tuple[List[str], Dict[str, str]]]:
        """Yield the words and the environment of a shell that begins like the next one.

        Its state lies in a folder that only this user can read, until it has begun, or until the
        context ends with an error.
        """
        environment = self._environment(tty)
        parts = self.carried.parts(command, environment)
        folder = _write_parts(parts, lambda size: scratch_folder(_PREFIX, find_room(size)))
        try:
            script = ["-c", self._dialect.alone, self.name, str(folder)]
            yield [_find_program(self.name), *self._dialect.arguments, *script], environment
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _environment(self, tty: bool) -> Dict[str, str]:
        environment = {**os.environ, **self._own_variables, **_PAGERS}
        environment.setdefault("TERM", "xterm-256color")
        if not tty:
            environment.setdefault("PYTHONUNBUFFERED", "1")
        return environment

    def _ensure_folder(self, size: int) -> Path:
        """Return the folder; a new one where somebody has cleaned up, or the disk is full."""
        folder = self._folder
        if folder and folder.is_dir() and (has_room(folder, size) or find_room(size) is None):
            return folder
        self._folder = scratch_folder(_PREFIX, find_room(size))
        self._reapers.append(Reaper(self._folder, f"{self._mark}."))
        self._reapers[-1].end_command()  # it is there before the first command is
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        return self._folder

    def _follow(self, state: ShellState, before: Mapping[str, str]) -> List[str]:
        """Change the kernel's directory and environment to the shell's; return notes on it."""
        own, after = self._own_variables, state.environment
        notes = _change_directory(state.directory)
        if after is None:
            own["PWD"] = state.directory
            return notes
        own.update({name: after[name] for name in ("PWD", "OLDPWD") if name in after})
        if after:
            return [*notes, *_change_environment(before, after)]
        # Linux gives a program 128 kB of one variable, and so not to `env`, which writes them.
        return [
            *notes,
            "The environment is too large to start programs with: it is as before this command."
            " Unset what is large, or do not export it",
        ]


@dataclass(frozen=True)
class ShellState:
    """The state of a shell, each part as text that a shell reads."""

    status: int = 0
    directory: str = ""
    options: Tuple[str, ...] = ()
    aliases: str = ""
    functions: str = ""
    variables: Dict[str, str] = field(default_factory=dict)
    #: None where it is as the shell had it when it began.
    environment: Optional[Dict[str, str]] = None


class Carried:
    """What is carried from one command to the next."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        #: How a shell is before its first command; how the last one was.
        self._fresh: Optional[ShellState] = None
        self._last = ShellState()

    def parts(self, command: str, environment: Collection[str]) -> Dict[str, bytes]:
        """Return what a shell reads, by names of files: its command, and its first state."""
        traced = "set -o xtrace; " if "set -o xtrace" in self._options() else ""
        blank = " " if command.startswith("-") else ""  # ``eval`` would take it for an option
        texts = {"command": f"{traced}{blank}{command}\n"}
        if self._fresh is not None:
            texts["state"] = self._script(environment)
        return {name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()}

    def update(self, folder: Path) -> Optional[ShellState]:
        """Read the state that a shell has written; return None where it is not complete."""
        for name in ("command", "state", "exports", "exports_after"):
            (folder / name).unlink(missing_ok=True)
        before, after = self._read(folder / "before"), self._read(folder / "after")
        self._fresh = self._fresh or before
        self._last = after or self._last
        return after

    @property
    def counts(self) -> Dict[str, int]:
        """How many of each kind differ from a fresh shell."""
        return {
            "variables": len(self._variables(())),
            "functions": len(re.findall(r"(?m)^\S+ \(\)", self._last.functions)),
            "aliases": len({*self._last.aliases.splitlines()} - {*self._base.aliases.splitlines()}),
            "options": len(self._options()),
        }

    @property
    def names(self) -> Collection[str]:
        """The variables that the last shell had at its end, the environment's left out."""
        return self._last.variables.keys()

    @property
    def _base(self) -> ShellState:
        return self._fresh or self._last

    def _script(self, environment: Collection[str]) -> str:
        """Return the state as a script; aliases come last, or would be expanded in functions."""
        options, last = self._options(), self._last
        late = [text for text in options if text.startswith("set ") and "xtrace" not in text]
        early = [text for text in options if not text.startswith("set ")]
        variables = self._variables(environment).values()
        parts = [*early, last.functions, last.aliases, *variables, *late]
        return "\n".join(part for part in parts if part) + "\n"

    def _options(self) -> List[str]:
        return [text for text in self._last.options if text not in self._base.options]

    def _variables(self, environment: Collection[str]) -> Dict[str, str]:
        """Return those that a command has set, but not those of the kernel's environment."""
        return {
            name: text
            for name, text in self._last.variables.items()
            if self._base.variables.get(name) != text
            and name not in environment
            and not _SHELLS_OWN.match(name)
        }

    def _read(self, path: Path) -> Optional[ShellState]:
        """Read and delete what a shell has written; return None where it is not complete."""
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
        return ShellState(
            int(status),
            directory,
            tuple(options.splitlines()),
            aliases,
            functions,
            self._dialect.variables(variables),
            {name: value for name, _, value in entries} if parts[at] == "=ENV" else None,
        )


def _write_parts(parts: Mapping[str, bytes], make_folder: Callable[[int], Path]) -> Path:
    """Write what a shell reads, all of it or none (it may hold secrets); return the folder.

    ``make_folder`` is called with the bytes that the shell needs: it writes about as much as it
    reads. Raise `CommandFailed` where there is no room.
    """
    try:
        folder = make_folder(2 * sum(map(len, parts.values())))
        try:
            for name, data in parts.items():
                (folder / name).write_bytes(data)
        except BaseException:
            for name in parts:
                (folder / name).unlink(missing_ok=True)
            raise
        return folder
    except OSError as error:
        raise CommandFailed(
            f"%shell cannot write its temporary files: {error.strerror or error}. Nothing was run.",
            "Make space in the folder for temporary files (TMPDIR), for instance with !rm.",
        ) from None


def _find_program(name: str) -> str:
    """Return the path of a shell, in PATH or, for PATH to be repaired, where systems have it."""
    return shutil.which(name) or shutil.which(name, path=os.defpath) or ""


def _explain_loss(ended: Exit, partial: bool) -> str:
    """Return why the state is not known; ``partial``: the shell began to write it."""
    reason = "it was replaced (exec), or left by an EXIT trap of your own"
    if partial:
        reason = "it could not be written completely; is the disk full?"
    if ended.status < 0 or ended.timed_out:
        reason = "it was ended by force"
    return f"The shell's state is as it was before this command: {reason}"


def _change_directory(directory: str) -> List[str]:
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


def _change_environment(before: Mapping[str, str], after: Mapping[str, str]) -> List[str]:
    changed = [
        name
        for name in sorted({*after, *before})
        if after.get(name) != before.get(name) and not _NOT_FOLLOWED.fullmatch(name)
    ]
    for name in changed:
        if name in after:
            os.environ[name] = after[name]
        else:
            os.environ.pop(name, None)
    notes = [
        f"{name} is for programs started from here: this kernel read it at its start"
        for name in changed
        if _AT_START.fullmatch(name)
    ]
    for name in ("CONDA_PREFIX", "VIRTUAL_ENV"):
        if name in changed and name in after and Path(after[name]) != Path(sys.prefix):
            active = Path(after[name]).name
            notes.append(f"{active} is active for programs; this kernel keeps its own Python")
    return notes

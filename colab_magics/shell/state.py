"""A shell that lasts as long as the kernel, though each of its commands has a shell of its own."""

import os
import shutil
import threading
import uuid
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

from ..core.errors import CommandFailed, usage_error
from ..core.files import roomy, scratch_folder, with_room
from .carried import Carried, lay
from .dialects import KINDS
from .follow import environment, follow
from .processes import MARK
from .reaper import Guard
from .runner import Ended, Listener, run


_PREFIX = "colab_magics-shell-"


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
        given = {**environment(self._own, tty), MARK: f"{self._mark}.{next(self._count)}"}
        env = shutil.which("env") or "/usr/bin/env"
        kind = KINDS[self.name]
        program = self._program()
        parts = self.carried.parts(command, given)
        with _laid():
            folder = self._ready(_room(parts))
            lay(folder, parts)
        # A shell says its own name in its messages, which are to be the same on every machine.
        words = [program, *kind.arguments, "-c", kind.script, self.name, str(folder), env]
        try:
            ended = run(words, given, listener, self._guards[-1].watch, timeout, tty)
            self._guards[-1].ended(ended.remains)
        finally:
            began = (folder / "after").exists()
            said = self.carried.take(folder)
        if said is None:
            return ended, [_lost(ended, began)]
        if ended.taken:
            ended = replace(ended, status=said.status)
        return ended, follow(said.directory, said.environment, given, self._own)

    @contextmanager
    def apart(self, command: str, tty: bool) -> Iterator[Tuple[List[str], Dict[str, str]]]:
        """The words and the environment of a shell that begins like the next one, and is forgotten.

        What it begins with lies in a folder that only this user can read, until it has begun.
        """
        given = environment(self._own, tty)
        kind, parts = KINDS[self.name], self.carried.parts(command, given)
        with _laid():
            folder = scratch_folder(_PREFIX, with_room(_room(parts)))
        try:
            with _laid():
                lay(folder, parts)
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
        if before and before.is_dir() and (roomy(before, size) or with_room(size) is None):
            return before
        self._folder = scratch_folder(_PREFIX, with_room(size))
        self._guards.append(Guard(self._folder, f"{self._mark}."))
        self._guards[-1].ended()  # it is there before the first command is
        if before is not None:
            shutil.rmtree(before, ignore_errors=True)
        return self._folder


def _found(name: str) -> Optional[str]:
    """Where a shell is: in PATH, or where systems have it, for a PATH to be repaired from it."""
    return shutil.which(name) or shutil.which(name, path=os.defpath)


def _room(parts: Mapping[str, bytes]) -> int:
    """Bytes that a shell needs: what it says at its end is about as much as it began with."""
    return 2 * sum(map(len, parts.values()))


@contextmanager
def _laid() -> Iterator[None]:
    """While what a shell begins with is laid out: `CommandFailed` where it has no room."""
    try:
        yield
    except OSError as error:
        raise CommandFailed(
            f"%shell has nowhere to write what a shell begins with: {error.strerror or error}."
            " Nothing was run.",
            "Make space in the folder for temporary files (TMPDIR), for instance with !rm.",
        ) from None


def _lost(ended: Ended, began: bool) -> str:
    """Why the state is not known; ``began``: the shell began to say it."""
    why = "it was replaced (exec), or left by an EXIT trap of your own"
    if began:
        why = "it could not be written whole; is the disk full?"
    if ended.status < 0 or ended.timed_out:
        why = "it was ended by force"
    return f"The shell's state is as it was before this command: {why}"

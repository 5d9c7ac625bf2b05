"""Nothing outlives the kernel: a small process beside it ends what it leaves, killed even."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Iterable, List, Optional, Sequence, Tuple

from ..core.process import start
from .processes import MARK, Family, Process, read, unmarked

# It reads lines of processes, each with when it began, each line in the place of the one before; at
# the end of its input, when the kernel has ended, it ends those of the last one with their groups,
# and all that carry the kernel's mark, wherever they went, and takes away the folder. A number that
# is another process's by now is left alone.
_SCRIPT = """
trap '' INT HUP TERM
all= mark=$1
while read -r line; do all=$line; done
marked() { grep -ls "$mark" /proc/[0-9]*/environ | tr -dc '0-9\\n'; }
same() {
  [ -e /proc/self/stat ] || return 0
  read -r stat < "/proc/${1%:*}/stat" && set -- "$1" ${stat##*) } && [ "${21}" = "${1#*:}" ]
}
end() {
  for one in $all; do
    same "$one" && { kill -s "$1" -- "-${one%:*}" || kill -s "$1" "${one%:*}"; }
  done
  for one in $(marked); do grep -qs "$mark" "/proc/$one/environ" && kill -s "$1" "$one"; done
}
{ end HUP; end TERM; } 2>/dev/null
[ -z "$all$(marked)" ] || sleep 0.5
end KILL 2>/dev/null
rm -rf "$0"
"""


class Guard:
    """The process that waits for the kernel's end; ``folder`` is deleted then.

    Programs are ended whose mark begins with ``mark``.
    """

    def __init__(self, folder: Path, mark: str) -> None:
        self._folder, self._mark = folder, f"{MARK}={mark}"
        #: Processes that began with commands that have ended.
        self._left: List[Tuple[int, str]] = []
        self._process: Optional[subprocess.Popen[bytes]] = None

    def watch(self, family: Family) -> None:
        """Have it know of a command that begins."""
        self._know([*self._left, (family.session, family.start)])

    def ended(self, remains: Sequence[Process] = ()) -> None:
        """Have it know that the command has ended, and what of it goes on."""
        self._left = [(pid, start) for pid, start in self._left if _alive(pid, start)]
        self._left += [(one.pid, one.start) for one in remains]
        self._know(self._left)

    def _know(self, processes: Iterable[Tuple[int, str]]) -> None:
        line = " ".join(f"{pid}:{start}" for pid, start in processes).encode() + b"\n"
        try:
            self._tell(line)
        except OSError:  # somebody has ended it
            self._process = None
            with suppress(OSError):
                self._tell(line)

    def _tell(self, line: bytes) -> None:
        if self._process is None:
            self._process = start(
                ["/bin/sh", "-c", _SCRIPT, str(self._folder), self._mark],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
                env=unmarked(),
            )
        assert self._process.stdin is not None  # noqa: S101 - it was asked for as a pipe
        self._process.stdin.write(line)
        self._process.stdin.flush()


def _alive(pid: int, start: str) -> bool:
    """Whether such a process runs; without a start, a group of this number."""
    if start:
        process = read(pid)
        return process is not None and process.start == start
    return bool(Family(pid).members())

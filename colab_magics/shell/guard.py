"""Nothing outlives the kernel: a small process beside it ends what it leaves, killed even."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import List, Optional

__all__ = ["Guard", "alive"]

# It reads lines of process groups, each line in the place of the one before; at the end of its
# input, when the kernel has ended, it ends those of the last one, and takes away the folder.
_SCRIPT = """
trap '' INT HUP TERM
all=
while read -r line; do all=$line; done
for group in $all; do kill -s HUP -- -$group; kill -s TERM -- -$group; done 2>/dev/null
[ -z "$all" ] || sleep 0.5
for group in $all; do kill -s KILL -- -$group; done 2>/dev/null
rm -rf "$0"
"""


class Guard:
    """The process that waits for the kernel's end; ``folder`` is deleted then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._groups: List[int] = []
        self._process: Optional[subprocess.Popen[bytes]] = None

    def watch(self, group: Optional[int]) -> None:
        """Have it know this group, and those before that are still alive."""
        self._groups = [one for one in self._groups if alive(one)]
        self._groups += [group] if group is not None else []
        line = " ".join(map(str, self._groups)).encode() + b"\n"
        try:
            self._tell(line)
        except OSError:  # somebody has ended it
            self._process = None
            with suppress(OSError):
                self._tell(line)

    def _tell(self, line: bytes) -> None:
        if self._process is None:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        assert self._process.stdin is not None  # noqa: S101 - it was asked for as a pipe
        self._process.stdin.write(line)
        self._process.stdin.flush()


def alive(group: int) -> bool:
    """Whether a program of this process group runs; one that has ended may still be listed."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    processes = Path("/proc")
    if not (processes / "self/stat").exists():
        return True
    return any(_runs(path, group) for path in processes.glob("[0-9]*/stat"))


def _runs(stat: Path, group: int) -> bool:
    """Whether a process is of that group, and has not ended."""
    try:
        state, _, found = stat.read_bytes().rpartition(b") ")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return int(found) == group and state not in (b"Z", b"X")

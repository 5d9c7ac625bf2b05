"""Nothing outlives the kernel: a small process beside it ends what it leaves, killed even."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import List, Optional

from ..process import start
from .processes import MARK, Family, unmarked

__all__ = ["Guard"]

# It reads lines of process groups, each line in the place of the one before; at the end of its
# input, when the kernel has ended, it ends those of the last one and all that carry the kernel's
# mark, wherever they went, and takes away the folder.
_SCRIPT = """
trap '' INT HUP TERM
all= mark=$1
while read -r line; do all=$line; done
marked() { grep -ls "$mark" /proc/[0-9]*/environ | tr -dc '0-9\\n'; }
end() {
  for group in $all; do kill -s "$1" -- "-$group"; done
  for one in $(marked); do kill -s "$1" "$one"; done
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
        self._groups: List[int] = []
        self._process: Optional[subprocess.Popen[bytes]] = None

    def watch(self, group: Optional[int]) -> None:
        """Have it know this group beside those before; None: leave out those that have ended."""
        if group is not None:
            self._groups.append(group)
        else:
            self._groups = [one for one in self._groups if _alive(one)]
        line = " ".join(map(str, self._groups)).encode() + b"\n"
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


def _alive(group: int) -> bool:
    """Whether there is such a process group; one that has ended may still be listed."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return Family(group).lives()

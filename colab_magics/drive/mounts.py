"""What the system has mounted, by its own list: a dead mount lies to ``exists``."""

import re
import shutil
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from ..core.process import run


MOUNTS = Path("/proc/mounts")
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mounted(NamedTuple):
    """What is mounted (``gdrive:``), of which kind of file system (``fuse.rclone``), and how."""

    device: str
    kind: str
    options: Tuple[str, ...] = ()


def mounted(place: Path, table: Optional[Path] = None) -> Optional[Mounted]:
    """What is mounted at just this place, the topmost; None where nothing is."""
    try:
        lines = (table or MOUNTS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        fields = [_ESCAPED.sub(lambda x: chr(int(x.group(1), 8)), one) for one in line.split()]
        if len(fields) > 2 and fields[1] == str(place):
            return Mounted(fields[0], fields[2], tuple(",".join(fields[3:4]).split(",")))
    return None


def read_only(place: Path, table: Optional[Path] = None) -> bool:
    """Whether what is mounted there may only be read."""
    found = mounted(place, table)
    return found is not None and "ro" in found.options


def fusermount(option: str, files: Path) -> str:
    """Unmount; what it said where it did not."""
    name = shutil.which("fusermount3") or shutil.which("fusermount") or "fusermount3"
    done = run([name, option, str(files)], timeout=30)
    return done.lines[-1] if done.status and done.lines else ""

"""What the operating system refuses, as an error that people can read.

Used at the two doors where a person's line is run: a magic, and the command line. An error that is
not listed here is taken for a bug of ours, and is shown as one.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from .errors import ColabMagicsError, usage_error

_AWAY = "What is mounted there is gone. Mount it again (%drive mount), or name another place."
_MODE = "Check its owner and mode, or name another place."
_ROOM = "Make room, then run it again."
_PATH = "Check the path."
_TODO = {
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ENOTCONN: _AWAY,
    errno.ESTALE: _AWAY,
    errno.EIO: _AWAY,
    errno.ENOTDIR: _PATH,
    errno.ELOOP: _PATH,
    errno.EINVAL: _PATH,
    errno.EACCES: _MODE,
    errno.EPERM: _MODE,
    errno.EROFS: _MODE,
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.E2BIG: "The environment or the line is too large: take something out.",
    errno.EMFILE: "Too many files are open: close some, or restart the kernel.",
    errno.ENFILE: "Too many files are open on this machine: close some.",
    errno.EAGAIN: "Too many processes are running: end some.",
    errno.ENOMEM: "The memory is full: end something.",
}
#: Characters of a name that are shown.
_SHOWN = 80


@contextmanager
def explain_system_errors() -> Iterator[None]:
    """Raise `ColabMagicsError` in the place of an error of a path, a name or the machine."""
    try:
        yield
    except UnicodeEncodeError as error:
        if error.encoding.lower() != sys.getfilesystemencoding().lower():
            raise
        raise ColabMagicsError(
            f"A name holds what {error.encoding} has no characters for.",
            "Choose another name, or start Jupyter with LC_ALL=C.UTF-8.",
        ) from None
    except ColabMagicsError:  # some are an OSError too, and say it better
        raise
    except OSError as error:
        hint = _TODO.get(error.errno or 0, "")
        if error.errno == errno.ENOENT and _lost():
            raise ColabMagicsError(
                "The folder that this works in is gone.", "Leave it: %cd_persist PATH"
            ) from None
        if not hint:
            raise
        name = Path(os.fsdecode(error.filename)).name if _is_path(error.filename) else ""
        what = f"{name[:_SHOWN]}: {error.strerror}" if name else f"{error.strerror}"
        raise ColabMagicsError(f"{what}.", hint) from None


def refuse_impossible_text(*texts: str) -> None:
    """Raise ``UsageError`` where a text holds what no notebook, program or file name can hold."""
    try:
        if b"\0" not in "".join(texts).encode("utf-8"):
            return
        what, hint = "a zero byte", "Take it out."
    except UnicodeEncodeError:
        what, hint = "half a character", "If a file has such a name, rename it."
    raise usage_error(f"There is {what} in this line.", hint)


def _is_path(name: object) -> bool:
    return isinstance(name, (str, bytes))


def _lost() -> bool:
    """Whether the directory of this process has vanished."""
    try:
        Path.cwd()
    except OSError:
        return True
    return False

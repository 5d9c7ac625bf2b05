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

_HINTS = {
    "Choose a shorter name.": (errno.ENAMETOOLONG,),
    "What is mounted there is gone. Mount it again (%drive mount), or name another place.": (
        errno.ENOTCONN,
        errno.ESTALE,
        errno.EIO,
    ),
    "Check the path.": (errno.ENOTDIR, errno.ELOOP, errno.EINVAL),
    "Check its owner and mode, or name another place.": (errno.EACCES, errno.EPERM, errno.EROFS),
    "Make room, then run it again.": (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    "The environment or the line is too large: take something out.": (errno.E2BIG,),
    "Too many files are open: close some, or restart the kernel.": (errno.EMFILE, errno.ENFILE),
    "Too many processes are running: end some.": (errno.EAGAIN,),
    "The memory is full: end something.": (errno.ENOMEM,),
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
            f"A name has characters that {error.encoding} cannot write.",
            "Choose another name, or start Jupyter with LC_ALL=C.UTF-8.",
            code="bad-name",
        ) from None
    except ColabMagicsError:  # some are an OSError too, and explain it better
        raise
    except OSError as error:
        if error.errno == errno.ENOENT and _is_cwd_lost():
            raise ColabMagicsError(
                "The folder that this works in is gone.",
                "Leave it: %cd_persist PATH",
                code="no-cwd",
            ) from None
        hint = next((hint for hint, numbers in _HINTS.items() if error.errno in numbers), "")
        if not hint:
            raise
        path = error.filename
        name = Path(os.fsdecode(path)).name[:_SHOWN] if isinstance(path, (str, bytes)) else ""
        message = f"{name}: {error.strerror}." if name else f"{error.strerror}."
        raise ColabMagicsError(message, hint, code="system") from None


def refuse_impossible_text(*texts: str) -> None:
    """Raise ``UsageError`` where a text holds what no notebook, program or file name can hold."""
    try:
        if b"\0" not in "".join(texts).encode("utf-8"):
            return
        problem, hint = "a zero byte", "Take it out."
    except UnicodeEncodeError:
        problem, hint = "half a character", "If a file has such a name, rename it."
    raise usage_error(f"There is {problem} in this line.", hint, code="impossible-text")


def _is_cwd_lost() -> bool:
    try:
        Path.cwd()
    except OSError:
        return True
    return False

"""The exit statuses of the command line, in one table, and which of them an error has."""

from __future__ import annotations

from enum import IntEnum

from .errors import (
    ColabMagicsError,
    DriveError,
    GpuUnmet,
    LockDiffers,
    RestartRequired,
    SetupDiffers,
)
from .signals import INTERRUPTED as _INTERRUPTED


class ExitStatus(IntEnum):
    """What a command of ``colab-magics`` ends with; docs/command-line.md has the same table."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DIFFERS = 3
    NEEDS_PERSON = 4
    NEEDS_RESTART = 5
    UNKNOWN = 6
    INTERRUPTED = _INTERRUPTED


#: The codes of errors that only a person can remove: by a login, a permission, a secret.
_PERSON = frozenset(
    (
        "forbidden",
        "index-login",
        "login-needed",
        "no-permission",
        "no-person",
        "nobody",
        "scope",
        "secret-late",
        "secret-missing",
        "secret-refused",
        "unconfirmed",
    )
)


def status_of(error: BaseException) -> ExitStatus:
    """Return the status of a command that an error has ended."""
    code = str(getattr(error, "code", ""))
    if isinstance(error, KeyboardInterrupt):
        return ExitStatus.INTERRUPTED
    if isinstance(error, RestartRequired) or code == "no-python":
        return ExitStatus.NEEDS_RESTART
    if isinstance(error, SetupDiffers) and not error.lines:
        return ExitStatus.UNKNOWN
    if isinstance(error, (SetupDiffers, LockDiffers, GpuUnmet)):
        return ExitStatus.DIFFERS
    if code in _PERSON or (isinstance(error, DriveError) and code == "login"):
        return ExitStatus.NEEDS_PERSON
    return ExitStatus.FAILED if isinstance(error, ColabMagicsError) else ExitStatus.USAGE

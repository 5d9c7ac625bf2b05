"""Who owns a file or a folder, and who else may write it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def is_own(status: os.stat_result) -> bool:
    """Tell whether this user owns a file; true where users are not told apart."""
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def is_private(status: os.stat_result) -> bool:
    """Tell whether this user owns a file that nobody else may write, of any group."""
    return is_own(status) and (os.name == "nt" or not status.st_mode & 0o022)


def others_write(status: os.stat_result) -> bool:
    """Tell whether other users may write a file; a group of this user alone does not count."""
    if os.name == "nt":
        return False
    mode = status.st_mode
    return bool(mode & 0o002 or (mode & 0o020 and not _is_group_of_user(status.st_gid)))


def is_trusted(program: os.stat_result) -> bool:
    """Tell whether only this user or root can have written a program."""
    return (is_own(program) or program.st_uid == 0) and not others_write(program)


def _is_group_of_user(number: int) -> bool:
    """Many systems give each user a group of the same name."""
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(number), pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False
    return group.gr_name == user and {*group.gr_mem} <= {user}


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing: each 0700, whatever the umask."""
    for path in reversed([folder, *folder.parents]):
        if not path.exists():
            with suppress(FileExistsError):
                path.mkdir(0o700)

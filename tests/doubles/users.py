"""Another user of this machine: a process that has given up root, as attacker or as victim."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest

import colab_magics

__all__ = ["NOBODY", "OTHER", "TEAM", "as_user", "meanwhile", "root_only"]

#: Two users and a group that no account here has.
NOBODY, OTHER, TEAM = 65534, 54321, 54322

root_only = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="elsewhere: only root can act as another user",
)

#: Imported as root, since another user may not read the interpreter's folder.
_AS = """
import fcntl, grp, json, os, stat, sys, tempfile, time
from pathlib import Path
import dotenv, platformdirs, encodings.idna
from colab_magics.core import file_lock, files
from colab_magics.core.errors import ColabMagicsError
from colab_magics.core.host import Host
from colab_magics.pin import uv
from colab_magics.secret import lookup, stores
platformdirs.user_cache_dir("x"), platformdirs.user_state_dir("x")
os.setgroups([{group}])
os.setgid({group})
os.setuid({user})
where = Path(sys.argv[1])
{code}
"""


def _command(user: int, code: str, where: Path, group: int) -> list[str]:
    script = _AS.format(user=user, group=group or user, code=code)
    return [sys.executable, "-c", script, str(where)]


def as_user(user: int, code: str, where: Path, group: int = 0) -> str:
    """What lines of Python print, run by another user; they know the place as ``where``."""
    root = Path(colab_magics.__file__).parent.parent
    done = subprocess.run(
        _command(user, code, where, group), cwd=str(root), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def meanwhile(user: int, code: str, where: Path) -> Iterator[None]:
    """Lines of Python at work as another user, from when they print a line on, until it ends."""
    root = Path(colab_magics.__file__).parent.parent
    with subprocess.Popen(
        _command(user, code, where, 0), cwd=str(root), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline()
            yield
        finally:
            process.kill()

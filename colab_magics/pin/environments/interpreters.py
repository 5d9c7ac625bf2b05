"""Finding an interpreter of some version: one that uv can fetch, else one that is here.

Managed builds come first: they are whole, where a system's own may lack ``venv`` or headers.
Source of the builds: uv's guide "Python versions" (python-build-standalone).
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Iterable, Iterator, List, Optional

from ...core.errors import InstallFailed, usage_error
from ...core.host import Host
from ...core.ownership import is_trusted
from ...core.process import run

_TELL = "import sys, venv, ensurepip; print('%d.%d.%d' % sys.version_info[:3])"
#: The oldest Python that this package runs on.
OLDEST = (3, 8)


def version_of(text: str) -> str:
    """The version that was typed, ``3.8`` or ``3.8.18``; a ``UsageError`` where it is none."""
    if not re.fullmatch(r"3\.\d{1,2}(\.\d{1,2})?", text):
        raise usage_error(f"--python {text}: not a version.", "Write --python 3.8")
    if tuple(map(int, text.split(".")[:2])) < OLDEST:
        raise usage_error(
            f"--python {text} is too old: colab_magics runs on 3.8 and later.",
            "Use 3.8, or run that code by a script of its own.",
        )
    return text


def platform() -> str:
    """The version of this Python, ``3.13``."""
    return "{}.{}".format(*sys.version_info[:2])


def runs(version: str) -> bool:
    """Whether this interpreter is of that version; any is of none."""
    return not version or f"{sys.version.split()[0]}.".startswith(f"{version}.")


def elsewhere(requirement: str, minors: Iterable[int]) -> str:
    """Where a requirement can be had that has builds for these Pythons (3.x) alone."""
    fits = [minor for minor in minors if minor >= OLDEST[1]]
    if not fits:
        return ""
    version = f"3.{max(fits)}"
    if Host().colab:
        return (
            f"Python {version} has it: Runtime > Change runtime type > Runtime version lists past "
            f"ones; or, where there is a terminal: colab-magics run NOTEBOOK --python {version}"
        )
    return f"Or on another Python: %pin {requirement} --python {version}"


def _candidates(version: str) -> Iterator[Path]:
    """Where an interpreter of this version may be: on PATH, of pyenv, the system's.

    The shims of pyenv stand for whichever version is chosen elsewhere, so that they are left out.
    """
    short = ".".join(version.split(".")[:2])
    name = f"python{short}.exe" if os.name == "nt" else f"python{short}"
    places = [*map(Path, os.get_exec_path()), Path("/usr/bin"), Path("/usr/local/bin")]
    yield from (place / name for place in places if place.name != "shims")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    for folder in sorted(pyenv.glob(f"{version}*"), key=_newest_last, reverse=True):
        yield folder / "bin" / "python"


def _newest_last(folder: Path) -> List[int]:
    return [int(part) for part in re.findall(r"\d+", folder.name)]


def local(version: str) -> Optional[Path]:
    """An interpreter of this version on this machine that can make environments."""
    for place in _candidates(version):
        if place.exists() and is_trusted(place.stat()) and _is(place, version):
            return place
    return None


def _is(python: Path, version: str) -> bool:
    try:
        done = run([str(python), "-I", "-c", _TELL], timeout=20)
    except OSError:  # of the program, or of the time
        return False
    return f"{done.lines[-1] if done.lines else ''}.".startswith(f"{version}.")


def missing(version: str) -> InstallFailed:
    """The error where there is none, and none could be fetched."""
    return InstallFailed(
        f"There is no Python {version} here, and none could be fetched.",
        f"Check the network, or install it; this kernel is Python {platform()}.",
    )

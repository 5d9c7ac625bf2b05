"""Versions of Python, and the interpreters of this machine that can make environments.

Source of the builds that uv fetches: its guide "Python versions" (python-build-standalone).
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Iterable, Iterator, List, Optional

from ...core.errors import usage_error
from ...core.host import Host
from ...core.menus import menu
from ...core.ownership import is_trusted
from ...core.process import run

_PRINT_VERSION = "import sys, venv, ensurepip; print('%d.%d.%d' % sys.version_info[:3])"
#: The oldest Python that this package runs on, and that of Colab's past runtimes (2025.07).
OLDEST, OLDEST_ON_COLAB = (3, 8), (3, 11)
#: How the kernel of another Python is started. The machine's configuration of IPython may name a
#: kernel class and extensions that are installed for its own Python alone; Colab's does.
KERNEL_OPTIONS = (
    "--IPKernelApp.kernel_class=ipykernel.ipkernel.IPythonKernel",
    "--InteractiveShellApp.extensions=[]",
)


def version_of(text: str) -> str:
    """Return a version as typed, ``3.8`` or ``3.8.18``; ``UsageError`` for anything else."""
    if not re.fullmatch(r"3\.\d{1,2}(\.\d{1,2})?", text):
        raise usage_error(
            f"--python {text}: not a version.", "Write --python 3.8", code="not-a-version"
        )
    if tuple(map(int, text.split(".")[:2])) < OLDEST:
        raise usage_error(
            f"--python {text} is too old: colab_magics runs on 3.8 and later.",
            "Use 3.8, or run that code by a script of its own.",
            code="too-old",
        )
    return text


def platform() -> str:
    """Return the version of this Python, ``3.13``."""
    return "{}.{}".format(*sys.version_info[:2])


def runs(version: str) -> bool:
    """Return whether this interpreter is of that version; any is if it is empty."""
    return not version or f"{sys.version.split()[0]}.".startswith(f"{version}.")


def elsewhere(requirement: str, minors: Iterable[int]) -> str:
    """Return where to get a requirement that has builds for these Pythons (3.x) only."""
    fits = [minor for minor in minors if minor >= OLDEST[1]]
    if not fits:
        return ""
    version = f"3.{max(fits)}"
    host = Host()
    if host.colab:
        return f"Python {version} has it: {on_colab(host, version)}"
    return f"Or on another Python: %pin {requirement} --python {version}"


def on_colab(host: Host, version: str) -> str:
    """Return how to get another Python on Colab, which has no other kernels."""
    run = f"colab-magics run NOTEBOOK --python {version}, in a terminal or behind !"
    if tuple(map(int, version.split(".")[:2])) < OLDEST_ON_COLAB:
        oldest = "{}.{}".format(*OLDEST_ON_COLAB)
        return f"Colab's past runtimes go back to Python {oldest} only: {run}"
    return f"{menu(host, 'python')} lists past ones; or {run}"


def local(version: str) -> Optional[Path]:
    """Return an interpreter of this version on this machine that can make environments."""
    for place in _candidates(version):
        if place.exists() and is_trusted(place.stat()) and _has_version(place, version):
            return place
    return None


def _candidates(version: str) -> Iterator[Path]:
    """Yield where an interpreter of this version may be: on PATH, the system's, pyenv's.

    pyenv's shims are left out: they run whichever version is chosen elsewhere.
    """
    short = ".".join(version.split(".")[:2])
    name = f"python{short}.exe" if os.name == "nt" else f"python{short}"
    places = [*map(Path, os.get_exec_path()), Path("/usr/bin"), Path("/usr/local/bin")]
    yield from (place / name for place in places if place.name != "shims")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    for folder in sorted(pyenv.glob(f"{version}*"), key=_numbers, reverse=True):
        yield folder / "bin" / "python"


def _numbers(folder: Path) -> List[int]:
    return [int(part) for part in re.findall(r"\d+", folder.name)]


def _has_version(python: Path, version: str) -> bool:
    try:
        done = run([str(python), "-I", "-c", _PRINT_VERSION], timeout=20)
    except OSError:  # it cannot be run, or not in time
        return False
    return f"{done.lines[-1] if done.lines else ''}.".startswith(f"{version}.")

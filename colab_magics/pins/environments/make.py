"""Making an environment: Python, this package and a kernel, verified, and named to Jupyter."""

import os
import shutil
import time
from pathlib import Path
from typing import Callable, Sequence

from ...errors import InstallFailed
from ...origin import requirement
from ...process import Finished, run
from .jupyter import named
from .made import Environment, find, interpreter_in, locked, name_of, root
from .pythons import local, missing

__all__ = ["ensure"]

#: Nothing runs in an environment before both can be imported there.
_VERIFY = "import ipykernel, colab_magics; print(colab_magics.__version__)"


def ensure(notebook: Path, version: str, progress: Callable[[str], None]) -> Environment:
    """The environment of this notebook for this Python: as it is, or made.

    Raises `InstallFailed`, and leaves nothing behind, where it cannot be made.
    """
    name = name_of(notebook, version)
    with locked():
        found = find(name)
        if found is None:
            found = _made(name, notebook, version, progress)
        os.utime(str(found.folder / "made.json"))
        named(found)
    return found


def _made(name: str, notebook: Path, version: str, progress: Callable[[str], None]) -> Environment:
    folder = root() / name
    shutil.rmtree(folder, ignore_errors=True)
    try:
        progress(f"making an environment with Python {version}")
        _create(folder, version)
        python = str(interpreter_in(folder))
        progress("installing ipykernel and colab_magics into it")
        _uv("pip", "install", "--python", python, "ipykernel", requirement())
        done = run([python, "-I", "-c", _VERIFY], timeout=120)
        if done.status:
            raise _failed("the kernel in it does not start", done)
        made = Environment(name, version, str(notebook.absolute()), time.time())
        made.keep()
        return made
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _create(folder: Path, version: str) -> None:
    """By a Python that uv has or fetches, else by one that is on this machine."""
    command = ["venv", "--no-project", "--python"]
    try:
        _uv(*command, version, "--python-preference", "only-managed", str(folder))
    except InstallFailed:
        python = local(version)
        if python is None:
            raise missing(version) from None
        shutil.rmtree(folder, ignore_errors=True)
        _uv(*command, str(python), str(folder))


def _uv(*words: str) -> None:
    """Run uv with the user's own settings for pip."""
    from ..settings import read_settings
    from ..uv import Uv, find_uv

    uv = find_uv()
    if uv is None:
        raise InstallFailed("uv has no build for this machine.", "Make an environment by hand.")
    variables = Uv().environment(read_settings())
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "RUST_LOG"):
        variables.pop(name, None)
    done = run([uv, *words], variables)
    if done.status:
        raise _failed(f"uv {words[0]} failed", done)


def _failed(what: str, done: Finished) -> InstallFailed:
    errors: Sequence[str] = [one for one in done.lines if "error" in one.lower()] or done.lines[-1:]
    return InstallFailed(
        f"The environment could not be made: {what}.", "", "\n".join([*errors, *done.lines[-4:]])
    )

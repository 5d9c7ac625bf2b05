"""Making an environment: Python, this package and a kernel, verified, and named to Jupyter."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Dict, Optional, Sequence

from ..._version import __version__
from ...core.display import Report
from ...core.errors import InstallFailed
from ...core.folders import scratch_folder
from ...core.origin import requirement
from ...core.process import Finished, SilenceError, run
from ...core.steps import Progress
from ..environment import canonical_name
from ..installer import Job
from ..pip_config import read_settings
from ..plan import table
from ..requirements import key
from ..uv import Uv, find_uv
from .interpreters import local, missing
from .store import Environment, find, interpreter_in, locked, name_of, named, root

#: Nothing runs in an environment before both can be imported there.
_VERIFY = "import ipykernel, colab_magics; print(colab_magics.__version__)"


def ensure(
    notebook: Path,
    version: str,
    progress: Progress,
    texts: Sequence[str] = (),
    line: Optional[Dict[str, str]] = None,
) -> Environment:
    """The environment of this notebook for this Python: as it is, brought up to date, or made.

    ``texts`` are requirements that are to be installed there later, with the settings of their
    ``line``: they are in the plan that is shown first. Raises `InstallFailed`, and leaves nothing
    behind, where it cannot be made, or could not have them.
    """
    name = name_of(notebook, version)
    with locked():
        found = find(name)
        if found is None:
            found = _made(name, notebook, version, progress, texts, line or {})
        elif _older(found.version):
            found = _renewed(found, progress)
        os.utime(str(found.folder / "made.json"))
        named(found)
    return found


def foreseen(notebook: Path, version: str, texts: Sequence[str], line: Dict[str, str]) -> Report:
    """The plan of what `ensure` and then the line would do; makes and fetches nothing."""
    found = find(name_of(notebook, version))
    if found is not None:
        return planned(found.interpreter, version, [], texts, line)
    folder = scratch_folder("colab-magics-python-")
    try:
        _create(folder / "environment", version, UV_PYTHON_DOWNLOADS="never")
        python = interpreter_in(folder / "environment")
        return planned(python, version, ["ipykernel", requirement()], texts, line)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made(
    name: str,
    notebook: Path,
    version: str,
    progress: Progress,
    texts: Sequence[str],
    line: Dict[str, str],
) -> Environment:

    folder = root() / name
    shutil.rmtree(folder, ignore_errors=True)
    try:
        progress(f"making an environment with Python {version}")
        _create(folder, version)
        python, own = interpreter_in(folder), ["ipykernel", requirement()]
        progress(planned(python, version, own, texts, line))
        progress("installing ipykernel and colab_magics into it")
        has = _installed(python, *own)
        made = Environment(name, version, str(notebook.absolute()), time.time(), has)
        made.keep()
        return made
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _older(version: str) -> bool:
    """Whether a colab_magics is older than this one."""
    from packaging.version import Version

    return Version(version) < Version(__version__)


def _renewed(found: Environment, progress: Progress) -> Environment:
    """The same with this version of colab_magics; as it was, where that cannot be had now."""
    progress(f"bringing colab_magics up to date in the environment of Python {found.python}")
    with suppress(InstallFailed):
        found = replace(found, version=_installed(found.interpreter, requirement()))
        found.keep()
    return found


def _installed(python: Path, *texts: str) -> str:
    """Install them there, and see that the kernel starts; the version of colab_magics in it."""
    _uv("pip", "install", "--python", str(python), *texts)
    done = run([str(python), "-I", "-c", _VERIFY], timeout=120)
    if done.status:
        raise _failed("the kernel in it does not start", done)
    return done.lines[-1].strip() if done.lines else ""


def _create(folder: Path, version: str, **variables: str) -> None:
    """By a Python that uv has or fetches, else by one that is on this machine."""
    command = ["venv", "--no-project", "--python"]
    try:
        _uv(*command, version, "--python-preference", "only-managed", str(folder), **variables)
    except InstallFailed:
        python = local(version)
        if python is None:
            raise missing(version) from None
        shutil.rmtree(folder, ignore_errors=True)
        _uv(*command, str(python), str(folder))


def _uv(*words: str, **more: str) -> None:
    """Run uv with the user's own settings for pip."""
    uv = find_uv()
    if uv is None:
        raise InstallFailed("uv has no build for this machine.", "Make an environment by hand.")
    variables = Uv().environment(read_settings())
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "RUST_LOG"):
        variables.pop(name, None)
    seconds = read_settings().patience(os.environ)
    try:
        done = run([uv, *words], {**variables, **more}, silence=seconds)
    except SilenceError:
        raise InstallFailed(
            f"The environment could not be made: nothing has come for {seconds:.0f} s.",
            "Check the network and the proxy, and run it again.",
        ) from None
    except OSError as error:
        raise InstallFailed(
            f"The environment could not be made: uv does not work here ({error.strerror}).",
            "Install uv again.",
        ) from None
    if done.status:
        raise _failed(f"uv {words[0]} failed", done)


def _failed(what: str, done: Finished) -> InstallFailed:
    errors: Sequence[str] = [one for one in done.lines if "error" in one.lower()] or done.lines[-1:]
    return InstallFailed(
        f"The environment could not be made: {what}.", "", "\n".join([*errors, *done.lines[-4:]])
    )


# ---------------------------------------------------------------------- plan
def planned(
    python: Path, version: str, own: Sequence[str], texts: Sequence[str], line: Dict[str, str]
) -> Report:
    """The plan of ``own`` (what the kernel needs) and ``texts`` for this empty environment.

    ``line`` are the settings of the line that asks for them. `InstallFailed` where they cannot be
    had on that Python.
    """
    job = Job(lambda said: None, (), line, hold=False, installer=Uv(str(python)))
    try:
        plan = job.rehearse([*own, *texts]) or {}
    except InstallFailed as error:
        raise _unresolved(version, error) from None
    names = [*(key(text).split(";")[0] for text in texts), *map(canonical_name, own[:1])]
    report = table(plan, names, {}, job.advise(plan))
    first = f"Python {version}, in an environment of this notebook's own: {report.lines[0]}"
    return Report((first, *report.lines[1:]), report.rows, report.after)


def _unresolved(version: str, error: InstallFailed) -> InstallFailed:
    reason = error.reason or error.message
    return InstallFailed(
        f"Not to be had for Python {version}: {reason.rstrip('.')}; nothing was made.",
        "Loosen one of the versions, or check the network and the index; then run it again.",
        error.details,
        code=error.code,
    )

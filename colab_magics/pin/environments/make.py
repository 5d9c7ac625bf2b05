"""Make an environment: Python, this package and a kernel, verified, and known to Jupyter."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Dict, Optional, Sequence

from ..._version import __version__
from ...core.display import Report
from ...core.errors import InstallFailed
from ...core.folders import scratch_folder
from ...core.host import Host
from ...core.origin import requirement
from ...core.process import SilenceError, run
from ...core.steps import Progress
from ..environment import canonical_name
from ..job import Job
from ..pip_config import read_settings
from ..plan import table
from ..requirements import key
from ..uv import Uv, find_uv
from .interpreters import local, platform, runs
from .store import Environment, find, interpreter_in, locked, name_of, register_kernel

#: What has to work in an environment before anything runs there.
_VERIFY = "import ipykernel, colab_magics; print(colab_magics.__version__)"


def notebook_of(host: Host) -> Path:
    """Return the running notebook, or a name for it where it is not known."""
    return host.context.notebook() or host.start / "notebook"


def ensure(
    notebook: Path,
    version: str,
    progress: Progress,
    texts: Sequence[str] = (),
    line: Optional[Dict[str, str]] = None,
) -> Environment:
    """Return the environment of this notebook for this Python; make or update it if necessary.

    ``texts`` are requirements that will be installed there with the settings of their ``line``:
    the plan includes them. `InstallFailed`, with nothing left behind, if it cannot be made or could
    not have them.
    """
    from packaging.version import Version

    name = name_of(notebook, version)
    with locked():
        environment = find(name)
        if environment is None:
            environment = Environment(name, version, str(notebook.absolute()), time.time())
            environment = _make(environment, progress, texts, line or {})
        elif Version(environment.version) < Version(__version__):
            progress(f"updating colab_magics in the environment of Python {version}")
            with suppress(InstallFailed):  # it works as it is
                environment = _install(environment, requirement())
        os.utime(str(environment.folder / "made.json"))
        register_kernel(environment)
    return environment


def make_fresh(folder: Path, version: str) -> Path:
    """Make an environment with this package and a kernel in a new folder; return its interpreter.

    Nothing knows it but the caller, who removes it. `InstallFailed` where it cannot be made.
    """
    if runs(version):  # the same interpreter, without its packages
        _uv("venv", "--no-project", "--python", sys.executable, str(folder))
    else:
        _create(folder, version)
    python = interpreter_in(folder)
    _install_into(python, "ipykernel", requirement())
    return python


def preview(notebook: Path, version: str, texts: Sequence[str], line: Dict[str, str]) -> Report:
    """Return the plan of `ensure` and then of the line; make and fetch nothing."""
    environment = find(name_of(notebook, version))
    if environment is not None:
        verb = f"Nothing was changed. Would install for Python {version}"
        return _plan(environment.interpreter, version, [], texts, line, verb)
    folder = scratch_folder("colab-magics-python-")
    try:
        _create(folder / "environment", version, UV_PYTHON_DOWNLOADS="never")
        python = interpreter_in(folder / "environment")
        verb = f"Nothing was changed. Would make an environment with Python {version}, and install"
        return _plan(python, version, ["ipykernel", requirement()], texts, line, verb)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make(
    environment: Environment, progress: Progress, texts: Sequence[str], line: Dict[str, str]
) -> Environment:
    folder, version = environment.folder, environment.python
    own = ["ipykernel", requirement()]
    shutil.rmtree(folder, ignore_errors=True)
    try:
        progress(f"making an environment with Python {version}")
        _create(folder, version)
        verb = f"Making an environment with Python {version}, and installing"
        progress(_plan(environment.interpreter, version, own, texts, line, verb))
        progress("installing ipykernel and colab_magics into it")
        return _install(environment, *own)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _install(environment: Environment, *texts: str) -> Environment:
    """Install requirements, verify that the kernel starts, and save that it is ready."""
    environment = replace(environment, version=_install_into(environment.interpreter, *texts))
    environment.save()
    return environment


def _install_into(python: Path, *texts: str) -> str:
    """Install requirements, verify that the kernel starts, and return our version there."""
    _uv("pip", "install", "--python", str(python), *texts)
    done = run([str(python), "-I", "-c", _VERIFY], timeout=120)
    if done.status:
        raise _failed("the kernel in it does not start", lines=done.lines)
    return done.lines[-1].strip() if done.lines else ""


def _create(folder: Path, version: str, **variables: str) -> None:
    """Create an empty environment, by a Python of uv's, else by one that is on this machine.

    uv's builds are complete, while a system's own may lack ``venv`` or headers.
    """
    command = ["venv", "--no-project", "--python"]
    try:
        _uv(*command, version, "--python-preference", "only-managed", str(folder), **variables)
    except InstallFailed:
        python = local(version)
        if python is None:
            raise InstallFailed(
                f"There is no Python {version} here, and none could be fetched.",
                f"Check the network, or install it; this kernel is Python {platform()}.",
                code="no-python",
            ) from None
        shutil.rmtree(folder, ignore_errors=True)
        _uv(*command, str(python), str(folder))


def _uv(*words: str, **variables: str) -> None:
    """Run uv with the user's own settings for pip."""
    uv = find_uv()
    if uv is None:
        raise _failed("uv has no build for this machine", "Make an environment by hand.")
    settings = read_settings()
    environment = {**Uv().environment(settings), **variables}
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "RUST_LOG"):
        environment.pop(name, None)
    seconds = settings.patience(os.environ)
    try:
        done = run([uv, *words], environment, silence=seconds)
    except SilenceError:
        hint = "Check the network and the proxy, and run it again."
        raise _failed(f"there was no answer for {seconds:.0f} s", hint) from None
    except OSError as error:
        raise _failed(f"uv does not work here ({error.strerror})", "Install uv again.") from None
    if done.status:
        raise _failed(f"uv {words[0]} failed", lines=done.lines)


def _failed(reason: str, hint: str = "", lines: Sequence[str] = ()) -> InstallFailed:
    errors = [line for line in lines if "error" in line.lower()] or lines[-1:]
    return InstallFailed(
        f"The environment could not be made: {reason}.",
        hint,
        "\n".join([*errors, *lines[-4:]]),
        code="environment-failed",
    )


def _plan(
    python: Path,
    version: str,
    own: Sequence[str],
    texts: Sequence[str],
    line: Dict[str, str],
    verb: str,
) -> Report:
    """Return the plan of ``own``, what the kernel needs, and ``texts`` for an environment.

    ``line`` are the settings of the line with the texts. `InstallFailed` if that Python cannot have
    them.
    """
    job = Job(lambda message: None, (), line, hold=False, installer=Uv(str(python)))
    try:
        # What the kernel needs may be newer than the line's day.
        first = (job.without_day().rehearse(own) or {}) if job.day and own else {}
        plan = {**(job.rehearse(texts if job.day else [*own, *texts]) or {}), **first}
    except InstallFailed as error:
        raise _unresolved(version, error) from None
    names = [*(key(text).split(";")[0] for text in texts), *map(canonical_name, own[:1])]
    return table(plan, names, {}, job.advise(plan), verb)


def _unresolved(version: str, error: InstallFailed) -> InstallFailed:
    reason = error.reason or error.message
    return InstallFailed(
        f"Not available for Python {version}: {reason.rstrip('.')}; nothing was made.",
        "Loosen one of the versions, or check the network and the index; then run it again.",
        error.details,
        code=error.code,
    )

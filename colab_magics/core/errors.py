"""What can go wrong, as a person reads it: what failed, then what to do.

::

    Exception
    └── ColabMagicsError      what failed + what to do
        ├── InstallFailed     packages could not be installed; the environment is unchanged
        ├── RestartRequired   installed and remembered, but an older version is loaded
        │   └── OtherPython   remembered, and to be run on another Python, which is ready
        ├── DriveError        a drive could not be mounted or unmounted
        ├── SourceError       a secret, a file, a repository or a system package cannot be had
        ├── NotStarted        a program cannot be started; an ``OSError`` too
        ├── NotOwn            other users can write what is ours alone; an ``OSError`` too
        ├── CommandFailed     ``%shell``: a command did not succeed, or not in time
        ├── GpuUnmet          ``%gpu require``: the machine does not have it
        ├── NotebookError     a notebook cannot be read, or not be written safely
        │   └── ServerError   a Jupyter server does not answer, or refuses to
        ├── SetupDiffers      ``%setup check --strict``: a line does not hold
        └── LockDiffers       ``%pin lock --check``: this machine is not as the lock says

Bad arguments are IPython's own ``UsageError``, exactly: IPython prints it as one line, but a
subclass of it as a whole traceback. ``str(error)`` holds no timing and no path that we added,
because nbval compares it between machines, no password of a URL, and no secret that is known here.
"""

from __future__ import annotations

import subprocess
from errno import EPERM
from typing import Any, Dict, List, Optional, Tuple, Type

from .controls import visible
from .redact import redact

#: A word that was typed, and the one that it was meant to be (empty: none).
Slip = Tuple[str, str]


def _shown(text: str) -> str:
    return visible(redact(text))


def _name_meant(message: str, slip: Optional[Slip]) -> str:
    return f"{message} Did you mean {slip[1]}?" if slip and slip[1] else message


class ColabMagicsError(Exception):
    """One line that says what is wrong (``message``) and one that says what to do (``hint``).

    ``code`` names the case for programs and tests, and stays the same when the text is improved:
    each class has one, and a raise may give a narrower one. ``details`` is what a program printed.
    ``slip``: the corrected line takes the place of the hint, where the line is known.
    """

    code = "failed"
    __str__ = Exception.__str__  # not that of the second base class which some children have

    def __init__(
        self,
        message: str,
        hint: str = "",
        details: str = "",
        *,
        code: str = "",
        slip: Optional[Slip] = None,
    ) -> None:
        texts = (_name_meant(message, slip), hint, details)
        self.message, self.hint, self.details = map(_shown, texts)
        self.code, self.slip = code or type(self).code, slip
        Exception.__init__(self, self.message + ("\n" + self.hint if hint else ""))

    def _render_traceback_(self) -> List[str]:
        lines = [f"{type(self).__name__}: {self.message}", self.hint, self.details]
        # One text, since IPython joins the parts differently in each mode.
        return ["\n".join(line for line in lines if line)]


class InstallFailed(ColabMagicsError):
    """Packages could not be installed; what was installed before is as it was.

    ``package`` is the one that could not be had, if it is one, ``versions`` those that could be, as
    far as known; ``reason`` is the sentence of the installer. Codes: see ``pin/failure.py``;
    ``timeout``: nothing answered in time; ``no-wheel``: it would have to be built.
    """

    code = "install-failed"
    package = ""
    versions: Tuple[str, ...] = ()
    reason = ""


class RestartRequired(ColabMagicsError):
    """The versions are installed and remembered; this kernel still has older ones loaded.

    ``packages`` are their names, ``reason`` says what changed in few words, always the same;
    ``now``: the line asked for the restart itself (``--restart``).
    """

    code = "restart-required"
    packages: Tuple[str, ...] = ()
    reason = ""
    now = False


class OtherPython(RestartRequired):
    """The line asks for another Python; ``kernel`` is the name of one that is ready for it."""

    code = "other-python"
    kernel = ""
    python = ""


class DriveError(ColabMagicsError):
    """A drive could not be mounted, reached or unmounted."""

    code = "drive"


class SourceError(ColabMagicsError):
    """Something that the notebook needs cannot be had; nothing half-done is left."""

    code = "source"


class NotStarted(ColabMagicsError, OSError):
    """A program cannot be started; ``errno`` and ``strerror`` are the system's, if it said so."""

    code = "not-started"

    def __init__(
        self, message: str, hint: str = "", details: str = "", error: Optional[Exception] = None
    ) -> None:
        ColabMagicsError.__init__(self, message, hint, details)
        if isinstance(error, OSError):
            self.errno, self.strerror = error.errno, error.strerror


class NotOwn(ColabMagicsError, PermissionError):
    """A file or folder of ours is another user's, or others can write it; ``details`` has its path.

    What can be done without is done without, as where it cannot be read.
    """

    code = "not-own"
    errno = EPERM
    strerror = "it is another user's, or others can write it"


class CommandFailed(ColabMagicsError, subprocess.CalledProcessError):
    """A command of ``%shell`` did not succeed; ``status`` is what it ended with.

    The ``%shell`` of Colab raises a ``CalledProcessError``, and notebooks catch that.
    """

    code = "command-failed"

    def __init__(
        self, message: str, hint: str = "", details: str = "", status: int = 1, *, code: str = ""
    ) -> None:
        subprocess.CalledProcessError.__init__(self, status, "")
        ColabMagicsError.__init__(self, message, hint, details, code=code)

    @property
    def status(self) -> int:
        """What the command ended with, where Python has ``returncode``."""
        return self.returncode


class GpuUnmet(ColabMagicsError):
    """The GPU that ``%gpu require`` names is not here."""

    code = "gpu-unmet"


class NotebookError(ColabMagicsError):
    """A notebook cannot be read, or not be written without a risk of losing something."""

    code = "notebook"


class ServerError(NotebookError):
    """A Jupyter server does not answer as it should.

    Codes: ``refused``, ``failed`` (its answer is an error), ``late`` (the request may still be
    carried out), ``certificate`` (nothing was sent), ``away``. ``status`` is that of HTTP, if any.
    """

    code = "server"
    status = 0


class SetupDiffers(ColabMagicsError):
    """``%setup check --strict`` found lines that do not hold, or could not tell.

    ``lines`` are those that differ, ``unknown`` those of which it could not tell; ``changes`` name
    what else is not as it was recorded: ``Python``, ``GPU``. The code is ``setup-unknown`` where no
    line differs.
    """

    code = "setup-differs"
    lines: Tuple[str, ...] = ()
    unknown: Tuple[str, ...] = ()
    changes: Tuple[str, ...] = ()


class LockDiffers(ColabMagicsError):
    """``%pin lock --check`` found something that is not as the lock says."""

    code = "lock-differs"


def usage_error(
    message: str, hint: str = "", *, code: str = "usage", slip: Optional[Slip] = None
) -> Exception:
    """Return IPython's ``UsageError`` for bad arguments: ``raise usage_error(...)``.

    It has a ``code`` and a ``slip`` as a `ColabMagicsError` has them.
    """
    from IPython.core.error import UsageError

    text = _name_meant(message, slip) + (f"\n{hint}" if hint else "")
    error: Any = UsageError(_shown(text))
    error.code, error.slip = code, slip
    return error  # type: ignore[no-any-return]


def set_hint(error: Exception, hint: str) -> None:
    """Put another hint into an error of a line."""
    error.args = ("\n".join([str(error).partition("\n")[0], _shown(hint)]),)
    if isinstance(error, ColabMagicsError):
        error.hint = _shown(hint)


def describe_error(error: BaseException) -> Dict[str, str]:
    """Return an error as JSON has it: its ``code``, its ``message`` and its ``hint``."""
    if isinstance(error, KeyboardInterrupt):
        return {"code": "interrupted", "message": "interrupted", "hint": ""}
    message, _, hint = str(error).partition("\n")
    return {"code": str(getattr(error, "code", "") or "usage"), "message": message, "hint": hint}


def input_errors() -> Tuple[Type[Exception], ...]:
    """The errors that a line itself can be guilty of, for ``except input_errors():``."""
    from IPython.core.error import UsageError

    return (ColabMagicsError, UsageError)

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

import errno
import json
import re
import subprocess
from typing import Iterator, List, Optional, Sequence, Set, Tuple, Type
from urllib.parse import quote, quote_plus, unquote

from .controls import visible

_WORD = re.compile(r"\S+")
#: A host, and perhaps a port, as they stand in a URL between ``//`` and the path.
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d{0,5})?")
#: The same within another URL, and a login without a URL: ``user:password@host``.
_ENCODED = re.compile(r"(%2f%2f)(?:(?!%2f)\S)*?%40", re.I)
_LOGIN = re.compile(
    r"(?<![\w.%+-])(?!(?:mailto|drive|zenodo):)[\w.%+-]+:[^\s/\\@:]+@(?=[\w\[])", re.I
)

#: Values that are not to be shown, as they may be written; a shorter one would garble what is said.
_HIDDEN: Set[str] = set()
_SHORTEST = 6
#: A line of a key that every such key has.
_FRAME = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----")


def hide(value: str) -> None:
    """Show this value nowhere from now on, neither in what is said nor in errors.

    Nor a line of it: programs are read line by line, and may print a part.
    """
    lines = [text.strip() for text in value.splitlines()]
    lines = [text for text in lines if not _FRAME.fullmatch(text)]
    for form in (value, value.strip(), quote(value, safe=""), quote_plus(value), *lines):
        if len(form) >= _SHORTEST:
            _HIDDEN.update((form, json.dumps(form)[1:-1]))


def hidden() -> List[str]:
    """The values that are hidden here, for a process of ours that hides them too."""
    return sorted(_HIDDEN)


def conceal(text: str) -> str:
    """Text with the secrets that are known here taken out."""
    for value in sorted(_HIDDEN, key=len, reverse=True):
        text = text.replace(value, "****")
    return text


def holds_secret(text: str) -> bool:
    """Tell whether a secret that is known here stands in a text, also as a URL writes it."""
    return any(conceal(reading) != reading for reading in (text, unquote(text)))


class Veil:
    """Takes the secrets that are known here out of bytes that come in pieces.

    What may be the beginning of one is held back until the next piece.
    """

    def __init__(self) -> None:
        self._held = b""

    def __call__(self, data: bytes, last: bool = False) -> bytes:
        """A piece without them; ``last``: nothing comes behind it."""
        if not _HIDDEN:
            return data
        secrets = sorted((value.encode() for value in _HIDDEN), key=len, reverse=True)
        data = self._held + data
        # Before any is taken out: a short one may be the beginning, or a part, of a longer one.
        begun = 0 if last else max(_begun(data, secret) for secret in secrets)
        end = _behind(data, len(data) - begun, secrets)
        data, self._held = data[:end], data[end:]
        for secret in secrets:
            data = data.replace(secret, b"****")
        return data


def _behind(data: bytes, end: int, secrets: Sequence[bytes]) -> int:
    """Where to cut so that no whole secret is cut in two: there, or behind the one that is."""
    for secret in secrets:
        at = data.find(secret, max(end - len(secret) + 1, 0), end + len(secret) - 1)
        if at >= 0:
            return _behind(data, at + len(secret), secrets)
    return end


def _begun(data: bytes, secret: bytes) -> int:
    """How many bytes at the end of some data a secret may begin with."""
    longest = min(len(data), len(secret) - 1)
    return next((n for n in range(longest, 0, -1) if data.endswith(secret[:n])), 0)


def userinfo_spans(text: str) -> Iterator[Tuple[int, int]]:
    """Yield where user names and passwords of URLs stand in a text, without the ``@`` behind them.

    They end at the last ``@`` before the path. Where what precedes the path is no host with a
    port, a password holds a raw ``/``: then at the last ``@`` of the word.
    """
    for word in _WORD.finditer(text) if "@" in text else ():
        last, at = text.rfind("@", word.start(), word.end()), word.start()
        while True:
            start = text.find("//", at, word.end()) + 2
            if not 2 <= start <= last:
                break
            at = text.find("/", start, word.end())
            at = word.end() if at < 0 else at
            cut = text.rfind("@", start, at)
            if cut < 0 and not _HOST.fullmatch(text, start, at):
                cut = last
            if cut >= 0:
                yield start, cut
                at = cut + 1


def scrub(text: str) -> str:
    """Text with secrets, and user names and passwords of URLs, taken out."""
    if "@" in text or "%40" in text:
        cuts = [0, *(cut for span in userinfo_spans(text) for cut in span), len(text)]
        text = "****".join(text[start:end] for start, end in zip(cuts[::2], cuts[1::2]))
        text = _LOGIN.sub("****@", _ENCODED.sub(r"\1****%40", text))
    return conceal(text)


def _shown(text: str) -> str:
    """Text as an error shows it, whoever has written a part of it."""
    return visible(scrub(text))


class ColabMagicsError(Exception):
    """One line that says what is wrong, one that says what to do."""

    def __init__(self, what: str, todo: str = "", details: str = "") -> None:
        self.what, self.todo, self.details = map(_shown, (what, todo, details))
        Exception.__init__(self, self.what + ("\n" + self.todo if todo else ""))

    def _render_traceback_(self) -> List[str]:
        """What IPython shows instead of a traceback."""
        lines = [f"{type(self).__name__}: {self.what}", self.todo, self.details]
        # One text, since IPython joins the parts differently in each mode.
        return ["\n".join(line for line in lines if line)]


class InstallFailed(ColabMagicsError):
    """Packages could not be installed; what was installed before is as it was.

    ``why`` is a word for it where somebody goes by it: ``silent``, nobody has answered in time.
    """

    why = ""


class RestartRequired(ColabMagicsError):
    """The versions are installed and remembered; this kernel still has older ones loaded.

    ``packages`` are their names, ``reason`` says what changed in few words, always the same;
    ``now``: the line asked for the restart itself (``--restart``).
    """

    packages: Tuple[str, ...] = ()
    reason = ""
    now = False


class OtherPython(RestartRequired):
    """The line asks for another Python; ``kernel`` is the name of one that is ready for it."""

    kernel = ""
    python = ""


class DriveError(ColabMagicsError):
    """A drive could not be mounted, reached or unmounted."""


class SourceError(ColabMagicsError):
    """Something that the notebook needs cannot be had; nothing half-done is left."""


class NotStarted(ColabMagicsError, OSError):
    """A program cannot be started; ``errno`` and ``strerror`` are the system's, if it said so."""

    __str__ = Exception.__str__

    def __init__(
        self, what: str, todo: str = "", details: str = "", error: Optional[Exception] = None
    ) -> None:
        ColabMagicsError.__init__(self, what, todo, details)
        if isinstance(error, OSError):
            self.errno, self.strerror = error.errno, error.strerror


class NotOwn(ColabMagicsError, PermissionError):
    """A file or folder of ours is another user's, or others can write it; ``details`` has its path.

    What can be done without is done without, as where it cannot be read.
    """

    __str__ = Exception.__str__

    def __init__(self, what: str, todo: str = "", details: str = "") -> None:
        ColabMagicsError.__init__(self, what, todo, details)
        self.errno, self.strerror = errno.EPERM, "it is another user's, or others can write it"


class CommandFailed(ColabMagicsError, subprocess.CalledProcessError):
    """A command of ``%shell`` did not succeed; ``status`` is what it ended with.

    The ``%shell`` of Colab raises a ``CalledProcessError``, and notebooks catch that.
    """

    __str__ = Exception.__str__

    def __init__(self, what: str, todo: str = "", details: str = "", status: int = 1) -> None:
        subprocess.CalledProcessError.__init__(self, status, "")
        ColabMagicsError.__init__(self, what, todo, details)

    @property
    def status(self) -> int:
        """What the command ended with, where Python has ``returncode``."""
        return self.returncode


class GpuUnmet(ColabMagicsError):
    """The GPU that ``%gpu require`` names is not here."""


class NotebookError(ColabMagicsError):
    """A notebook cannot be read, or not be written without a risk of losing something."""


class ServerError(NotebookError):
    """A Jupyter server does not answer as it should; ``why`` is a word for it.

    ``refused``, ``failed`` (an error is its answer), ``late`` (what was asked may still be done),
    ``certificate`` (nothing was asked) or ``away``.
    """

    why = ""


class SetupDiffers(ColabMagicsError):
    """``%setup check --strict`` found a line that does not hold, or could not tell."""


class LockDiffers(ColabMagicsError):
    """``%pin lock --check`` found something that is not as the lock says."""


def usage_error(what: str, todo: str = "") -> Exception:
    """IPython's ``UsageError`` for bad arguments: ``raise usage_error(...)``."""
    from IPython.core.error import UsageError

    error: Exception = UsageError(_shown(what) + ("\n" + _shown(todo) if todo else ""))
    return error


def bad_input() -> Tuple[Type[Exception], ...]:
    """The errors that a line itself can be guilty of, for ``except bad_input():``."""
    from IPython.core.error import UsageError

    return (ColabMagicsError, UsageError)

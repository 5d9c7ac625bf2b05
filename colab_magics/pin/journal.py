"""What an installation is about to do, on disk before it begins, so that a cut one is found.

The journal lies beside the site-packages that it is about, where it outlives the kernel. It is
*unfinished* while it exists and nobody holds its lock: the lock is inherited by the installer,
so that it is held until both that program and the kernel which started it have ended. Beside it
stands the *plan*: the names that the installer says it is about to change, as it says them.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import time
import zlib
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Sequence, Set, Tuple

from ..core.errors import InstallFailed
from ..core.file_lock import alone, lock
from ..core.folders import user_path
from ..core.steps import Progress
from .requirements import project_name

#: Seconds to wait for another process that installs into the same environment.
PATIENCE = 600.0


@dataclass(frozen=True)
class Journal:
    """An installation that has begun: what it installs, and what was there before.

    ``requirements``, ``options`` and ``line``, its settings, are without what carries a secret;
    ``before`` is canonical name → version, ``origins`` name → the URL that it came from;
    ``since`` is by the clock of files.
    """

    requirements: Tuple[str, ...]
    options: Tuple[str, ...]
    before: Dict[str, str]
    origins: Dict[str, str]
    since: float
    line: Dict[str, str] = field(default_factory=dict)
    pid: int = field(default_factory=os.getpid)


@dataclass(frozen=True)
class History:
    """The last installation that was finished: name → version before and after (or "").

    ``lines`` is key → the requirement that stood in the setup cell before (or "") and after,
    ``places`` name → the settings of the line that it had stood on.
    """

    changes: Dict[str, Tuple[str, str]]
    origins: Dict[str, str] = field(default_factory=dict)
    lines: Dict[str, Tuple[str, str]] = field(default_factory=dict)
    places: Dict[str, Dict[str, str]] = field(default_factory=dict)
    at: float = field(default_factory=time.time)


def _place(kind: str) -> Path:
    """Return the file about this interpreter's site-packages, on the same machine as they."""
    packages = zlib.crc32(sysconfig.get_path("purelib").encode("utf-8", "replace"))
    name = f"pins-{packages:08x}.{kind}"
    if os.access(sys.prefix, os.W_OK):
        return Path(sys.prefix, ".colab-magics", name)
    return user_path("state", name)


def clock() -> float:
    """Return the time by the clock of files, in seconds; that of a share or a host may differ."""
    try:
        path = _place("lock")
        path.touch()
        return path.stat().st_mtime
    except OSError:
        return time.time()


def pending() -> bool:
    """Return whether an installation was cut off, or is going on; costs one look at a file."""
    try:
        return _place("journal").exists()
    except PermissionError:  # of an environment whose locks are another user's
        return False


def disturbs(names: Iterable[str]) -> bool:
    """Return whether an installation was cut off, or one of these names is going on."""
    if not pending():
        return False
    journal = read()
    if journal is None or not _is_running():
        return True
    return bool({*map(project_name, journal.requirements)} & {*names})


def _is_running() -> bool:
    """Return whether the journal that is there is of an installation that has not ended."""
    try:
        handle = os.open(str(_place("lock")), os.O_RDWR)
    except OSError:
        return False
    try:
        return not lock(handle)
    finally:
        os.close(handle)


def read() -> Optional[Journal]:
    """Return the journal that is there; None where there is none or it says nothing."""
    values = _read("journal")
    with suppress(TypeError, KeyError):
        lists = {name: tuple(values[name]) for name in ("requirements", "options")}
        return Journal(**{**values, **lists})
    return None


def write(journal: Journal) -> None:
    """Put a journal on disk; `InstallFailed` where it cannot be written."""
    try:
        _write("journal", asdict(journal))
    except OSError as error:
        raise _unwritable("The journal of the installation cannot be written", error) from None


def note(names: Iterable[str]) -> None:
    """Write down what an installer is about to change, before it does; in any spelling."""
    with suppress(OSError), _place("plan").open("a", encoding="utf-8") as stream:
        stream.writelines(f"{name}\n" for name in names)


def planned() -> Set[str]:
    """Return the canonical names of all that was noted since there was no journal."""
    try:
        return {*map(project_name, _place("plan").read_text(encoding="utf-8").split())}
    except OSError:
        return set()


def drop() -> None:
    """Delete the journal: the installation has ended, and what is installed is complete."""
    for kind in ("plan", "journal"):
        with suppress(FileNotFoundError):
            _place(kind).unlink()


def last() -> Optional[History]:
    """Return the last installation that was finished."""
    values = _read("history")
    with suppress(TypeError):
        return History(**values) if values else None
    return None


def save_history(history: History) -> None:
    """Save what a finished installation changed; that it can be undone is not worth an error."""
    with suppress(OSError):
        _write("history", asdict(history))


def forget_last() -> None:
    """Delete the history: there is nothing to undo from now on."""
    with suppress(OSError):
        _place("history").unlink()


def load_notebooks() -> Dict[str, Tuple[str, ...]]:
    """Return the notebooks that pin into this environment: the path of each → its lines."""
    return {
        path: tuple(filter(lambda line: isinstance(line, str), lines))
        for path, lines in _read("notebooks").items()
        if isinstance(lines, list)
    }


def save_notebook(path: str, lines: Sequence[str]) -> None:
    """Save the lines of one notebook, and those of the last ones before it."""
    notebooks = load_notebooks()
    if notebooks.pop(path, None) != tuple(lines):
        with suppress(OSError):
            _write("notebooks", {**dict([*notebooks.items()][-99:]), path: list(lines)})


def load_resolved() -> Dict[str, str]:
    """Return which version a requirement with its options, and their day, has come to here."""
    return {key: str(version) for key, version in _read("resolved").items()}


def save_resolved(versions: Mapping[str, str]) -> None:
    """Add such versions to the last ones; that they are known is not worth an error."""
    known = load_resolved()
    if any(known.get(key) != version for key, version in versions.items()):
        known = {key: version for key, version in known.items() if key not in versions}
        with suppress(OSError):
            _write("resolved", {**dict([*known.items()][-999:]), **versions})


@contextmanager
def locked(progress: Progress) -> Iterator[Tuple[int, ...]]:
    """Be the only installation into this environment; yield what the installer is to inherit.

    Waits for another one, saying so; `InstallFailed` after `PATIENCE` seconds.
    """

    def waiting(seconds: float) -> None:
        if seconds > PATIENCE:
            raise InstallFailed(
                "Another kernel is still installing into this environment.",
                "Wait for it to end, or interrupt it; then run this again.",
                code="locked",
            )
        progress("waiting for another kernel that installs into this environment")

    with ExitStack() as stack:
        try:
            handle = stack.enter_context(alone(_place("lock"), waiting))
        except OSError as error:
            raise _unwritable("The environment cannot be locked", error) from None
        yield (handle,)


def _unwritable(state: str, error: OSError) -> InstallFailed:
    return InstallFailed(
        f"{state} ({error.strerror}); nothing was installed.",
        "Free some space on the disk, or make the environment writable.",
        code="not-writable",
    )


def _read(kind: str) -> Dict[str, Any]:
    try:
        values = json.loads(_place(kind).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _write(kind: str, values: Dict[str, Any]) -> None:
    """Write a file atomically; it is on the disk before anything is changed.

    `core.files.save` does not wait for the disk, and is for one process at a time: the history is
    also written by kernels that hold no lock, each by a name of its own.
    """
    path = _place(kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8") as stream:
            json.dump(values, stream)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise

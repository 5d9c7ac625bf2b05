"""The uncompressed bytes of an archive, read by Python or by a program."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, Iterator, Sequence

from ..core.errors import SourceError
from ..core.process import start

#: The largest window of zstd, 2 GB, which large dumps use; without the option it refuses them.
_WINDOW = 31


def uncompressed(archive: Path, kind: str, label: str) -> ContextManager[Any]:
    """Open an archive of a kind for reading what was compressed; a ``tar`` as it is."""
    import bz2
    import gzip
    import lzma

    if kind == "zst":
        return _open_zstd(archive, label)
    openers: Dict[str, Callable[..., Any]] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    stream: ContextManager[Any] = openers.get(kind, open)(str(archive), "rb")
    return stream


def _open_zstd(archive: Path, label: str) -> ContextManager[Any]:
    try:
        zstd: Any = import_module("compression.zstd")  # Python 3.14
    except ImportError:
        program = find_program(["zstd"], label, "zstd", "zstd")
        return output([program, "-dcq", f"--long={_WINDOW}", "--", str(archive)])
    options = {zstd.DecompressionParameter.window_log_max: _WINDOW}
    stream: ContextManager[Any] = zstd.open(archive, options=options)
    return stream


def find_program(names: Sequence[str], label: str, title: str, package: str) -> str:
    """Return the path of the first of these programs that is installed, else `SourceError`."""
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        message = f"{label} needs {title}, which is not installed."
        raise SourceError(message, f"Install it: %apt {package}", code="program-missing")
    return path


def environment() -> Dict[str, str]:
    """Return the environment in which programs use UTF-8 for names, whatever this machine uses."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


@contextmanager
def output(command: Sequence[str]) -> Iterator[Any]:
    """Open what a program prints, to be read to its end; `EOFError` then if it failed."""
    process = start(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        start_new_session=True,  # Ctrl-C is ours, and nobody can be asked for a password
    )
    try:
        stream: Any = process.stdout
        yield stream
        if stream.read(1) or process.wait():
            raise EOFError(f"{command[0]} has failed")
    finally:
        process.kill()
        process.communicate()

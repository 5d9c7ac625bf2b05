"""The bytes of an archive as they were before they were compressed, by Python or a program."""

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

#: Windows that zstd uses only when it is told to: 2 GB, as in large dumps.
_WINDOW = 31


def uncompressed(archive: Path, kind: str, label: str) -> ContextManager[Any]:
    """The stream in an archive of a kind; of one that is not compressed, the archive itself."""
    import bz2
    import gzip
    import lzma

    if kind == "zst":
        return _zstd(archive, label)
    opened: Dict[str, Callable[..., Any]] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    made: ContextManager[Any] = opened.get(kind, open)(str(archive), "rb")
    return made


def _zstd(archive: Path, label: str) -> ContextManager[Any]:
    try:
        zstd: Any = import_module("compression.zstd")  # Python 3.14
    except ImportError:
        program = installed(["zstd"], label, "zstd", "zstd")
        return output([program, "-dcq", f"--long={_WINDOW}", "--", str(archive)])
    options = {zstd.DecompressionParameter.window_log_max: _WINDOW}
    made: ContextManager[Any] = zstd.open(archive, options=options)
    return made


def installed(names: Sequence[str], label: str, needed: str, package: str) -> str:
    """The path of a program under the first of its names that is there; `SourceError` if none."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise SourceError(
            f"{label} needs {needed}, which is not installed.", f"Install it: %apt {package}"
        )
    return found


def environment() -> Dict[str, str]:
    """What programs are told: names are UTF-8, whatever the machine is set to."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


@contextmanager
def output(command: Sequence[str]) -> Iterator[Any]:
    """What a program prints, to be read to its end; `EOFError` then where it has failed."""
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

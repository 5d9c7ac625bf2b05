"""``%drive push|pull --background``: the same line as a job, which needs no notebook."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.arguments import quote
from ..core.host import Host
from ..core.redact import redact
from ..extension.magic import Call
from ..extension.output import say
from .transfer.commands import split_paths
from .transfer.login import load
from .transfer.places import is_contents, is_on_drive

if TYPE_CHECKING:
    from ..extension.session import Session

#: The command ``colab-magics`` of this very package, whatever is in the current directory.
_COMMAND = (
    f"import sys; sys.path[0] = {str(Path(__file__).resolve().parents[2])!r};"
    " from colab_magics.__main__ import main; main()"
)
_FLAGS = ("pack", "unpack", "overwrite")


def start(session: Session, command: str, arguments: argparse.Namespace, call: Call) -> Any:
    """Start the job, and say how to follow it; its terminal has the line with the progress."""
    from ..jobs.launch import JobSpec
    from ..jobs.magic_start import start_job

    paths = [_resolve(session.host, text) for text in split_paths(arguments, command)]
    words = [sys.executable, "-c", _COMMAND, "drive", command, *paths]
    words += ["--jobs", str(arguments.jobs)]
    words += [f"--{name}" for name in _FLAGS if getattr(arguments, name, False)]
    formats = getattr(arguments, "formats", None)
    if formats is not None:
        words += ["--export-as", formats] if formats else ["--export"]
    shown = redact(f"%drive {' '.join(map(quote, call.words))}")
    spec = JobSpec(shown, words, {**os.environ})
    job, message = start_job(session, arguments.background, nullcontext(spec))
    if "quiet" not in call.flags:
        say(message)
    return job


def _resolve(host: Host, text: str) -> str:
    """Return a typed path as it means the same in another process.

    Without a login, ``drive:`` is what is mounted here, which may not be the default place.
    """
    if is_on_drive(text) and load() is not None:
        return text
    path = str(host.resolve(host.spell_typed(text)))
    return f"{path}/" if is_contents(text) and not path.endswith("/") else path

"""``colab-magics run|setup``: notebooks on disk, from a shell."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Callable, List, Optional, TextIO

from .core.signals import INTERRUPTED, count_signals, exit_at_once

if TYPE_CHECKING:
    import argparse


def main(arguments: Optional[List[str]] = None) -> int:
    """Run a command; 0 when it did what was asked, 1 with one line and a hint when not.

    130 with one line after a signal, at any moment: imports are made below for that reason.
    """
    exit_at_once()
    status = _run_command(arguments)
    if arguments is None:
        _exit(status)
    return status


def _exit(status: int) -> None:
    """End this process, without what Python does at its end: that takes long after a run, and a
    signal that comes meanwhile would be its status.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            status = status or 1
    os._exit(status)


def _run_command(arguments: Optional[List[str]]) -> int:
    import io

    from .core.errors import input_errors
    from .core.system_errors import explain_system_errors

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook may hold what it cannot show
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        with explain_system_errors():
            status: int = options.command(options)
        return status
    except KeyboardInterrupt:
        _print("interrupted", sys.stderr)
        return INTERRUPTED
    except input_errors() as error:
        for text in (f"error: {error}", getattr(error, "details", "")):
            if text:
                _print(text, sys.stderr)
        return 1
    finally:
        exit_at_once(b"")  # there is nothing more to print


def _print(text: object, stream: Optional[TextIO] = None) -> None:
    """Print a line, whether or not anybody still reads.

    It may come from a stranger's notebook: a terminal is to obey none of it.
    """
    from .core.display import printable

    stream = stream or sys.stdout
    try:
        print(printable(str(text).replace("\r\n", "\n")), file=stream, flush=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # what is still to be written is no error at the exit
        os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    import argparse
    from pathlib import Path

    from ._version import __version__

    parser = argparse.ArgumentParser(prog="colab-magics", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    run = commands.add_parser("run", help="run a notebook in a fresh kernel, keep its setup cell")
    run.add_argument("notebook", type=Path)
    run.add_argument("--output", type=Path, help="save here instead of in place")
    run.add_argument("--timeout", type=int, help="seconds for each cell (default: no limit)")
    run.add_argument("--kernel", default="", help="an installed kernel (default: this Python)")
    python_help = "such as 3.8: in an environment of its own"
    run.add_argument("--python", type=_version, help=python_help)
    run.set_defaults(command=_run)
    setup = commands.add_parser("setup", help="show, check, write or forget the setup cell")
    verbs = setup.add_subparsers(metavar="VERB", required=True)

    def add(name: str, verb: Callable[[argparse.Namespace], int], text: str) -> Any:
        command = verbs.add_parser(name, help=text)
        command.add_argument("notebook", type=Path)
        command.set_defaults(command=_setup, verb=verb)
        return command.add_argument

    add("show", _show, "print the setup cell")
    option = add("check", _check, "say of each line whether it holds here")
    option("--strict", action="store_true", help="exit 1 unless all hold")
    option = add("write", _write, "put lines into it (default: the notebook's own magics)")
    option("lines", nargs="*", metavar="LINE", help="such as '%%drive mount'")
    option = add("forget", _forget, "take lines out of the setup cell")
    option("step", nargs="*", metavar="STEP", help="such as numpy, or drive")
    option("--all", action="store_true", help="the whole setup cell")
    return parser


def _version(text: str) -> str:
    import argparse

    from .core.errors import input_errors
    from .pin.environments.interpreters import version_of

    try:
        return version_of(text)
    except input_errors() as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(options: argparse.Namespace) -> int:
    from .run.execution import Options
    from .run.runner import run

    settings = Options(options.timeout, options.kernel, options.python or "")
    result = run(options.notebook, options.output, settings, _print)
    path, failure = result.path, result.failure
    if result.interrupted:
        _print(f"interrupted; the outputs so far are in {path}", sys.stderr)
        return INTERRUPTED
    if failure is not None:
        _print(f"error: cell {failure.cell} failed: {failure.name}: {failure.message}", sys.stderr)
        _print(f"The outputs so far are in {path}.", sys.stderr)
    if result.setup is not None:
        state = "saved in" if result.changed else "unchanged in"
        _print(f"Setup cell {state} {path}; show it: colab-magics setup show {path}")
    if not result.written:
        _print(f"{path} was not changed")
    return 1 if failure else 0


def _setup(options: argparse.Namespace) -> int:
    with count_signals() as signals, signals.interruptible():  # what is half done is taken back
        status: int = options.verb(options)
        return status


def _show(options: argparse.Namespace) -> int:
    from .cli import show

    _print(show(options.notebook))
    return 0


def _check(options: argparse.Namespace) -> int:
    from .cli import check
    from .core.display import Report

    rows = check(options.notebook)
    _print(Report(("In this environment:",), rows))
    return 1 if options.strict and any(row[0] != "ok" for row in rows) else 0


def _write(options: argparse.Namespace) -> int:
    from .cli import write

    changes = write(options.notebook, options.lines).changes
    _print(f"{options.notebook}: {', '.join(changes) or 'all of it was there already'}")
    return 0


def _forget(options: argparse.Namespace) -> int:
    from .cli import forget
    from .core.errors import ColabMagicsError

    if bool(options.step) == options.all:
        raise ColabMagicsError("Which line?", "Name one (numpy, drive), or --all.")
    changes = forget(options.notebook, options.step).changes
    _print(f"{options.notebook}: forgotten: {', '.join(changes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The command ``colab-magics``: notebooks on disk, from a shell."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Callable, List, NoReturn, Optional, TextIO

from .core.signals import count_signals, exit_at_once

if TYPE_CHECKING:
    import argparse


def main(arguments: Optional[List[str]] = None) -> int:
    """Run a command and return an `ExitStatus`: 0 when it did what was asked.

    Otherwise it prints one line and a hint. 130 with one line after a signal, at any moment:
    imports are made below for that reason.
    A program that passes ``arguments`` has its signals handled as it wants.
    """
    if arguments is None:
        _run_process()
    return _run_command(arguments)


def _run_process() -> NoReturn:
    """Run the command of this process, and end it."""
    exit_at_once()
    # With nbformat comes jsonschema, which imports this where it is installed, to check addresses
    # that no notebook has: it takes more than a second to build its grammars.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    try:
        status = _run_command(None)
    finally:
        exit_at_once(b"")  # there is nothing more to print
    _exit(status)


def _exit(status: int) -> NoReturn:
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
    from .core.exit_status import status_of
    from .core.system_errors import explain_system_errors

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook may hold what it cannot show
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        with explain_system_errors():
            status: int = options.command(options)
        return status
    except KeyboardInterrupt as error:
        _print_error_object(options, error)
        _print("interrupted", sys.stderr)
        return status_of(error)
    except input_errors() as error:
        _print_error_object(options, error)
        return _print_error(error)


def _print_error_object(options: argparse.Namespace, error: BaseException) -> None:
    """Print an error as an object, where the command prints objects."""
    from .core.errors import describe_error

    if getattr(options, "json", False):
        _print_json({"schema": 1, "error": describe_error(error)})


def _print_error(error: Exception) -> int:
    """Print an error for people, and return the status of the command."""
    from .core.exit_status import status_of

    for text in (f"error: {error}", getattr(error, "details", "")):
        if text:
            _print(text, sys.stderr)
    return status_of(error)


def _print_json(value: Any) -> None:
    import json

    _print(json.dumps(value, indent=1, default=str))


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

    from ._version import __version__

    about = "Run a notebook on disk, and show or edit its setup cell."
    parser = argparse.ArgumentParser(prog="colab-magics", description=about)
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(command=lambda options: _help(parser))
    commands = parser.add_subparsers(metavar="COMMAND")
    _add_run(commands)
    _add_setup(commands)
    _add_verify(commands)
    _add_drive(commands)
    _add_machine(commands)
    about = "print what an agent is to know: for .agents/skills/colab-magics/SKILL.md"
    commands.add_parser("skill", help=about).set_defaults(command=_skill)
    return parser


def _add_run(commands: Any) -> None:
    from pathlib import Path

    run = commands.add_parser("run", help="run a notebook in a fresh kernel, keep its setup cell")
    run.add_argument("notebook", type=Path)
    run.add_argument("--output", type=Path, help="save here instead of in place")
    run.add_argument("--timeout", type=int, help="seconds for each cell (default: no limit)")
    run.add_argument("--kernel", default="", help="an installed kernel (default: this Python)")
    python_help = "such as 3.8: in an environment of its own"
    run.add_argument("--python", type=_version, help=python_help)
    run.add_argument("--resume", action="store_true", help="go on where its last checkpoint was")
    run.add_argument("--json", action="store_true", help="print a line of JSON for each cell")
    run.add_argument("-q", "--quiet", action="store_true", help="print errors alone")
    run.set_defaults(command=_run)


def _add_setup(commands: Any) -> None:
    from pathlib import Path

    from .export.formats import FORMATS

    setup = commands.add_parser("setup", help="show, check, compare or edit the setup cell")
    setup.set_defaults(command=lambda options: _help(setup))
    verbs = setup.add_subparsers(metavar="VERB")

    def add(name: str, verb: Callable[[argparse.Namespace], int], text: str, **options: Any) -> Any:
        command = verbs.add_parser(name, help=text)
        command.add_argument("notebook", type=Path, **options)
        command.set_defaults(command=_setup, verb=verb)
        return command.add_argument

    option = add("show", _show, "print the setup cell")
    option("--json", action="store_true", help="print one object")
    option = add("check", _check, "say of each line whether it holds here")
    option("--strict", action="store_true", help="print an error unless all hold")
    option("--json", action="store_true", help="print one object")
    option = add("plan", _plan, "show what it would do: installs, servers, secrets, places")
    option("--json", action="store_true", help="print one object")
    option = add("diff", _diff, "compare the set-ups of two notebooks")
    option("other", type=Path, help="the other notebook")
    option("--json", action="store_true", help="print one object")
    command = verbs.add_parser("lint", help="for commits: lines that hold together, no secrets")
    command.add_argument("notebooks", type=Path, nargs="+", metavar="NOTEBOOK")
    command.add_argument("--json", action="store_true", help="print one object")
    command.set_defaults(command=_setup, verb=_lint)
    option = add("export", _export, "show or write the set-up in the format of another tool")
    option("format", choices=FORMATS, metavar="FORMAT", help=", ".join(FORMATS))
    option("-o", "--output", type=Path, metavar="PATH", help="a file or a folder")
    option("--force", action="store_true", help="replace files that are there")
    option("--json", action="store_true", help="print one object")
    option = add("import", _import, "take over the set-up of a file or another notebook")
    option("source", type=Path, metavar="PATH", help="such as requirements.txt, pylock.toml")
    option("--dry-run", action="store_true", help="only show what becomes of each line")
    option = add("apply", _apply, "set up the workers of Dask or ipyparallel like a notebook")
    option("--on", required=True, metavar="ENGINE", help="dask://HOST:PORT, or ipyparallel")
    option("--restart-workers", action="store_true", help="those with an older version loaded")
    option("--json", action="store_true", help="print one object")
    option = add("doctor", _doctor, "show what a bug report needs", nargs="?")
    option("--json", action="store_true", help="print one object")
    option = add("write", _write, "put lines into it (default: the notebook's own magics)")
    option("lines", nargs="*", metavar="LINE", help="such as '%%drive mount'")
    option = add("adopt", _adopt, "turn hand-written setup into steps; nothing is executed")
    option("cells", nargs="*", type=int, metavar="CELL", help="numbers from 1 (default: setup)")
    option("--dry-run", action="store_true", help="only show what becomes of each line")
    option("--replace", action="store_true", help="make the old lines comments")
    option("--installed", action="store_true", help="with the versions that are installed here")
    option("--as-of", default="", metavar="DAY", help="with the versions of a day: 2020-07-11")
    option("--json", action="store_true", help="print the plan as JSON")
    option("--undo", action="store_true", help="put the notebook back as it was")
    option = add("revive", _revive, "propose how an old notebook runs again")
    option("--as-of", default="", metavar="DAY", help="when it was made: 2020-07-11")
    option("--apply", action="store_true", help="write the line into its setup cell")
    option("--json", action="store_true", help="print one object")
    option = add("forget", _forget, "take lines out of the setup cell")
    option("step", nargs="*", metavar="STEP", help="such as numpy, or drive")
    option("--all", action="store_true", help="the whole setup cell")


def _add_drive(commands: Any) -> None:
    import argparse

    about = "copy to and from a drive: push, pull, sync, rm, du, login"
    drive = commands.add_parser("drive", help=about, add_help=False)
    drive.add_argument("-h", "--help", action="store_true", dest="about")
    drive.add_argument("words", nargs=argparse.REMAINDER, metavar="...", help="as behind %%drive")
    drive.set_defaults(command=_drive)


def _add_verify(commands: Any) -> None:
    from pathlib import Path

    about = "run and check setup cells in fresh environments"
    verify = commands.add_parser("verify", help=about)
    verify.add_argument("notebooks", type=Path, nargs="+", metavar="NOTEBOOK")
    verify.add_argument("--run", action="store_true", help="then all cells, in another kernel")
    verify.add_argument("--timeout", type=int, help="seconds for each cell (default: no limit)")
    verify.add_argument("-j", "--jobs", type=int, default=1, help="so many notebooks at once")
    verify.add_argument("--junit", type=Path, metavar="FILE", help="write the result as JUnit XML")
    verify.add_argument("--badge", type=Path, metavar="FILE", help="write a badge for shields.io")
    verify.add_argument("--json", action="store_true", help="print one object")
    verify.set_defaults(command=_setup, verb=_verify)


def _add_machine(commands: Any) -> None:
    """Add what is said of this machine: the same as the magics of these names show."""
    for name, text in (
        ("session", "show this machine: time left, memory, disks"),
        ("jobs", "list the jobs that %%shell --background has started"),
        ("gpu", "show the GPUs of this machine"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--json", action="store_true", help="print one object")
        command.set_defaults(command=_machine, name=name)


def _help(parser: argparse.ArgumentParser) -> int:
    """Print the help for a command that names nothing to do."""
    from .core.exit_status import ExitStatus

    _print(parser.format_help().rstrip())
    return ExitStatus.USAGE


def _version(text: str) -> str:
    import argparse

    from .core.errors import input_errors
    from .pin.environments.interpreters import version_of

    try:
        return version_of(text)
    except input_errors() as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(options: argparse.Namespace) -> int:
    from .run.console import Console, JsonLines
    from .run.execution import Options
    from .run.runner import run

    settings = Options(options.timeout, options.kernel, options.python or "", resume=options.resume)
    if options.json:
        console: Console = JsonLines(_print, _talk(options.quiet))
    else:
        console = Console(_print, options.quiet)
    result = run(options.notebook, options.output, settings, console)
    path, failure = result.path, result.failure
    if isinstance(console, JsonLines):
        console.run_ends(failure.as_json() if failure else None)
        console.event("run", **result.as_json())
    if result.interrupted:
        _print(f"interrupted; the outputs so far are in {path}", sys.stderr)
        return result.status
    if failure is not None:
        _print(f"error: cell {failure.cell} failed: {failure.name}: {failure.message}", sys.stderr)
        _print(f"The outputs so far are in {path}.", sys.stderr)
    if result.setup is not None:
        state = "saved in" if result.changed else "unchanged in"
        console.line(f"Setup cell {state} {path}; show it: colab-magics setup show {path}")
    if not result.written:
        console.line(f"{path} was not changed")
    return result.status


def _talk(quiet: bool) -> Callable[[str], None]:
    return lambda text: None if quiet else _print(text, sys.stderr)


def _setup(options: argparse.Namespace) -> int:
    with count_signals() as signals, signals.interruptible():  # what is half done is taken back
        status: int = options.verb(options)
        return status


def _drive(options: argparse.Namespace) -> int:
    from .cli import transfer

    return transfer(["--help"] if options.about else options.words, _print)


def _show(options: argparse.Namespace) -> int:
    from .cli import as_json, show

    text = show(options.notebook)
    if options.json:
        _print_json(as_json(text))
    else:
        _print(text)
    return 0


def _verify(options: argparse.Namespace) -> int:
    import json

    from .core.files import explain_write_errors
    from .run import verification as face

    results = face.verify_all(
        options.notebooks, options.run, options.timeout, options.jobs, _talk(quiet=False)
    )
    if options.json:
        _print_json(face.as_json(results))
    else:
        _print(face.table(results).terminal())
    badge = json.dumps(face.make_badge(results), indent=1) + "\n"
    for path, data in ((options.junit, face.junit(results)), (options.badge, badge.encode())):
        if path is not None:
            with explain_write_errors(path):
                path.write_bytes(data)
    return face.status_of_all(results)


def _skill(options: argparse.Namespace) -> int:
    from pathlib import Path

    _print(Path(__file__).with_name("SKILL.md").read_text(encoding="utf-8").rstrip())
    return 0


def _machine(options: argparse.Namespace) -> int:
    from .cli import inspect_machine

    data, report = inspect_machine(options.name)
    if options.json:
        _print_json(data)
    else:
        _print(report.terminal())
    return 0


def _check(options: argparse.Namespace) -> int:
    from .cli import check
    from .core.exit_status import status_of

    checkup = check(options.notebook)
    if options.json:
        _print_json(checkup.as_json())
    else:
        _print("\n\n".join(filter(None, map(str, (checkup.table(), checkup.changes_table())))))
    error = checkup.error()
    if error is None:
        return 0
    return _print_error(error) if options.strict else status_of(error)


def _plan(options: argparse.Namespace) -> int:
    from .cli import plan

    result = plan(options.notebook)
    if options.json:
        _print_json(result.as_json())
    else:
        _print(result.report().terminal())
    return 0


def _diff(options: argparse.Namespace) -> int:
    from .cli import diff
    from .core.exit_status import ExitStatus

    result = diff(options.notebook, options.other)
    if options.json:
        _print_json(result.as_json())
    else:
        _print("\n\n".join(map(str, result.reports())))
    return ExitStatus.OK if result.same else ExitStatus.DIFFERS


def _lint(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from .core.exit_status import ExitStatus
    from .setup.magic_lint import lint

    problems = [problem for path in options.notebooks for problem in lint(path)]
    if options.json:
        _print_json({"schema": 1, "problems": [asdict(problem) for problem in problems]})
    for problem in () if options.json else problems:
        _print(f"{problem.notebook}: {problem.code}: {problem.message}")
    return ExitStatus.FAILED if problems else ExitStatus.OK


def _export(options: argparse.Namespace) -> int:
    from .cli import export

    text, report = export(options)
    if text:
        _print(text)
    if str(report):
        _print(report, sys.stderr)
    return 0


def _import(options: argparse.Namespace) -> int:
    from .cli import import_lines

    _print(import_lines(options.notebook, options.source, options.dry_run))
    return 0


def _apply(options: argparse.Namespace) -> int:
    from .cli import apply

    applied = apply(options.notebook, options.on, options.restart_workers)
    if options.json:
        _print_json(applied.as_json())
    else:
        _print("\n\n".join(filter(None, map(str, (applied.report(), applied.omission_report())))))
    error = applied.error()
    return 0 if error is None else _print_error(error)


def _doctor(options: argparse.Namespace) -> int:
    from .cli import doctor

    diagnosis = doctor(options.notebook)
    if options.json:
        _print_json(diagnosis.as_json())
    else:
        _print(diagnosis.report())
    return 0


def _write(options: argparse.Namespace) -> int:
    from .cli import write

    changes = write(options.notebook, options.lines).changes
    _print(f"{options.notebook}: {', '.join(changes) or 'all of it was there already'}")
    return 0


def _adopt(options: argparse.Namespace) -> int:
    from .setup.magic_adopt import run_command

    for text in run_command(options):
        _print(text)
    return 0


def _revive(options: argparse.Namespace) -> int:
    from .setup import magic_revive as face

    proposal = face.propose_for(options.notebook, options.as_of)
    record = face.apply(proposal, options.notebook) if options.apply else None
    if options.json:
        _print_json({**proposal.as_json(), "applied": record and record.state})
        return 0
    for line in face.print_lines(proposal, options.notebook, record):
        _print(line)
    return 0


def _forget(options: argparse.Namespace) -> int:
    from .cli import forget
    from .core.errors import usage_error

    if bool(options.step) == options.all:
        raise usage_error("Which line?", "Name one (numpy, drive), or --all.")
    changes = forget(options.notebook, options.step).changes
    _print(f"{options.notebook}: forgotten: {', '.join(changes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What is named as a notebook may be anything: it is read within bounds, and never shown."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from support.notebooks import notebook

from colab_magics.__main__ import main
from colab_magics.core import files
from colab_magics.core.exit_status import ExitStatus

CANARY = "canary-in-the-file"
#: How a check of lines ends that are read: none of them need be true here.
HOLDS_OR_NOT = (ExitStatus.OK, ExitStatus.DIFFERS, ExitStatus.UNKNOWN)
#: The commands that read a notebook without a kernel; the last one is refused before it has one.
COMMANDS = (
    ("setup", "show"),
    ("setup", "check"),
    ("setup", "write"),
    ("setup", "forget", "--all"),
    ("run",),
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty file may be about to be saved; here it never is."""
    monkeypatch.setattr(files, "PATIENCE", 0.05)


def _fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)  # a relative name, since these are short
    return path


def _loop(path: Path) -> Path:
    path.symlink_to(path.name)
    return path


def _link(path: Path) -> Path:
    path.symlink_to("/dev/zero")
    return path


def _sparse(path: Path) -> Path:
    with path.open("wb") as stream:
        stream.truncate(2 * 10**9)
    return path


def _text(path: Path) -> Path:
    path.write_text(CANARY * 100)
    return path


#: What is named, by what it is.
NAMED: Dict[str, Callable[[Path], Path]] = {
    "the environment": lambda path: Path("/proc/self/environ"),
    "memory": lambda path: Path("/proc/self/mem"),
    "kernel messages": lambda path: Path("/proc/kmsg"),
    "kernel core": lambda path: Path("/proc/kcore"),
    "zeros": lambda path: Path("/dev/zero"),
    "a terminal": lambda path: Path("/dev/tty"),
    "nothing": lambda path: Path(os.devnull),
    "a pipe": _fifo,
    "a folder": _folder,
    "a socket": _socket,
    "a loop of links": _loop,
    "a link to zeros": _link,
    "2 GB of zeros": _sparse,
    "a long name": lambda path: path.with_name("n" * 300),
    "below a file": lambda path: _text(path) / "x",
    "a text": _text,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", NAMED)
def test_what_is_no_notebook_is_refused_at_once(
    kind: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, held: Any
) -> None:
    """Each command ends with 1 and at most two lines, within seconds; nothing of it is shown."""
    monkeypatch.setenv("CANARY", CANARY)
    path = NAMED[kind](home / "work" / "x.ipynb")
    for command in COMMANDS:
        started = time.monotonic()
        status = main([*command, str(path)])
        shown = capsys.readouterr()
        assert status == 1 and not shown.out, command
        lines = shown.err.splitlines()
        assert lines[0].startswith("error: ") and len(lines) <= 2, shown.err
        assert CANARY not in shown.err and max(map(len, lines)) < 400
        assert time.monotonic() - started < 20
    held(len(COMMANDS), len(COMMANDS))


def book(**changes: Any) -> Dict[str, Any]:
    """A notebook of one cell, with other values for some keys."""
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [{**cell, "id": "a", "source": f"x = '{CANARY}'"}]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **changes}


def _cell(**changes: Any) -> str:
    made = book()
    made["cells"][0].update(changes)
    return json.dumps(made)


#: Texts that are no notebook of format 4, or are not JSON.
REFUSED: Dict[str, bytes] = {
    name: text if isinstance(text, bytes) else text.encode("utf-8")
    for name, text in {
        "language_info": json.dumps(book(metadata={"language_info": []})),
        "kernelspec": json.dumps(book(metadata={"kernelspec": "python3"})),
        "metadata": json.dumps(book(metadata=None)),
        "metadata that is a list": json.dumps(book(metadata=[CANARY])),
        "cells": json.dumps(book(cells={})),
        "cells that are a text": json.dumps(book(cells=CANARY)),
        "a cell that is none": json.dumps(book(cells=[None])),
        "a format of text": json.dumps(book(nbformat="4")),
        "a minor of text": json.dumps(book(nbformat_minor=CANARY)),
        "source": _cell(source=5),
        "no source": _cell(source=None),
        "source of numbers": _cell(source=[1, 2]),
        "metadata of a cell": _cell(metadata=None),
        "outputs": _cell(outputs={}),
        "a number": "5",
        "a text": json.dumps(CANARY),
        "a deep list": "[" * 100_000,
        "a deep notebook": '{"nbformat": 4, "cells": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "deep metadata": json.dumps(book()).replace(
            '"metadata": {}, "nbformat"',
            '"metadata": ' + '{"x":' * 90_000 + "1" + "}" * 90_000 + ', "nbformat"',
        ),
        "a long number": '{"nbformat": ' + "9" * 10_000 + "}",
        "half of a file": json.dumps(book())[:-20],
        "two notebooks": json.dumps(book()) * 2,
        "Latin-1": json.dumps(book(cells="caf\xe9"), ensure_ascii=False).encode("latin-1"),
        "UTF-16": json.dumps(book()).encode("utf-16"),
        "a mark in front": b"\xef\xbb\xbf" + json.dumps(book()).encode(),
    }.items()
}
#: Texts that JSON's grammar has no word on, or that Python and Jupyter read all the same.
READ: Dict[str, str] = {
    "not a number": json.dumps(book(metadata={"x": float("nan"), "y": float("inf")})),
    "keys twice": json.dumps(book()).replace("{", '{"cells": [], "metadata": 5, ', 1),
    "half characters": _cell(source="x = '\ud800'"),
    "controls": _cell(source="x = '\x00\x1b\u2028'"),
    "no metadata": json.dumps({k: v for k, v in book().items() if k != "metadata"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_malformed_notebook_is_refused_in_a_line(
    name: str, home: Path, capsys: Any, held: Any
) -> None:
    """Each command ends with 1 and two lines at most, that hold nothing of the file."""
    path = home / "work" / "x.ipynb"
    path.write_bytes(REFUSED[name])
    for command in COMMANDS:
        assert main([*command, str(path)]) == 1
        lines = capsys.readouterr().err.splitlines()
        assert lines[0].startswith("error: x.ipynb") and len(lines) <= 2
        assert CANARY not in "".join(lines)
    assert path.read_bytes() == REFUSED[name]
    held(len(COMMANDS), len(COMMANDS))


@pytest.mark.parametrize("name", READ)
def test_an_odd_notebook_is_read_and_written(name: str, home: Path, capsys: Any) -> None:
    """What Jupyter reads is read; a line that is put in and taken out again leaves its bytes."""
    path = home / "work" / "x.ipynb"
    path.write_text(READ[name], encoding="utf-8")
    assert main(["setup", "write", str(path), "%cd_persist data"]) == 0
    assert main(["setup", "show", str(path)]) == 0
    assert "%cd_persist data" in capsys.readouterr().out
    assert main(["setup", "forget", "--all", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == READ[name]


def test_a_program_that_calls_the_command_keeps_its_signals(home: Path, capsys: Any) -> None:
    """Ctrl-C is the program's own before and after: the handlers that end a process are not set."""
    path = home / "work" / "x.ipynb"
    notebook(path, "1")
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert main(["setup", "write", str(path), "%cd_persist data"]) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def _pins(count: int) -> List[str]:
    return [f"%pin package{n}==1.{n}" for n in range(count)]


def _long_line(count: int) -> List[str]:
    return ["x = '" + "a" * (count * 1000) + "'"]


def _long_pin(count: int) -> List[str]:
    return ["%pin " + "a" * (count * 50) + "==1"]


def _continued(count: int) -> List[str]:
    return ["%pin \\", *(f"  p{n}==1 \\" for n in range(count)), "  last==1"]


@pytest.mark.parametrize("lines", [_pins, _long_line, _long_pin, _continued])
def test_reading_is_linear(
    lines: Callable[[int], List[str]], home: Path, long: bool, capsys: Any
) -> None:
    """A setup cell of four times the lines is checked in less than eight times the time."""
    path = home / "work" / "x.ipynb"
    marker = ["# colab_magics:setup v1", "%reload_ext colab_magics"]
    least = 1000 if long else 100

    def taken(count: int) -> float:
        notebook(path, "\n".join([*marker, *lines(count)]))
        started = time.process_time()
        assert main(["setup", "check", str(path)]) in HOLDS_OR_NOT
        assert capsys.readouterr().out
        return time.process_time() - started

    taken(1)  # what is imported once
    small = min(taken(least), taken(least))
    assert taken(4 * least) < 8 * max(small, 0.05)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "line",
    [
        "%fetch http://127.0.0.1:1/x /dev/zero --sha256 {hash}",
        "%fetch http://127.0.0.1:1/x pipe --sha256 {hash}",
        "%fetch http://127.0.0.1:1/x /proc/kmsg --sha256 {hash}",
        "%pin -r /proc/kmsg",
        "%pin -r /dev/zero",
        "%pin -r pipe",
    ],
)
def test_a_setup_cell_names_what_has_no_end(home: Path, capsys: Any, line: str) -> None:
    """Looking at it ends: a device, a pipe or a file of the kernel is not read."""
    os.mkfifo(home / "pipe")
    lines = ["# colab_magics:setup v1", "%reload_ext colab_magics", line.format(hash="a" * 64)]
    path = notebook(home / "x.ipynb", "\n".join(lines))
    assert main(["setup", "check", str(path)]) in HOLDS_OR_NOT
    assert lines[2][:44] in capsys.readouterr().out

"""Several processes that write one notebook at once: nothing that any of them wrote is lost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, List

import pytest

import colab_magics
from colab_magics import cli
from colab_magics.core import files
from colab_magics.core.errors import NotebookError

Held = Callable[[int, int], None]

#: Does what a line of its input says, at the moment that it says.
_WORKER = """
import json, sys, time
from pathlib import Path
from colab_magics import cli
from colab_magics.core import files
from colab_magics.core.errors import ColabMagicsError
from colab_magics.notebook import servers
print("ready", flush=True)
for line in sys.stdin:
    verb, path, word, at = json.loads(line)
    path = Path(path)
    time.sleep(max(0, at - time.time()))
    try:
        if verb == "write":
            cli.write(path, [word])
        elif verb == "forget":
            cli.forget(path, [word])
        else:  # as a run does: what was read long ago is what it replaces
            data = files.read(path)
            book = json.loads(data)
            book["metadata"][word] = 1
            files.replace(path, json.dumps(book).encode(), expected=data)
        print("done", flush=True)
    except ColabMagicsError as error:
        print("refused", repr(str(error)), flush=True)
"""


class Workers:
    """Processes that act at the same moment."""

    def __init__(self, count: int, stack: ExitStack) -> None:
        self.all = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _WORKER],
                    cwd=str(Path(colab_magics.__file__).parent.parent),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(count)
        ]
        for one in self.all:
            stack.callback(one.kill)
        assert [one.stdout.readline() for one in self.all if one.stdout] == ["ready\n"] * count

    def at_once(self, path: Path, *acts: Any) -> List[str]:
        """What became of each act."""
        at = time.time() + 0.01
        for one, (verb, word) in zip(self.all, acts):
            assert one.stdin is not None
            one.stdin.write(json.dumps([verb, str(path), word, at]) + "\n")
            one.stdin.flush()
        return [one.stdout.readline().strip() for one in self.all if one.stdout]


def _fresh(path: Path) -> Path:
    cell = {"cell_type": "code", "source": "x = 1", "metadata": {}, "outputs": []}
    book = {"cells": [{**cell, "execution_count": None}], "metadata": {}}
    path.write_text(json.dumps({**book, "nbformat": 4, "nbformat_minor": 4}))
    return path


def _names(path: Path) -> List[str]:
    return re.findall(r"NAME_\d+_\d+", cli.show(path))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("count", [2, 4])
def test_each_line_that_was_written_is_there(
    tmp_path: Path, long: bool, held: Held, count: int
) -> None:
    """Two and four at a barrier: all succeed, no line of any is missing, nothing is left beside."""
    rounds, good = 485 if long else 25, 0
    with ExitStack() as stack:
        workers = Workers(count, stack)
        for number in range(rounds):
            path = _fresh(tmp_path / "x.ipynb")
            names = [f"NAME_{number}_{at}" for at in range(count)]
            said = workers.at_once(path, *[("write", f"%secret {name}") for name in names])
            good += said == ["done"] * count and set(names) <= set(_names(path))
    held(rounds, good)
    assert good == rounds and [one.name for one in tmp_path.iterdir()] == ["x.ipynb"]


@pytest.mark.timeout(1800)
def test_writers_of_each_kind(tmp_path: Path, long: bool, held: Held) -> None:
    """One writes, one forgets, one saves a run: what is said to be done is, the rest is refused."""
    rounds, good = 200 if long else 15, 0
    with ExitStack() as stack:
        workers = Workers(3, stack)
        for number in range(rounds):
            path = _fresh(tmp_path / "x.ipynb")
            cli.write(path, ["%secret OLD", "%secret GONE"])
            acts = [("write", f"%env_persist NEW=n{number}"), ("forget", "secret"), ("save", "run")]
            said = workers.at_once(path, *acts)
            book = json.loads(path.read_text())
            both = "".join(book["cells"][0]["source"])
            saved = (said[2] == "done") == ("run" in book["metadata"])
            good += (
                said[:2] == ["done", "done"]
                and saved
                and "Check the disk" not in said[2]
                and "GONE" not in both
                and len(book["cells"]) == 2
            )
    held(rounds, good)
    assert good == rounds


def test_what_others_write_is_merged_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor that knows no lock saves between our reading and our writing: both are there."""
    path = _fresh(tmp_path / "x.ipynb")
    plain, theirs = files.replace, []

    def replaced(*words: Any, **more: Any) -> bool:
        if not theirs:
            book = json.loads(path.read_text())
            book["cells"].append({**book["cells"][0], "source": "theirs"})
            theirs.append(path.write_text(json.dumps(book)))
        return plain(*words, **more)

    monkeypatch.setattr(files, "replace", replaced)
    assert cli.write(path, ["%secret NAME"]).changes == ("%secret NAME",)
    sources = ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]
    assert "%secret NAME" in sources[0] and sources[1:] == ["x = 1", "theirs"]


def test_one_that_does_not_end_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that was stopped is waited for, for some seconds; then an error of two lines."""
    path = _fresh(tmp_path / "x.ipynb")
    before = path.read_bytes()
    monkeypatch.setattr(files, "WAIT", 0.3)
    free, has = threading.Event(), threading.Event()

    def hold() -> None:
        with files.locked(path):
            has.set()
            free.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert has.wait(10)
    try:
        with pytest.raises(NotebookError) as caught:
            cli.write(path, ["%secret NAME"])
        assert caught.value.hint and path.read_bytes() == before
        with pytest.raises(NotebookError):
            files.replace(path, b"x", expected=before)
    finally:
        free.set()
        thread.join()
    assert cli.write(path, ["%secret NAME"]).changes

"""Runs of ``colab-magics run`` that something happens to."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List, NamedTuple, Optional

import psutil

from .notebooks import notebook, shown

#: Says when a signal is ours to handle: before that it ends Python itself, as it ends any program.
_COMMAND = """\
import sys
from colab_magics.core.signals import exit_at_once
exit_at_once()
print("begun", file=sys.stderr, flush=True)
from colab_magics.run import execution
{prelude}
from colab_magics.__main__ import main
main()
"""


class Ended(NamedTuple):
    """How a run ended: its status, what it said, and seconds since the last signal."""

    status: int
    out: str
    errors: str
    seconds: float


class Started:
    """A run of a notebook, in a folder and with a folder for temporary files of its own."""

    def __init__(self, path: Path, *words: str, prelude: str = "", **files: int) -> None:
        self.path = path
        self.temporary = path.parent.parent / "temporary"
        self.temporary.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND.format(prelude=prelude), "run", str(path), *words],
            env={**os.environ, "TMPDIR": str(self.temporary)},
            stdout=files.get("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_listening,
        )
        self._last = time.monotonic()
        self.lines: List[str] = []
        assert self.process.stderr is not None
        assert self.process.stderr.readline() == "begun\n"

    def until(self, text: str) -> None:
        """Wait for a line that has this in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return
        raise AssertionError(f"ended before {text!r}: {self.ended()}")

    def send(self, number: int) -> None:
        """Send a signal, if it is still there."""
        self._last = time.monotonic()
        self.process.send_signal(number)

    def ended(self, timeout: float = 60) -> Ended:
        """Wait for its end."""
        try:
            out, errors = self.process.communicate(timeout=timeout)
        finally:
            self.process.kill()
        seconds = time.monotonic() - self._last
        return Ended(self.process.returncode, "".join(self.lines) + (out or ""), errors, seconds)

    def left(self) -> List[str]:
        """What it has left: folders, files beside the notebook, processes."""
        folders = [str(path) for path in self.temporary.iterdir()]
        beside = [str(path) for path in self.path.parent.iterdir() if path != self.path]
        return folders + beside + self.kernels()

    def kernels(self) -> List[str]:
        """The processes that were started with a file in its folder for temporary ones."""
        mine = str(self.temporary)
        found = [one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"])]
        return [" ".join(words) for words in found if any(mine in word for word in words)]


def _listening() -> None:
    """As in a shell: who runs the tests may have set signals to be ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def counting(folder: Path, cells: int) -> Path:
    """A notebook of which each cell prints its number."""
    return notebook(folder / "nb.ipynb", *[f"print({at})" for at in range(cells)])


def interrupted(ended: Ended, path: Path) -> Optional[str]:
    """What is wrong with a run of `counting` that a signal came to; None: nothing."""
    texts = shown(path)
    kept = [text for text in texts if text]
    done = re.findall(r"^\[ *(\d+)/", ended.out, re.M)
    if ended.status == 0:  # it came when all was done
        good = ended.errors in ("", "interrupted\n") and len(kept) == len(texts)
    else:
        good = ended.status == 130 and ended.errors.count("\n") == 1
        good = good and ended.errors.startswith("interrupted")
    # What was said to be done is there; of the cell that was interrupted there may be an error.
    good = good and len(kept) >= len(done)
    good = good and [text.split()[:1] for text in kept[: len(done)]] == [
        [str(at)] for at in range(len(done))
    ]
    json.loads(path.read_text())
    return None if good else f"{ended}, kept {len(kept)}"

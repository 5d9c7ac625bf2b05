"""``colab-magics verify``: whether the setup cell of a notebook brings everything back.

For each notebook an environment that has nothing but this package and a kernel is made. In one
kernel of it the setup cell is run, is checked by ``%setup check --strict``, and is run again, which
must change nothing; with ``--run`` all cells are run in another. The environment is removed, and
the notebook is not written. What the cells themselves write beside it is theirs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from platform import system
from typing import Any, Callable, Dict, List, Literal, Optional, Sequence, Tuple

from ..core import files, folders
from ..core.display import Mark, Report, Tone, duration, printable
from ..core.errors import NotebookError, describe_error, input_errors
from ..core.exit_status import ExitStatus, status_of
from ..core.process import start
from ..notebook.document import Document
from ..pin.environments.interpreters import platform
from ..pin.environments.make import make_fresh
from ..record.cell import is_setup
from .console import JsonLines
from .execution import Cell, Options
from .runner import required_python, run

State = Literal["ok", "unknown", "failed", "skipped"]
STAGES = ("environment", "setup", "check", "again", "run")
_TONES: Dict[State, Tone] = {"ok": "good", "unknown": "caution", "failed": "bad"}
#: Seconds between two looks at the processes that verify other notebooks.
_TICK = 0.1
#: What no XML document can hold, even escaped.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MODULE = "from colab_magics.setup.magic_verify import"


@dataclass(frozen=True)
class Stage:
    """What one stage came to: seconds, and the code and the text of what is wrong."""

    name: str
    state: State
    seconds: float = 0.0
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class Verified:
    """What became of a notebook: all stages, in order, and an `ExitStatus`."""

    notebook: str
    python: str
    status: int
    stages: Tuple[Stage, ...]


class _Stages:
    """The stages of a notebook while it is verified."""

    def __init__(self) -> None:
        self.done: Dict[str, Stage] = {}
        self.status = ExitStatus.OK

    def add(self, stage: Stage, status: ExitStatus) -> None:
        """Add a stage; the first status that is not OK is that of the notebook."""
        self.done[stage.name] = stage
        if stage.state != "ok" and self.status in (ExitStatus.OK, ExitStatus.UNKNOWN):
            self.status = status

    def all(self) -> Tuple[Stage, ...]:
        """Return each stage; one that was not reached is ``skipped``."""
        return tuple(self.done.get(name, Stage(name, "skipped")) for name in STAGES)


def verify(path: Path, run_all: bool = False, timeout: Optional[int] = None) -> Verified:
    """Verify a notebook; what is wrong with it is a stage that failed, not an error."""
    stages, python = _Stages(), platform()
    folder = folders.scratch_folder("colab-magics-verify-")
    began, name = time.monotonic(), "environment"
    try:
        text = Document.parse(files.read(path), path.name).setup_text(is_setup)
        if text is None:
            hint = f"Make one: colab-magics run {path.name}"
            raise NotebookError(f"{path.name} has no setup cell.", hint, code="no-setup-cell")
        python = required_python(text) or python
        interpreter = make_fresh(folder / "environment", required_python(text))
        stages.add(Stage(name, "ok", time.monotonic() - began), ExitStatus.OK)
        options = Options(timeout, interpreter=str(interpreter), is_fixed=True)
        name, began = "setup", time.monotonic()
        _run_setup(path, folder / "setup.ipynb", text, options, stages)
        name, began = "run", time.monotonic()
        if run_all and stages.status in (ExitStatus.OK, ExitStatus.UNKNOWN):
            _run_all(path, folder / "run.ipynb", options, stages)
    except input_errors() as error:
        about, details = describe_error(error), getattr(error, "details", "")
        message = printable("\n".join(filter(None, (about["message"], details))))
        seconds = time.monotonic() - began
        stages.add(Stage(name, "failed", seconds, about["code"], message), status_of(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Verified(str(path), python, int(stages.status), stages.all())


def _run_setup(path: Path, output: Path, text: str, options: Options, stages: _Stages) -> None:
    """Run the setup cell, check it, and run it again, in one kernel."""
    cells = (
        Cell(text),
        Cell("%setup check --strict", may_fail=True),
        Cell(f"{_MODULE} watch; watch()"),
        Cell(text),
        Cell(f"{_MODULE} require_unchanged; require_unchanged()"),
    )
    lines: List[str] = []
    console = JsonLines(lines.append, lambda text: None)
    result = run(path, output, replace(options, cells=cells), console)
    console.run_ends(result.failure.as_json() if result.failure else None)
    if result.interrupted:
        raise KeyboardInterrupt
    events = {event["cell"]: event for event in map(json.loads, lines)}  # the last after a restart
    for name, numbers in (("setup", (1,)), ("check", (2,)), ("again", (3, 4, 5))):
        _add_events(name, [events[n] for n in numbers if n in events], result.status, stages)


def _add_events(
    name: str, events: Sequence[Dict[str, Any]], status: ExitStatus, stages: _Stages
) -> None:
    """Add the stage of these cells, if one of them has run."""
    if not events:
        return
    error = next((event["error"] for event in events if event["error"]), None)
    seconds = sum(event["seconds"] for event in events)
    if error is None:
        stages.add(Stage(name, "ok", seconds), ExitStatus.OK)
        return
    is_unknown = error["code"] == "setup-unknown"
    if name == "check":  # the run has gone on, and has another status
        status = ExitStatus.UNKNOWN if is_unknown else ExitStatus.DIFFERS
    message = printable(error["message"].split("\n")[0])
    state: State = "unknown" if is_unknown else "failed"
    stages.add(Stage(name, state, seconds, error["code"] or error["name"], message), status)


def _run_all(path: Path, output: Path, options: Options, stages: _Stages) -> None:
    """Run all cells in a kernel of their own."""
    began = time.monotonic()
    result = run(path, output, options, JsonLines(lambda line: None, lambda text: None))
    if result.interrupted:
        raise KeyboardInterrupt
    failure, seconds = result.failure, time.monotonic() - began
    if failure is None:
        stages.add(Stage("run", "ok", seconds), ExitStatus.OK)
        return
    text = f"cell {failure.cell}: {failure.name}: {(failure.message.splitlines() or [''])[0]}"
    code = failure.code or failure.name
    stages.add(Stage("run", "failed", seconds, code, printable(text)), result.status)


# ---------------------------------------------------------------------- several notebooks
def verify_all(
    paths: Sequence[Path],
    run_all: bool,
    timeout: Optional[int],
    jobs: int,
    progress: Callable[[str], None],
) -> List[Verified]:
    """Verify notebooks, at most ``jobs`` at once, each by a process; return them in their order."""
    if len(paths) == 1:
        return [verify(paths[0], run_all, timeout)]
    waiting = list(enumerate(paths))
    running: Dict[int, subprocess.Popen[Any]] = {}
    done: Dict[int, Verified] = {}
    folder = folders.scratch_folder("colab-magics-verify-")
    try:
        while waiting or running:
            while waiting and len(running) < max(jobs, 1):
                at, path = waiting.pop(0)
                running[at] = _start(path, run_all, timeout, folder / str(at))
            for at in [at for at, process in running.items() if process.poll() is not None]:
                done[at] = _read(folder / str(at), paths[at], running.pop(at).returncode)
                progress(f"{paths[at]}: {describe(done[at])}")
            time.sleep(_TICK)
    finally:
        for process in running.values():  # which end their kernels
            process.terminate()
        for process in running.values():
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return [done[at] for at in sorted(done)]


def _start(
    path: Path, run_all: bool, timeout: Optional[int], output: Path
) -> subprocess.Popen[Any]:
    words = ["--run"] * run_all + (["--timeout", str(timeout)] if timeout else [])
    command = [sys.executable, "-m", "colab_magics", "verify", "--json", *words]
    with output.open("wb") as stream:
        return start(
            [*command, str(path.absolute())],
            cwd=Path(__file__).resolve().parents[2],  # a folder elsewhere might have our name
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.DEVNULL,
        )


def _read(output: Path, path: Path, status: int) -> Verified:
    """Return what a process has printed; it may have been killed."""
    with suppress(ValueError, KeyError, TypeError):
        (value,) = json.loads(output.read_bytes())["notebooks"]
        stages = tuple(Stage(**stage) for stage in value["stages"])
        return Verified(str(path), value["python"], value["status"], stages)
    stage = Stage("environment", "failed", 0.0, "ended", f"its process ended with {status}")
    return Verified(str(path), platform(), int(ExitStatus.FAILED), (stage,))


# ---------------------------------------------------------------------- what is shown
def status_of_all(results: Sequence[Verified]) -> ExitStatus:
    """Return the status of the command: that of those that failed, or 1 where they differ."""
    statuses = {result.status for result in results} - {ExitStatus.OK}
    if len(statuses) > 1:
        statuses.discard(ExitStatus.UNKNOWN)
    return ExitStatus(statuses.pop() if len(statuses) == 1 else min(len(statuses), 1))


def make_badge(results: Sequence[Verified]) -> Dict[str, Any]:
    """Return when and where the set-up came back, as shields.io's endpoint badge takes it.

    Source: shields.io, "Endpoint Badge".
    """
    status = status_of_all(results)
    place = "GitHub Actions" if os.environ.get("GITHUB_ACTIONS") == "true" else system()
    pythons = "/".join(sorted({result.python for result in results}))
    state = {ExitStatus.OK: "came back", ExitStatus.UNKNOWN: "not all known"}
    message = (
        f"{state.get(status, 'failed')} {time.strftime('%Y-%m-%d')}, {place}, Python {pythons}"
    )
    colour = {ExitStatus.OK: "brightgreen", ExitStatus.UNKNOWN: "yellow"}.get(status, "red")
    return {"schemaVersion": 1, "label": "setup", "message": message, "color": colour}


def describe(result: Verified) -> str:
    """Return what became of a notebook in few words."""
    bad = [stage for stage in result.stages if stage.state in ("failed", "unknown")]
    return "; ".join(f"{x.name} {x.state}: {x.message}" for x in bad) or "ok"


def as_json(results: Sequence[Verified]) -> Dict[str, Any]:
    """Return an object: ``schema`` 1, ``status``, and ``notebooks`` with their stages."""
    notebooks = [asdict(result) for result in results]
    return {"schema": 1, "status": int(status_of_all(results)), "notebooks": notebooks}


def table(results: Sequence[Verified]) -> Report:
    """Return a row for each notebook, and one for each thing that is wrong."""
    rows = [(result.notebook, *map(_mark, result.stages)) for result in results]
    wrong = tuple(f"{x.notebook}: {describe(x)}" for x in results if x.status)
    return Report((), tuple(rows), wrong, ("notebook", *STAGES))


def _mark(stage: Stage) -> Mark:
    took = f" {duration(stage.seconds)}" if stage.seconds else ""
    return Mark.of(f"{stage.state}{took}", _TONES.get(stage.state, "quiet"))


def junit(results: Sequence[Verified]) -> bytes:
    """Return JUnit's XML: a suite for each notebook, a case for each stage.

    Source: the schema of the Jenkins xUnit plugin, which other servers read too.
    """
    from xml.etree import ElementTree

    root = ElementTree.Element("testsuites", name="colab-magics verify")
    for result in results:
        states = [stage.state for stage in result.stages]
        name = _xml(result.notebook)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=name,
            tests=str(len(states)),
            failures=str(states.count("failed")),
            skipped=str(states.count("skipped")),
            time=f"{sum(stage.seconds for stage in result.stages):.3f}",
        )
        for stage in result.stages:
            suite.append(_case(ElementTree, name, stage))
    return bytes(ElementTree.tostring(root, encoding="utf-8"))


def _case(tree: Any, notebook: str, stage: Stage) -> Any:
    case = tree.Element(
        "testcase", classname=notebook, name=stage.name, time=f"{stage.seconds:.3f}"
    )
    if stage.state == "failed":
        tree.SubElement(case, "failure", type=_xml(stage.code), message=_xml(stage.message))
    elif stage.state == "skipped":
        tree.SubElement(case, "skipped")
    elif stage.state == "unknown":
        tree.SubElement(case, "system-out").text = _xml(stage.message)
    return case


def _xml(text: str) -> str:
    """Return a text without what XML cannot hold."""
    return _NOT_XML.sub("?", printable(text))

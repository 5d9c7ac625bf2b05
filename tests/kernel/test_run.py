"""``colab-magics run``, as people use it: a command, a notebook, a fresh kernel."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest
from doubles.small_disk import mounted
from support.machine import Machine
from support.notebooks import MARKER, notebook, setup_text, shown, source, state, whole

LOAD = "%load_ext colab_magics"
PIN = LOAD + "\n%pin tinypkg==1.0"
VERSION = "import tinypkg\nprint('version', tinypkg.__version__)"


def results(text: str) -> List[str]:
    """How each cell went, as the lines say."""
    return [line.split("]")[1].split()[0] for line in text.splitlines() if line.startswith("[")]


def test_first_run_adds_the_setup_cell_the_third_changes_no_byte(
    machine: Machine, folder: Path
) -> None:
    """The setup cell comes on top, once; it is not rewritten, and a third run changes nothing."""
    path = notebook(folder / "nb.ipynb", PIN, VERSION)
    first = machine.cli("run", path)
    assert first.returncode == 0, first.stderr
    text = setup_text(path)
    assert text is not None and text.split("\n")[-1] == "%pin tinypkg==1.0"
    assert shown(path)[2] == "version 1.0\n"
    assert "Setup cell saved in" in first.stdout

    second = machine.cli("run", path)
    assert second.returncode == 0, second.stderr
    assert setup_text(path) == text
    assert "already installed" in shown(path)[0]
    assert "Setup cell unchanged in" in second.stdout

    before = state(folder)
    third = machine.cli("run", path)
    assert third.returncode == 0, third.stderr
    assert state(folder) == before
    assert f"{path} was not changed" in third.stdout


def test_what_a_stream_wrote_in_a_row_is_one_output(machine: Machine, folder: Path) -> None:
    """As front ends save it, however many messages it came in; what is between parts it."""
    cell = (
        "import sys\nfrom IPython.display import display\n"
        "for part in 'ab':\n    print(part, end='', flush=True)\n"
        "display(1)\nprint('c', flush=True)\nprint('d', file=sys.stderr, flush=True)"
    )
    path = notebook(folder / "nb.ipynb", cell)
    assert machine.cli("run", path).returncode == 0
    outputs = whole(path)["cells"][0]["outputs"]
    assert [output.get("name") for output in outputs] == ["stdout", None, "stdout", "stderr"]
    assert [output.get("text") for output in outputs] == [["ab"], None, ["c\n"], ["d\n"]]


def test_a_failing_cell_ends_the_run_and_loses_nothing(machine: Machine, folder: Path) -> None:
    """Exit 1 with the cell's number and error; outputs so far and succeeded steps are saved."""
    path = notebook(
        folder / "nb.ipynb",
        PIN,
        "",
        "print('so far')",
        "raise ValueError('boom')",
        "print('never')",
    )
    done = machine.cli("run", path)
    assert done.returncode == 1
    assert "cell 4 failed: ValueError: boom" in done.stderr
    assert "Traceback" not in done.stderr
    assert "%pin tinypkg==1.0" in (setup_text(path) or "")
    assert shown(path)[3:] == ["so far\n", "ValueError: boom", ""]
    # A line for each code cell that ran: its number, how it went, seconds, its first line.
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("[")]
    assert [(line[1], line[2], " ".join(line[5:])) for line in lines] == [
        ("1/5]", "ok", LOAD),
        ("3/5]", "ok", "print('so far')"),
        ("4/5]", "failed", "raise ValueError('boom')"),
    ]


def test_a_restart_that_is_asked_for_is_made_once(machine: Machine, folder: Path) -> None:
    """After RestartRequired the notebook runs from the top in a fresh kernel, and ends well."""
    machine.install("tinypkg==1.0")
    path = notebook(
        folder / "nb.ipynb",
        VERSION,
        LOAD + "\n%pin tinypkg==2.0",
        VERSION,
        "import os; os.getpid()",
    )
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("restarting the kernel and running from the top") == 1
    assert [result for result in results(done.stdout) if result != "ok"] == ["restart"]
    assert "%pin tinypkg==2.0" in (setup_text(path) or "")
    assert shown(path)[1] == shown(path)[3] == "version 2.0\n"


def test_a_notebook_that_always_asks_for_a_restart_ends(machine: Machine, folder: Path) -> None:
    """The same reason is followed once; the second time it is the error that ends the run."""
    path = notebook(folder / "nb.ipynb", PIN, VERSION, "%pin tinypkg==2.0")
    done = machine.cli("run", path)
    assert done.returncode == 5
    assert done.stdout.count("restarting the kernel and running from the top") == 1
    assert "cell 3 failed: RestartRequired: tinypkg 2.0 is installed" in done.stderr
    assert [result for result in results(done.stdout) if result != "ok"] == ["restart", "failed"]
    assert "RestartRequired" in shown(path)[3]


@pytest.mark.once
@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("%secret NO_SUCH_SECRET", 4),
        ("%gpu require --count 99", 3),
        ("%setup check --strict", 6),
        ("%setup chek", 1),  # the command itself was right
        ("class SetupDiffers(Exception): pass\nraise SetupDiffers", 1),
    ],
)
def test_the_status_is_that_of_the_error(
    line: str, status: int, machine: Machine, folder: Path
) -> None:
    """A script tells by it what to do: another machine, a person, or the notebook itself."""
    cell = f"{MARKER}\n{LOAD}\nx = 1" if "strict" in line else LOAD
    done = machine.cli("run", "-q", notebook(folder / "nb.ipynb", cell, line))
    assert done.returncode == status, done.stderr


@pytest.mark.once
def test_what_the_magics_said_is_printed_below_their_cell(machine: Machine, folder: Path) -> None:
    """A line for each message, and nothing of what the cells print; with ``-q`` no line at all."""
    path = notebook(folder / "nb.ipynb", LOAD + "\n%env_persist A=1\nprint('much')\n2", "1/0")
    done = machine.cli("run", path)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("[  1/2] ok ") and lines[1].strip() == "A=1 set"
    assert "much" not in done.stdout

    quiet = machine.cli("run", "-q", path)
    assert (quiet.returncode, quiet.stdout) == (1, "")
    assert "cell 3 failed: ZeroDivisionError" in quiet.stderr


@pytest.mark.once
@pytest.mark.skipif(os.name == "nt", reason="pexpect needs a terminal of Unix")
def test_on_a_terminal_the_running_cell_is_shown(machine: Machine, folder: Path) -> None:
    """Its place and its first line stand below the lines, cut to the width, and go when it ends."""
    import pexpect

    path = notebook(folder / "nb.ipynb", "x = 1", f"input_file = '{'x' * 100}'\nopen('go').read()")
    os.mkfifo(folder / "go")
    child = pexpect.spawn(
        str(machine.python),
        ["-m", "colab_magics", "run", str(path)],
        env=machine.variables,
        encoding="utf-8",
        dimensions=(24, 40),
        timeout=60,
    )
    child.expect(r"\r\[#{10} {10}\] 2/2  \d+ s  input_")
    (folder / "go").write_text("")
    child.expect(pexpect.EOF)
    drawn = [text for text in child.before.split("\r") if text.startswith("[##")]
    assert all(len(text) < 40 for text in drawn)
    assert re.search(r"\r +\r\[  2/2\] ok ", child.before)
    assert not child.before.rstrip().split("\n")[-1].startswith("[")


@pytest.mark.once
def test_output_leaves_the_source_alone(machine: Machine, folder: Path, long: bool) -> None:
    """With --output the run is saved there and the source keeps its bytes and its time."""
    path = notebook(folder / "nb.ipynb", PIN)
    before = state(folder)
    for text in (None, "", "older")[: 3 if long else 2]:
        output = folder / "out" / f"{text}.ipynb"
        output.parent.mkdir(exist_ok=True)
        if text is not None:
            output.write_text(text)
        done = machine.cli("run", path, "--output", output)
        assert done.returncode == 0, done.stderr
        assert "%pin tinypkg==1.0" in (setup_text(output) or "")
        assert state(folder)["nb.ipynb"] == before["nb.ipynb"]


@pytest.mark.once
@pytest.mark.parametrize("output", ["no-such-folder/out.ipynb", ".", "read-only.ipynb"])
def test_an_output_that_cannot_be_written_is_refused_first(
    output: str, machine: Machine, folder: Path
) -> None:
    """A hopeless --output is one line and a hint before the run, not a lost run after it."""
    path = notebook(folder / "nb.ipynb", "open('ran', 'w').close()")
    (folder / "read-only.ipynb").write_text("{}")
    (folder / "read-only.ipynb").chmod(0o444)
    _refused(machine, folder, path, "--output", folder / output)


@pytest.mark.once
def test_a_notebook_changed_during_the_run_is_not_overwritten(
    machine: Machine, folder: Path
) -> None:
    """Someone else's edit stays; the run is saved beside, over no other file; exit is 1."""
    (folder / "nb-run.ipynb").write_text("a person's own file")
    theirs = notebook(folder / "theirs" / "nb.ipynb", "their_edit = 1")
    path = notebook(
        folder / "nb.ipynb",
        PIN,
        f"import shutil; shutil.copy({str(theirs)!r}, 'nb.ipynb'); print('ours')",
    )
    done = machine.cli("run", path)
    assert done.returncode == 1
    assert "changed by something else meanwhile" in done.stderr
    assert path.read_bytes() == theirs.read_bytes()
    assert (folder / "nb-run.ipynb").read_text() == "a person's own file"
    beside = folder / "nb-run1.ipynb"
    assert beside.name in done.stderr
    assert "%pin tinypkg==1.0" in (setup_text(beside) or "")
    assert shown(beside)[2] == "ours\n"


@pytest.mark.once
def test_a_name_that_cannot_be_made_longer(machine: Machine, folder: Path) -> None:
    """The run of a notebook that was changed meanwhile is kept elsewhere, under a short name."""
    path = folder / f"{'n' * 246}.ipynb"
    cell = f"from pathlib import Path; Path({str(path)!r}).write_text('theirs'); print('ours')"
    notebook(path, cell)
    done = machine.cli("run", path)
    assert done.returncode == 1 and path.read_text() == "theirs"
    kept = Path(done.stderr.splitlines()[-1].replace("The run was saved as ", "")[:-1])
    assert shown(kept)[-1] == "ours\n"
    shutil.rmtree(kept.parent)


@pytest.mark.once
@pytest.mark.parametrize("output", [False, True])
def test_a_run_that_has_no_space_is_kept_elsewhere(
    machine: Machine, folder: Path, output: bool
) -> None:
    """What was computed is not lost: it is where there is space, which is said; exit is 1."""
    with mounted(folder, "size=500k"):
        path = notebook(folder / "nb.ipynb", PIN, "print('x' * 300_000)")
        other = ["--output", folder / "other.ipynb"] if output else []
        (folder / "data").write_bytes(b"x" * 300_000)
        before = path.read_bytes()
        done = machine.cli("run", path, *other)
        assert done.returncode == 1
        what, hint = done.stderr.splitlines()[-2:]
        name = "other" if output else "nb"
        assert what.startswith(f"error: {name}.ipynb could not be written: No space left on device")
        kept = Path(hint.replace("The run was saved as ", "")[:-1])
        assert kept.name == "run.ipynb" and kept.parent.parent != folder
        assert shown(kept)[2] == "x" * 300_000 + "\n"
        assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
        assert path.read_bytes() == before
        assert sorted(one.name for one in folder.glob("*.*")) == ["nb.ipynb"]
        shutil.rmtree(kept.parent)


def _read_only(path: Path) -> None:
    path.chmod(0o444)


def _not_json(path: Path) -> None:
    path.write_text("<<<<<<< HEAD\n{}")


def _old_format(path: Path) -> None:
    path.write_text(json.dumps({"nbformat": 3, "nbformat_minor": 0, "worksheets": []}))


def _two_setup_cells(path: Path) -> None:
    notebook(path, MARKER, MARKER, "open('ran', 'w').close()")


def _newer_setup_cell(path: Path) -> None:
    notebook(path, "# colab_magics:setup v2", "open('ran', 'w').close()")


def _missing(path: Path) -> None:
    path.unlink()


@pytest.mark.once
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_read_only, "read-only"),
        (_not_json, "not JSON"),
        (_old_format, "format 4"),
        (_two_setup_cells, "Cells 1 and 2 are both setup cells"),
        (_newer_setup_cell, "format v2"),
        (_missing, "There is no nb.ipynb"),
    ],
)
def test_a_file_that_cannot_be_kept_safe_is_refused(
    spoil: object, says: str, machine: Machine, folder: Path
) -> None:
    """One line and a hint, exit 1, nothing changed, nothing run."""
    assert callable(spoil)
    path = notebook(folder / "nb.ipynb", "open('ran', 'w').close()")
    spoil(path)
    assert says in _refused(machine, folder, path)


def _refused(machine: Machine, folder: Path, *words: object) -> str:
    """Run a command that must end with two lines and change nothing; give the first line."""
    before = state(folder)
    done = machine.cli("run", *words)
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2 and lines[0].startswith("error: ") and lines[1], done.stderr
    assert state(folder) == before
    return lines[0]


NBCLIENT = """\
import nbformat
from nbclient import NotebookClient
inner = nbformat.read("inner.ipynb", 4)
NotebookClient(inner).execute()
nbformat.write(inner, "nbclient-done.ipynb")"""

PAPERMILL = """\
import papermill
how = {"kernel_name": "python3", "progress_bar": False}
_ = papermill.execute_notebook("inner.ipynb", "papermill-done.ipynb", **how)"""


def test_an_executor_inside_a_run_records_nowhere(machine: Machine, folder: Path) -> None:
    """A notebook that the running one executes keeps its bytes, and its pins stay its own."""
    notebook(folder / "inner.ipynb", LOAD + "\n%pin tinyother==1.0")
    path = notebook(folder / "nb.ipynb", PIN, NBCLIENT, PAPERMILL, "%cd_persist .")
    before = state(folder)["inner.ipynb"]
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr
    assert state(folder)["inner.ipynb"] == before
    for name in ("nbclient-done.ipynb", "papermill-done.ipynb"):
        assert shown(folder / name)[-1]
        assert setup_text(folder / name) is None
    text = setup_text(path) or ""
    assert "tinypkg" in text and "%cd_persist ." in text
    assert "tinyother" not in text


def test_what_a_run_does_not_concern_stays(machine: Machine, folder: Path) -> None:
    """Format 4.4, file mode, unknown metadata, key order and other cells are as they were."""
    path = notebook(folder / "nb.ipynb", PIN, minor=4, zebra={"b": 1, "a": [None, "é"]})
    before = whole(path)
    before["cells"][0]["metadata"] = {"collapsed": True, "someone/else": {"x": 1}}
    note = {"cell_type": "markdown", "metadata": {"y": 2}, "source": "# A title"}
    before["cells"].insert(0, note)
    before["aliens"] = "kept"
    path.write_text(json.dumps(before, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path.chmod(0o604)
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr
    assert path.stat().st_mode & 0o777 == 0o604
    after = whole(path)
    setup = after["cells"].pop(0)
    assert MARKER in source(setup) and "id" not in setup
    assert after["cells"][1].pop("outputs")
    after["cells"][1].pop("execution_count")
    for key in ("outputs", "execution_count"):
        before["cells"][1].pop(key)
    assert list(after["metadata"].pop("colab_magics")) == ["lock", "made_on"]
    assert after == before
    assert list(after) == list(before)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket on loopback, by which a cell says that it runs; it closes when its kernel dies."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        server.settimeout(60)
        yield server


def _calling(server: socket.socket) -> str:
    """A cell that calls the test and then runs on without an end."""
    return (
        "import socket, threading\n"
        f"line = socket.create_connection({server.getsockname()!r})\n"
        "threading.Event().wait()"
    )


def _interrupted(machine: Machine, server: socket.socket, *words: object) -> Tuple[int, str]:
    """Ctrl-C a run when its kernel calls; its status and what it said, once the kernel is gone."""
    process = subprocess.Popen(
        [str(machine.python), "-m", "colab_magics", "run", *map(str, words)],
        env=machine.variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            line, _ = server.accept()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    _gone(line)
    assert list((machine.home / "tmp").glob("colab-magics-run-*")) == []
    return process.returncode, errors


def _gone(line: socket.socket) -> None:
    """Wait for the other end of a line to end."""
    with line:
        line.settimeout(60)
        assert line.recv(1) == b"", "the kernel is still there"


def test_an_interrupted_run_keeps_its_outputs_and_leaves_no_kernel(
    machine: Machine, folder: Path, listener: socket.socket
) -> None:
    """Ctrl-C is one line and exit 130; the outputs so far are saved, the kernel ends with it."""
    path = notebook(
        folder / "nb.ipynb", PIN, "print('so far')", _calling(listener), "print('never')"
    )
    status, errors = _interrupted(machine, listener, path)
    assert status == 130
    assert errors == f"interrupted; the outputs so far are in {path}\n"
    assert "%pin tinypkg==1.0" in (setup_text(path) or "")
    assert shown(path)[2:] == ["so far\n", "KeyboardInterrupt: ", ""]


@pytest.mark.once
def test_a_run_can_be_interrupted_while_its_kernel_starts(
    machine: Machine, folder: Path, listener: socket.socket
) -> None:
    """Ctrl-C before the first cell is one word, the file as it was, and no kernel."""
    call = (
        "import signal, socket; signal.signal(signal.SIGINT, signal.SIG_DFL); "
        f"socket.create_connection({listener.getsockname()!r}).recv(1)"
    )
    _kernelspec(machine, "slow", argv=[str(machine.python), "-c", call])
    path = notebook(folder / "nb.ipynb", PIN)
    before = state(folder)
    assert _interrupted(machine, listener, path, "--kernel", "slow") == (130, "interrupted\n")
    assert state(folder) == before


def test_a_cell_over_the_time_limit_ends_the_run(
    machine: Machine, folder: Path, listener: socket.socket
) -> None:
    """--timeout ends a cell that does not end, says so, and leaves no kernel."""
    path = notebook(folder / "nb.ipynb", "print('so far')", _calling(listener))
    done = machine.cli("run", path, "--timeout", 2)
    assert done.returncode == 1
    assert "cell 2 failed" in done.stderr and "not done in 2 s" in done.stderr
    assert shown(path)[0] == "so far\n"
    _gone(listener.accept()[0])


def test_a_kernel_that_dies_ends_the_run(machine: Machine, folder: Path) -> None:
    """A dead kernel is exit 1 with the cell that killed it, and the outputs so far."""
    path = notebook(folder / "nb.ipynb", "print('so far')", "import os; os._exit(1)")
    done = machine.cli("run", path)
    assert done.returncode == 1
    assert "cell 2 failed: KernelDied" in done.stderr
    assert "Traceback" not in done.stderr
    assert shown(path)[0] == "so far\n"


def test_what_a_kernel_prints_as_it_dies_is_shown(machine: Machine, folder: Path) -> None:
    """What its process wrote to standard error is shown where it died, and only there."""
    uncaptured = "getattr(sys.stderr, '_original_stdstream_copy', 2)"
    write = f"import os, sys; os.write({uncaptured}, b'out of luck')"
    path = notebook(folder / "nb.ipynb", f"{write}; os._exit(1)")
    died = machine.cli("run", path)
    assert died.returncode == 1 and "out of luck" in died.stderr
    assert "out of luck" not in machine.cli("run", notebook(path, write)).stderr


def test_a_cell_that_asks_fails_at_once(machine: Machine, folder: Path) -> None:
    """Nobody is there: input() raises, even where standard input is open and silent."""
    path = notebook(folder / "nb.ipynb", "input('name? ')")
    reading, writing = os.pipe()
    try:
        done = machine.run("-m", "colab_magics", "run", path, stdin=reading)
    finally:
        os.close(reading)
        os.close(writing)
    assert done.returncode == 4
    assert "cell 1 failed: StdinNotImplementedError" in done.stderr


def _kernelspec(machine: Machine, name: str, **changes: object) -> None:
    """Install a kernelspec: this machine's, with changes."""
    specs = Path(machine.variables["JUPYTER_PATH"]) / "kernels"
    spec = json.loads((specs / "python3" / "kernel.json").read_text())
    (specs / name).mkdir()
    (specs / name / "kernel.json").write_text(json.dumps({**spec, **changes}))


def test_another_kernel_runs_by_its_name(machine: Machine, folder: Path) -> None:
    """--kernel NAME runs in that kernelspec, and the setup cell is recorded all the same."""
    _kernelspec(machine, "other", env={"WHICH_KERNEL": "the other one"})
    path = notebook(folder / "nb.ipynb", PIN, "import os; print(os.environ['WHICH_KERNEL'])")
    done = machine.cli("run", path, "--kernel", "other")
    assert done.returncode == 0, done.stderr
    assert shown(path)[2] == "the other one\n"
    assert "%pin tinypkg==1.0" in (setup_text(path) or "")


@pytest.mark.once
@pytest.mark.parametrize("name", ["unknown", "broken", "absent"])
def test_a_kernel_that_cannot_start_is_refused(name: str, machine: Machine, folder: Path) -> None:
    """A kernel that is not there, dies at once or has no program: one line and a hint."""
    _kernelspec(machine, "broken", argv=[str(machine.python), "-c", "raise SystemExit(1)"])
    _kernelspec(machine, "absent", argv=[str(folder / "no-such-program")])
    path = notebook(folder / "nb.ipynb", "print('hello')")
    _refused(machine, folder, path, "--kernel", name)

"""A whole project on a machine that was wiped: one cell brings it back, whatever cuts it off."""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import subprocess
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from doubles import far, nvml
from doubles.archive import Archive
from doubles.files_server import Server as Files
from doubles.git_server import PASSWORD, Server
from doubles.index import make_wheel, serve
from support.cells import Child
from support.machine import Machine
from support.notebooks import notebook, setup_text

pytestmark = [
    pytest.mark.once,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(bool(far.missing()), reason=far.missing() or "-"),
    pytest.mark.skipif(
        shutil.which("dpkg-deb") is None or os.geteuid() != 0,
        reason="elsewhere: packages of the system are installed by root on Debian",
    ),
]

PINS = [f"demo-{name}" for name in ("one", "two", "three", "four", "five", "six")]

#: Where the system's packages are is no setting of anybody's: a machine of its own has them apart.
_STARTUP = """\
from pathlib import Path
from colab_magics.apt import apt_get, dpkg
dpkg.STATUS, apt_get.LISTS = Path({status!r}), Path({lists!r})
"""

#: What the project is, as far as it is on this machine.
_LOOK = """\
import os, importlib.metadata as metadata
print([metadata.version(name) for name in {pins!r}])
print(os.path.basename(os.getcwd()), open("README").read(), os.environ["GH_TOKEN"] != "")
print(sum(len(names) for _, _, names in os.walk(os.path.expanduser("~/data"))))
print(open(os.path.expanduser("~/drive/MyDrive/kept")).read())"""

_FOUND = f"{['1.0'] * 6}\nproject hello True\n40\nkept\n"


class World:
    """What is elsewhere, and outlives machines: servers, an index, a drive, an archive."""

    def __init__(self, folder: Path, index: str, size: int) -> None:
        self.folder, self.index = folder, index
        self.git, self.files = Server(folder / "git"), Files()
        self.repository = self.git.make("private-project", README="hello")
        self.archive = self.files.put("/data.zip", _zip(size))
        self.library = nvml.build(folder)
        (folder / "far").mkdir()
        (folder / "far" / "kept").write_text("kept")
        far.configure(folder / "rclone.conf", far=far.folder(folder / "far"))
        self.machines: List[Machine] = []

    def machine(self) -> Machine:
        """A machine on which nothing is yet."""
        folder = self.folder / f"machine{len(self.machines)}"
        (folder / "system").mkdir(parents=True)
        system = Archive(folder / "system")
        system.add("tool", script=f"sleep 0.1; echo x >> {folder}/setups")
        made = Machine.make(folder / "environment", folder / "home", self.index)
        gpu = nvml.environment(self.library, "busy")
        variables = {
            **made.variables,
            **{name: gpu[name] for name in ("LD_LIBRARY_PATH", "FAKE_NVML")},
            **system.variables,
            "PATH": os.pathsep.join([system.variables["PATH"], made.variables["PATH"]]),
            "RCLONE_CONFIG": str(self.folder / "rclone.conf"),
            "GH_TOKEN": PASSWORD,
        }
        startup = made.home / ".ipython" / "profile_default" / "startup" / "machine.py"
        startup.parent.mkdir(parents=True)
        startup.write_text(_STARTUP.format(status=str(system.status), lists=str(system.lists)))
        self.machines.append(replace(made, variables=variables))
        return self.machines[-1]

    def asked(self) -> int:
        """How often the servers were asked for anything."""
        return len(self.git.asked) + len(self.files.asked)

    def lines(self) -> List[str]:
        """What a person types once."""
        return [
            "%load_ext colab_magics",
            "%gpu require T4",
            "%secret GH_TOKEN",
            "%drive mount",
            "%apt tool",
            f"%github clone {self.repository} ~/project --token GH_TOKEN",
            f"%pin {' '.join(f'{name}==1.0' for name in PINS)}",
            f"%fetch {self.archive} ~/data/ --unpack",
            "%cd_persist ~/project",
        ]

    def end(self) -> None:
        """Leave nothing mounted and nothing served."""
        for machine in self.machines:
            far.end(machine.home)
        self.git.close()
        self.files.close()


def _zip(size: int) -> bytes:
    """An archive of about so many bytes."""
    stream, chance = io.BytesIO(), random.Random(8)
    with zipfile.ZipFile(stream, "w") as made:
        for n in range(40):
            block = bytes(chance.getrandbits(8) for _ in range(1000))
            made.writestr(f"{n}.bin", block * (size // 40_000))
    return stream.getvalue()


@pytest.fixture
def world(tmp_path: Path, long: bool) -> Iterator[World]:
    """Everything that a project needs from elsewhere; with ``--long`` 300 MB to fetch."""
    for name in PINS:
        make_wheel(tmp_path / "wheels", name, "1.0")
    with serve(tmp_path / "wheels") as index:
        made = World(tmp_path, index, 300_000_000 if long else 4_000_000)
        yield made
        made.end()


@pytest.fixture
def setup(world: World) -> str:
    """The setup cell that ``colab-magics run`` makes of what was typed."""
    path = notebook(world.folder / "typed" / "nb.ipynb", *world.lines())
    done = world.machine().cli("run", path)
    assert done.returncode == 0, done.stdout + done.stderr
    text = setup_text(path)
    assert len([line for line in text.splitlines() if line.startswith("%")]) >= 9
    return text


def tree(folder: Path) -> Dict[str, int]:
    """Each file below a folder, and when it was last changed."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and ".git/" not in str(path)
    }


def child(machine: Machine) -> Child:
    """A shell on a machine, in its home."""
    made = Child({**machine.variables, "PWD": str(machine.home)}, str(machine.python))
    made(f"import os; os.chdir({str(machine.home)!r})")
    made((machine.home / ".ipython/profile_default/startup/machine.py").read_text())
    return made


def test_the_setup_cell_brings_a_project_back(world: World, setup: str) -> None:
    """On a fresh machine all is there; a second run changes nothing, and asks nobody."""
    machine = world.machine()
    path = notebook(machine.home / "nb.ipynb", setup, _LOOK.format(pins=PINS))
    out = machine.home / "out.ipynb"
    machine.execute(path, out)
    assert _FOUND in _text(out)
    names = ("data", "project")
    before = [tree(machine.home / name) for name in names]
    asked, installed = world.asked(), machine.installed()
    machine.execute(path, out)
    assert _FOUND in _text(out)
    assert [tree(machine.home / name) for name in names] == before
    assert (world.asked(), machine.installed()) == (asked, installed)
    assert (machine.home.parent / "setups").read_text() == "x\n"


def test_the_token_is_found_nowhere(world: World, setup: str) -> None:
    """Not in the cell, an output, a file of the machine or the clone's configuration."""
    assert PASSWORD not in setup
    machine = world.machine()
    path = notebook(machine.home / "nb.ipynb", setup)
    machine.execute(path, machine.home / "out.ipynb")
    for file in machine.home.rglob("*"):
        if file.is_file() and not file.is_symlink() and file.stat().st_size < 10**7:
            assert PASSWORD.encode() not in file.read_bytes(), file
    bad = replace(machine, variables={**machine.variables, "GH_TOKEN": "canary-that-is-wrong"})
    shutil.rmtree(machine.home / "project")
    with child(bad) as shell:
        answer = shell.attempt(setup)
    assert answer.error == "SourceError"
    assert "canary-that-is-wrong" not in answer.message + answer.shown


def test_killed_at_any_moment(world: World, setup: str, long: bool) -> None:
    """SIGKILL to the kernel alone, or with all that it started: the next run completes it."""
    machine = world.machine()
    started = time.monotonic()
    with child(machine) as shell:
        shell(setup)
    taken, chance = time.monotonic() - started, random.Random(8)
    rounds, cut = 40 if long else 4, 0
    for n in range(rounds):
        machine = world.machine()
        shell = child(machine)
        shell.ask(setup)
        time.sleep(taken * (n + chance.random()) / rounds)  # the moment itself is what is tested
        _kill(shell.process.pid, deep=bool(n % 2))
        shell.process.wait()
        with child(machine) as shell:
            cut += shell.attempt(_LOOK.format(pins=PINS)).shown != _FOUND.rstrip("\n")
            shell(setup)
            assert shell(_LOOK.format(pins=PINS)) == _FOUND.rstrip("\n"), n
            before, asked = tree(machine.home / "data"), world.asked()
            shell(setup)
        assert (tree(machine.home / "data"), world.asked()) == (before, asked)
        left = [
            path
            for path in machine.home.rglob(".*")
            if path.suffix in (".colab-magics-part", ".cloning")
        ]
        assert left == [] and not list(machine.home.rglob(".colab-magics-*"))
        far.end(machine.home)
        shutil.rmtree(machine.home / "data")
    assert cut > rounds // 2, "most kills came before everything was there"


def _kill(pid: int, deep: bool) -> None:
    """End a process at once; with those that it started, but for the mount, where ``deep``."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in found.stdout.splitlines()]
    doomed, more = {pid}, deep
    while more:
        kin = {int(a) for a, b, c in rows if int(b) in doomed and not c.startswith("rclone")}
        more = not kin <= doomed
        doomed |= kin
    for one in doomed:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _text(path: Path) -> str:
    """All text of the outputs of a notebook that was run."""
    import nbformat

    cells: List[Any] = nbformat.read(path, 4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))

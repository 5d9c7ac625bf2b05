"""What an installation that was cut off or failed puts right again: its own, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import pytest
from doubles.index import make_wheel
from doubles.many import leftovers
from doubles.watched import Watched, watch
from support.machine import Machine

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere: kills groups of processes")

#: What a kernel does with ``%pin``, without a shell around it.
_PIN = """\
import sys
from pathlib import Path
from colab_magics.core.host import Host
from colab_magics.pin.step import PinStep
from colab_magics.core.steps import apply_step
outcome = apply_step(PinStep(tuple(sys.argv[1:])), Host(start=Path.cwd()), lambda text: None)
print(outcome.message)
print(outcome.hint)
"""

#: A build backend that makes nothing: the wheel is there.
_BACKEND = """\
import pathlib, shutil
def build_editable(folder, config_settings=None, metadata_directory=None):
    (wheel,) = pathlib.Path(__file__).parent.glob("*.whl")
    return pathlib.Path(shutil.copy(wheel, folder)).name
"""


_ANEW = re.compile(r"\.colab-magics|tiny\w+-[\d.]+\.dist-info|tiny\w+/__pycache__")


class Site(NamedTuple):
    """An environment with `tinybig`, `tinyold` and `tinygone` in version 1, and what fills it."""

    machine: Machine
    folder: Path
    wheels: Path
    server: Watched
    variables: Dict[str, str]

    def begin(self, *texts: str) -> subprocess.Popen[str]:
        """A process that pins; its errors are read with what it says."""
        return subprocess.Popen(
            [str(self.machine.python), "-c", _PIN, *texts],
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def pin(self, *texts: str) -> str:
        """What a pin says, first its message and then its hint."""
        process = self.begin(*texts)
        text = process.communicate(timeout=120)[0]
        assert process.returncode == 0, text
        return text

    def uv(self, verb: str, *words: str) -> None:
        """Use uv by hand."""
        uv = shutil.which("uv", path=self.variables["PATH"])
        subprocess.run(
            [str(uv), "pip", verb, "-q", "--python", str(self.machine.python), *words],
            env={**self.machine.variables, "UV_FIND_LINKS": str(self.wheels), "UV_NO_INDEX": "1"},
            check=True,
        )

    def pip(self, verb: str, *words: str) -> None:
        """Use pip by hand."""
        links = {"PIP_FIND_LINKS": str(self.wheels), "PIP_NO_INDEX": "1"}
        subprocess.run(
            [str(self.machine.python), "-m", "pip", verb, "-q", *words],
            env={**self.machine.variables, **links, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            check=True,
        )

    def versions(self, name: str) -> List[str]:
        """The versions of which a dist-info folder is there."""
        found = self.folder.glob(f"{name}-*.dist-info")
        return [path.name[len(f"{name}-") : -len(".dist-info")] for path in found]

    def contents(self) -> Dict[str, bytes]:
        """Every file of the environment and of the user's own, but what installers write anew."""
        roots = (self.folder.parents[2], self.machine.home / ".local")
        files = (path for root in roots for path in root.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files if not _ANEW.search(str(path))}


@pytest.fixture
def place(tmp_path: Path, installer: str) -> Iterator[Site]:
    """One of them, filled by the installer that the test is about."""
    wheels = tmp_path / "wheels"
    for version in ("1.0", "2.0"):
        for name in ("tinybig", "tinyold", "tinygone", "tinypkg"):
            count = 300 if name == "tinybig" else 1
            files = {f"{name}/m{i}.py": f"VERSION = {version!r}\n" * 99 for i in range(count)}
            make_wheel(wheels, name, version, {f"{name}/__init__.py": "", **files})
    for name in ("foreign", "byuv", "byuser", "byhand", "bymagic"):
        make_wheel(wheels, name, "1.0", {f"{name}.py": "", f"{name}.pth": f"# {name}\n"})
    machine = Machine.make(tmp_path / "environment", tmp_path / "machine", "")
    (folder,) = (tmp_path / "environment").rglob("site-packages")
    settings = tmp_path / "environment/pyvenv.cfg"  # in which there is a user's own site-packages
    settings.write_text(settings.read_text().replace("packages = false", "packages = true"))
    with watch(wheels) as index:
        variables = {**machine.variables, "PIP_INDEX_URL": index.url, "UV_HTTP_RETRIES": "0"}
        variables["UV_LINK_MODE"] = "copy"  # takes longer than links
        variables.update({"PIP_SRC": "src"} if installer == "pip" else {})  # uv has no such thing
        site = Site(machine, folder, wheels, index, variables)
        site.uv("install", "tinybig==1.0", "tinyold==1.0", "tinygone==1.0", "tinypkg==1.0")
        yield site


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL for a process and the installer that it has started."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
    )
    for pid in [process.pid, *map(int, found.stdout.split())]:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.killpg(pid, signal.SIGKILL)
    process.communicate()


def cut_resolving(site: Site) -> None:
    """A pin of another package is killed while the index is slow."""
    site.server.stalls = True
    process = site.begin("tinyold==2.0", "tinygone==2.0", "tinybig==2.0")
    assert site.server.stalled.wait(30)
    kill(process)
    site.server.stalls = False
    site.server.go_on.set()


def cut_writing(site: Site) -> None:
    """A pin of a package of many files is killed while it replaces them."""
    (info,) = site.folder.glob("tinybig-1.0.dist-info")
    process = site.begin("tinybig==2.0")
    until = time.monotonic() + 60
    while (info / "METADATA").exists() and time.monotonic() < until:
        pass
    kill(process)


def by_editable(site: Site) -> None:
    """``pip install -e .`` of a project."""
    project = site.wheels.parent / "project"
    make_wheel(project, "editable", "1.0", {"__editable__.pth": str(project)})
    (project / "backend.py").write_text(_BACKEND)
    text = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (project / "pyproject.toml").write_text(text)
    site.pip("install", "-e", str(project))


def by_magic(site: Site) -> None:
    """IPython's own magic."""
    settings = {"PIP_FIND_LINKS": str(site.wheels), "PIP_NO_INDEX": "1"}
    command = [str(site.machine.python), "-m", "IPython", "-c", "%pip install -q bymagic"]
    subprocess.run(command, env={**site.machine.variables, **settings}, check=True)


def by_files(*paths: str) -> Callable[[Site], None]:
    """Files that nobody lists, in site-packages or beside it."""

    def write(site: Site) -> None:
        for path in paths:
            (site.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (site.folder / path).write_text("Metadata-Version: 2.1\nName: x\nVersion: 1\n")

    return write


def by_conda(site: Site) -> None:
    """As conda leaves it: INSTALLER has another size than its RECORD says."""
    make_wheel(site.wheels, "fromconda", "1.0")
    site.uv("install", "fromconda")
    (info,) = site.folder.glob("fromconda-*")
    (info / "INSTALLER").write_text("conda\n")


def by_zip(site: Site) -> None:
    """A wheel unpacked by hand: its RECORD lists no INSTALLER."""
    with zipfile.ZipFile(next(site.wheels.glob("byhand-*"))) as archive:
        archive.extractall(site.folder)


def by_edit(site: Site) -> None:
    """A line written into a module of what was there before."""
    with (site.folder / "tinypkg/__init__.py").open("a") as stream:
        stream.write("print('looked at')\n")


Act = Callable[[Site], None]

#: What people do between a cut and the next pin; pip takes a second each time.
BY_PIP: Dict[str, Act] = {
    "pip install": lambda site: site.pip("install", "foreign"),
    "pip install --user": lambda site: site.pip("install", "--user", "byuser"),
    "pip install -e": by_editable,
    "%pip install": by_magic,
}
BY_HAND: Dict[str, Act] = {
    "uv pip install": lambda site: site.uv("install", "byuv"),
    "a newer version": lambda site: site.uv("install", "tinyold==2.0"),
    "uninstalled": lambda site: site.uv("uninstall", "tinygone"),
    "no RECORD": by_files("bare.py", "bare-1.dist-info/METADATA"),
    "Debian": by_files("deb.py", "deb-1.dist-info/METADATA", "deb-1.dist-info/INSTALLER"),
    "an egg": by_files("egg.py", "egg-1.egg-info/PKG-INFO"),
    "conda": by_conda,
    "a wheel unpacked": by_zip,
    "a plain module": by_files("own.py", "tinybig/own.py", "~own/kept.py"),
    "a .pth file": by_files("own.pth"),
    "data": by_files("../../../share/own/data.txt"),
    "a script": by_files("../../../bin/own"),
    "compiled": by_files("__pycache__/own.cpython-313.pyc"),
    "an edit": by_edit,
}

Held = Callable[[int, int], None]


def test_what_was_done_by_hand_after_a_cut_stays(
    place: Site, cut: Callable[[Site], None], held: Held, long: bool
) -> None:
    """The next pin makes whole what was cut, and leaves what anybody else did, and says so."""
    cut(place)
    before = place.contents()
    made: Dict[str, Dict[str, bytes]] = {}
    acts = {**BY_HAND, **(BY_PIP if long else {})}
    for name, act in acts.items():
        act(place)
        now = place.contents()
        made[name] = {path: data for path, data in now.items() if before.get(path) != data}
        before = now
    text = place.pin("tinypkg==1.0")
    after = place.contents()
    lost = [
        (name, path)
        for name, files in made.items()
        for path, data in files.items()
        if after.get(path) != data
    ]
    held(len(made), len(made) - len({name for name, _ in lost}))
    assert lost == []
    assert place.versions("tinyold") == ["2.0"] and place.versions("tinygone") == []
    (version,) = place.versions("tinybig")
    assert sum(1 for _ in place.folder.glob("tinybig/m*.py")) == 300
    expected = "" if cut is cut_resolving else "damaged and repaired: tinybig"
    assert text.splitlines()[1].endswith(expected)
    assert bool(text.splitlines()[1]) == bool(expected)
    assert version == ("1.0" if cut is cut_resolving else "2.0")
    assert leftovers(place.folder) == ["~own"]
    assert place.pin("tinypkg==1.0").splitlines()[0] == "tinypkg 1.0 is already installed"


def test_a_line_that_was_cut_is_finished_by_itself(place: Site) -> None:
    """The same line again installs all that it names, whoever changed what in between."""
    cut_writing(place)
    place.pip("install", "foreign")
    place.uv("install", "tinyold==2.0")
    place.pin("tinybig==2.0")
    assert [*place.versions("tinybig"), *place.versions("tinyold")] == ["2.0", "2.0"]
    assert sum(1 for _ in place.folder.glob("tinybig/m*.py")) == 300
    assert place.versions("foreign") == ["1.0"]


def in_the_way(site: Site) -> List[str]:
    """A folder where a file is to be: it is met half way."""
    (site.folder / "tinynew/m0.py/own").mkdir(parents=True)
    make_wheel(site.wheels, "tinynew", "1.0", {"tinynew/m0.py": "", "tinynew/m1.py": ""})
    return ["tinybig==2.0", "tinyold==2.0", "tinynew==1.0"]


def wrong_hash(site: Site) -> List[str]:
    """A file that is another than the line says."""
    wheel = make_wheel(site.wheels, "tinynew", "1.0").name
    url = site.server.url.replace("/simple/", f"/files/{wheel}")
    return ["tinybig==2.0", f"tinynew @ {url}#sha256={'0' * 64}"]


def wrong_build(site: Site) -> List[str]:
    """A project that cannot be built."""
    project = site.wheels.parent / "wrong"
    project.mkdir()
    text = '[build-system]\nrequires = []\nbuild-backend = "nothing"\nbackend-path = ["."]\n'
    (project / "pyproject.toml").write_text(f'{text}[project]\nname = "wrong"\nversion = "1"\n')
    return ["tinybig==2.0", f"wrong @ {project.as_uri()}"]


def interrupted(site: Site) -> List[str]:
    """Nothing is wrong; somebody presses Ctrl-C."""
    return ["tinybig==2.0", "tinyold==2.0"]


def test_a_failure_takes_back_its_own(place: Site, fails: Callable[[Site], List[str]]) -> None:
    """While one installs, somebody else does: where the one fails, the other's stays."""
    texts = fails(place)
    place.server.stalls = True
    before = place.contents()
    process = place.begin(*texts)
    while not place.server.stalled.wait(0.05) and process.poll() is None:
        pass
    place.pip("install", "foreign")
    by_files("own.py", "own/data.txt", "unfinished/__init__.py")(place)
    place.pip("uninstall", "-y", "tinygone")
    made = place.contents()
    assert made != before
    if fails is interrupted:
        os.kill(process.pid, signal.SIGINT)
    place.server.go_on.set()
    text = process.communicate(timeout=120)[0]
    assert process.returncode != 0, text
    assert place.contents() == made, text
    assert place.pin("tinypkg==1.0").splitlines() == ["tinypkg 1.0 is already installed", ""]


def test_undo_takes_back_its_own(place: Site) -> None:
    """What somebody else installed meanwhile is no part of what an installation changed."""
    place.server.stalls = True
    process = place.begin("tinyold==2.0")
    assert place.server.stalled.wait(30)
    place.pip("install", "foreign")
    place.server.go_on.set()
    text = process.communicate(timeout=120)[0]
    assert text.splitlines()[0] == "tinyold 2.0 installed (was 1.0)"
    history = next(place.folder.parents[2].glob(".colab-magics/*.history")).read_text()
    assert "tinyold" in history and "foreign" not in history


#: Each with the installer that it is tried with; with ``--long`` with both.
_USUAL = {"cut_resolving": "uv", "cut_writing": "pip", "in_the_way": "uv", "interrupted": "pip"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The installers; with a cut or a failure, where the test asks for one."""
    cuts: List[Act] = [cut_resolving, cut_writing]
    failures: List[Callable[[Site], List[str]]] = [in_the_way, wrong_hash, wrong_build, interrupted]
    long = metafunc.config.getoption("--long")
    cases: List[Tuple[str, Sequence[Callable[[Site], object]]]] = [
        ("cut", cuts),
        ("fails", failures),
    ]
    for name, acts in cases:
        if name in metafunc.fixturenames:
            pairs = [(kind, act) for act in acts for kind in ("uv", "pip")]
            usual = [(kind, act) for kind, act in pairs if long or _USUAL.get(act.__name__) == kind]
            metafunc.parametrize(("installer", name), usual)
            return
    metafunc.parametrize("installer", ["uv", "pip"] if long else ["uv"])

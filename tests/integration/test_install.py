"""``%pin`` with the real installers, in an environment of its own, from indexes on loopback."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import time
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from doubles.certificate import self_signed
from doubles.index import make_wheel
from doubles.many import Many, damage
from doubles.small_disk import mounted
from doubles.watched import Watched, watch
from support.cells import Child
from support.machine import Machine

#: Nothing but loopback can be reached: all else would go through a port where nobody listens.
ALONE = {
    name: value
    for key, value in (
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("HTTPS_PROXY", "http://127.0.0.1:9"),
        ("ALL_PROXY", "http://127.0.0.1:9"),
        ("NO_PROXY", "127.0.0.1,localhost"),
    )
    for name in (key, key.lower())
}
ALONE["UV_HTTP_RETRIES"] = "0"  # else seconds go by where an index cannot be reached

#: pip does the same under every version of Python.
INSTALLERS = ["uv", pytest.param("pip", marks=pytest.mark.once)]

Serve = Callable[..., Watched]


class Notebook:
    """A kernel's worth of shell in an environment that pins may change."""

    def __init__(self, machine: Machine, variables: Dict[str, str]) -> None:
        self.machine = machine
        self.variables = {**machine.variables, **ALONE, **variables}
        for name in [name for name, value in self.variables.items() if not value]:
            del self.variables[name]
        self._child: List[Child] = []

    @property
    def child(self) -> Child:
        """The running shell, started when it is first needed."""
        if not self._child:
            self._child.append(Child(self.variables, str(self.machine.python)))
        return self._child[0]

    def restart(self) -> None:
        """What a restart of the kernel is."""
        for child in self._child:
            child.__exit__(None, None, None)
        self._child.clear()

    @property
    def installed(self) -> Dict[str, str]:
        """``name-version`` → the installer that put it there."""
        (site,) = self.machine.python.parent.parent.rglob("site-packages")
        return {
            info.name[: -len(".dist-info")]: (info / "INSTALLER").read_text().strip()
            for info in sorted(site.glob("tiny*.dist-info"))
        }

    def fails(self, cell: str, code: str) -> List[str]:
        """The lines of the `InstallFailed` of a pin, which leaves all as it was."""
        before, steps = self.machine.installed(), self.child.attempt("").steps
        answer = self.child.attempt(cell)
        assert (answer.error, answer.code) == ("InstallFailed", code), answer
        assert "Traceback" not in answer.shown
        assert answer.steps == steps
        assert self.machine.installed() == before
        assert self.left_over() == []
        return answer.message.splitlines()

    def forces_pip(self) -> None:
        """Give pip a setting that uv has no equivalent of, so that pip does the work."""
        with_pip(self.machine)
        self.variables["PIP_SRC"] = "src"

    def left_over(self) -> List[str]:
        """What the installation left in the folder for temporary files."""
        return [path.name for path in Path(self.variables["TMPDIR"]).glob("colab-magics*")]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve a folder of wheels until the test ends."""
    with ExitStack() as stack:
        yield lambda folder, **how: stack.enter_context(watch(folder, **how))


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with tiny packages, most in two versions."""
    folder = tmp_path / "wheels"
    for name in ("tinypkg", "tinyother"):
        for version in ("1.0", "2.0"):
            make_wheel(folder, name, version)
    for version in ("1.0", "2.0"):
        make_wheel(folder, "tinyparent", version, requires=[f"tinypkg=={version}"])
    make_wheel(folder, "tinygreedy", "1.0", requires=["tornado==0.1"])
    make_wheel(folder, "tornado", "0.1")
    return folder


@pytest.fixture
def index(serve: Serve, wheels: Path) -> Watched:
    """The index of those."""
    return serve(wheels)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Notebook]]:
    """Make a notebook on a fresh environment, with these variables; an empty one is unset."""
    made: List[Notebook] = []

    def start(**variables: str) -> Notebook:
        machine = Machine.make(tmp_path / "environment", tmp_path / "machine", "")
        made.append(Notebook(machine, variables))
        return made[-1]

    yield start
    for one in made:
        one.restart()


@pytest.fixture
def notebook(make: Callable[..., Notebook], index: Watched) -> Notebook:
    """A notebook whose pip is set to the index."""
    return make(PIP_INDEX_URL=index.url)


def with_pip(machine: Machine) -> None:
    """See that the environment has pip: borrowed, or the one that Python brings with it."""
    if importlib.util.find_spec("pip"):
        return
    import ensurepip

    folder = Path(ensurepip.__file__).parent / "_bundled"
    found = sorted(folder.glob("pip-*.whl"))
    if not found:
        pytest.skip("no pip is installed here, and this Python brings none with it")
    uv = shutil.which("uv", path=machine.variables["PATH"])
    assert uv is not None
    command = [uv, "pip", "install", "-q", "--offline", "--no-index", "--python"]
    subprocess.run(
        [*command, str(machine.python), str(found[-1])], env=machine.variables, check=True
    )


# ---------------------------------------------------------------------- what is installed
def test_installs_and_remembers(notebook: Notebook) -> None:
    """What is not there is installed, in one line with its version, and remembered."""
    answer = notebook.child.attempt("%pin tinypkg==1.0")
    assert not answer.error
    assert answer.shown.splitlines()[0] == "tinypkg 1.0 installed"
    assert answer.steps == ["%pin tinypkg==1.0"]
    assert notebook.installed == {"tinypkg-1.0": "uv"}
    assert notebook.child("import tinypkg; print(tinypkg.__version__)") == "1.0"
    assert notebook.left_over() == []


@pytest.mark.once
def test_installs_only_what_differs(notebook: Notebook, index: Watched) -> None:
    """What holds is not touched, and nobody is asked for it; old and new version are shown."""
    notebook.child("%pin tinypkg==1.0 tinyother==1.0")
    before = notebook.machine.installed()
    index.asked.clear()
    shown = notebook.child("%pin tinypkg==1.0 tinyother==2.0")
    assert shown == "tinyother 2.0 installed (was 1.0)"
    after = notebook.machine.installed()
    assert after["tinypkg-1.0.dist-info"] == before["tinypkg-1.0.dist-info"]
    assert "tinyother-2.0.dist-info" in after
    assert [path for path in index.asked if path.startswith("/files/tinypkg")] == []
    index.asked.clear()
    assert notebook.child("%pin tinypkg==1.0 tinyother==2.0") == (
        "2 packages are already installed"
    )
    assert index.asked == []


@pytest.mark.once
def test_dependencies_are_counted(notebook: Notebook) -> None:
    """What comes with a package is counted in the same line, and not remembered."""
    answer = notebook.child.attempt("%pin tinyparent==1.0")
    assert answer.shown.splitlines()[0] == "tinyparent 1.0 and 1 more installed"
    assert answer.steps == ["%pin tinyparent==1.0"]
    assert sorted(notebook.installed) == ["tinyparent-1.0", "tinypkg-1.0"]


@pytest.mark.once
def test_a_bare_name_gets_the_newest(notebook: Notebook) -> None:
    """A name alone is installed in its newest version, and recorded with it."""
    assert notebook.child.attempt("%pin tinypkg").steps == ["%pin tinypkg==2.0"]


@pytest.mark.once
def test_a_file_is_installed(notebook: Notebook, wheels: Path) -> None:
    """``-r FILE`` installs what the file says, by the file's own options."""
    path = Path("r.txt")
    path.write_text(f"--no-index\n--find-links {wheels}\ntinypkg==1.0  # why\ntinyother\n")
    answer = notebook.child.attempt("%pin -r r.txt")
    assert not answer.error
    assert answer.steps == ["%pin -r r.txt"]
    assert sorted(notebook.installed) == ["tinyother-2.0", "tinypkg-1.0"]


#: Counts how often all metadata is read, and how often the folders of installers are listed.
_COUNT = """
from importlib import metadata
from colab_magics.pin import integrity
scans, listings = [], []
def counted(plain, calls, **named):
    calls.append(1) if not named else None
    return plain(**named)
from functools import partial
metadata.distributions = partial(counted, metadata.distributions, scans)
integrity.infos = partial(counted, integrity.infos, listings)
"""


@pytest.mark.once
def test_what_is_installed_is_read_few_times(notebook: Notebook) -> None:
    """Not at all for a pin that holds; before an installation and after it for one that does not.

    What is not there under its own name is first looked for under every other one.
    """
    child = notebook.child
    child(_COUNT)
    for cell, most in (
        ("%pin tinypkg==1.0", (3, 6)),
        ("%pin tinypkg==2.0", (2, 6)),
        ("%pin tinypkg==2.0", (0, 0)),
    ):
        child("scans.clear(); listings.clear()")
        child(cell)
        assert child("print((len(scans), len(listings)))") == str(most), cell


# ---------------------------------------------------------------------- settings of pip
@pytest.mark.once
def test_pip_conf_names_the_index(make: Callable[..., Notebook], index: Watched) -> None:
    """Behind a mirror that is only in ``pip.conf``, the first pin works, by uv."""
    notebook = make(PIP_INDEX_URL="", PIP_CONFIG_FILE="")
    conf = notebook.machine.home / ".config/pip/pip.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(f"[global]\nindex-url = {index.url}\n")
    notebook.child("%pin tinypkg==1.0")
    assert notebook.installed == {"tinypkg-1.0": "uv"}
    assert index.asked


@pytest.mark.once
def test_the_best_version_of_all_indexes(
    make: Callable[..., Notebook], serve: Serve, tmp_path: Path
) -> None:
    """With an extra index, the best version of both is taken, as pip takes it."""
    make_wheel(tmp_path / "one", "tinypkg", "1.0")
    make_wheel(tmp_path / "two", "tinypkg", "2.0")
    main, extra = serve(tmp_path / "one"), serve(tmp_path / "two")
    notebook = make(PIP_INDEX_URL=main.url, PIP_EXTRA_INDEX_URL=extra.url)
    notebook.child("%pin tinypkg")
    assert notebook.installed == {"tinypkg-2.0": "uv"}
    notebook.child("%pin tinypkg==1.0")
    assert notebook.installed == {"tinypkg-1.0": "uv"}


@pytest.mark.once
def test_an_extra_index_alone_is_enough(make: Callable[..., Notebook], index: Watched) -> None:
    """What only the extra index has is found, beside a main index that lacks it."""
    empty = index.url.replace("/simple/", "/empty/")
    notebook = make(PIP_INDEX_URL=empty, PIP_EXTRA_INDEX_URL=index.url)
    notebook.child("%pin tinypkg==1.0")
    assert notebook.installed == {"tinypkg-1.0": "uv"}


@pytest.mark.once
@pytest.mark.parametrize("more", [{}, {"PIP_NO_INDEX": "1", "PIP_INDEX_URL": ""}])
def test_find_links(
    make: Callable[..., Notebook], index: Watched, tmp_path: Path, more: Dict[str, str]
) -> None:
    """A folder of wheels is used, beside an index or with none; one that is missing is no error."""
    make_wheel(tmp_path / "more", "tinylocal", "1.0")
    links = f"{tmp_path / 'more'} {tmp_path / 'missing'}"
    notebook = make(**{"PIP_INDEX_URL": index.url, "PIP_FIND_LINKS": links, **more})
    notebook.child("%pin tinylocal")
    assert notebook.installed == {"tinylocal-1.0": "uv"}
    if more:
        assert index.asked == []


@pytest.mark.once
def test_no_index_alone(make: Callable[..., Notebook]) -> None:
    """With no index and no folder, a package that is not there cannot be had: said at once."""
    notebook = make(PIP_NO_INDEX="1", PIP_INDEX_URL="")
    assert "tinypkg" in notebook.fails("%pin tinypkg==1.0", "no-such-package")[0]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A certificate for 127.0.0.1 that no authority has signed, and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.mark.once
def test_trusted_host(
    make: Callable[..., Notebook], serve: Serve, wheels: Path, certificate: Any
) -> None:
    """An index whose certificate nobody signed is used where pip trusts its host."""
    index = serve(wheels, certificate=certificate)
    notebook = make(PIP_INDEX_URL=index.url, PIP_TRUSTED_HOST="127.0.0.1")
    notebook.child("%pin tinypkg==1.0")
    assert notebook.installed == {"tinypkg-1.0": "uv"}


@pytest.mark.once
def test_certificate(
    make: Callable[..., Notebook], serve: Serve, wheels: Path, certificate: Any
) -> None:
    """An index whose certificate nobody signed is refused, and used where pip is given it."""
    index = serve(wheels, certificate=certificate)
    notebook = make(PIP_INDEX_URL=index.url)
    notebook.fails("%pin tinypkg==1.0", "index-unreachable")
    notebook.child(f"%env PIP_CERT={certificate[0]}")
    notebook.child("%pin tinypkg==1.0")
    assert notebook.installed == {"tinypkg-1.0": "uv"}


@pytest.mark.once
def test_what_uv_lacks_goes_through_pip(make: Callable[..., Notebook], index: Watched) -> None:
    """A setting of pip that uv has no equivalent of is kept: pip itself does the work."""
    notebook = make(PIP_INDEX_URL=index.url)
    with_pip(notebook.machine)
    (site,) = notebook.machine.python.parent.parent.rglob("site-packages")
    notebook.variables["PIP_TARGET"] = str(site)
    answer = notebook.child.attempt("%pin tinypkg==1.0")
    assert answer.shown.splitlines()[0] == "tinypkg 1.0 installed"
    assert notebook.installed == {"tinypkg-1.0": "pip"}
    assert answer.steps == ["%pin tinypkg==1.0"]
    assert "already installed" in notebook.child("%pin tinypkg==1.0")


@pytest.mark.once
def test_pip_failing_leaves_all_as_it_was(make: Callable[..., Notebook], index: Watched) -> None:
    """With pip as with uv, what cannot be had changes nothing."""
    notebook = make(PIP_INDEX_URL=index.url)
    notebook.forces_pip()
    notebook.fails("%pin tinypkg==9.9", "no-such-version")


# ---------------------------------------------------------------------- secrets
@pytest.mark.parametrize("installer", INSTALLERS)
def test_credentials_of_an_index_stay_secret(
    make: Callable[..., Notebook], serve: Serve, wheels: Path, installer: str
) -> None:
    """A password in the index's URL reaches the index, and no argument, output, error or line."""
    index = serve(wheels, user="me:hunter2")
    notebook = make(PIP_INDEX_URL=index.url)
    if installer == "pip":
        notebook.forces_pip()
    done = notebook.child.attempt("%pin tinypkg==1.0")
    assert notebook.installed == {"tinypkg-1.0": installer}
    notebook.child("%setup forget --all")
    failed = notebook.fails("%pin tinypkg==9.9", "no-such-version")
    shown = [*done, *failed, notebook.child("%setup"), notebook.child("%pin")]
    assert any(installer in arguments for arguments in index.arguments)
    assert "hunter2" not in str(shown) + "".join(index.arguments)


@pytest.mark.once
def test_a_password_in_a_requirement_stays_secret(
    make: Callable[..., Notebook], serve: Serve, wheels: Path
) -> None:
    """A URL with a password installs, in no argument or output; it is not remembered, and said."""
    index = serve(wheels, user="me:hunter2")
    notebook = make(PIP_INDEX_URL=index.url)
    url = index.url.replace("/simple/", "/files/tinypkg-1.0-py3-none-any.whl")
    first = notebook.child.attempt(f"%pin 'tinypkg @ {url}'")
    assert not first.error
    assert "Not recorded" in first.shown
    assert notebook.installed == {"tinypkg-1.0": "uv"}
    index.asked.clear()
    second = notebook.child.attempt(f"%pin 'tinypkg @ {url}'")
    assert "already installed" in second.shown
    assert index.asked == []
    assert first.steps == second.steps == []
    assert "hunter2" not in str([first, second]) + "".join(index.arguments)


@pytest.mark.once
# ---------------------------------------------------------------------- what cannot be had
def test_no_such_version(notebook: Notebook) -> None:
    """A version that does not exist: the line for the newest one."""
    _, second = notebook.fails("%pin tinypkg==9.9", "no-such-version")
    assert "%pin tinypkg==2.0" in second


@pytest.mark.once
def test_no_such_package(notebook: Notebook) -> None:
    """A package that no index has: which index was asked, and to check the spelling."""
    first, _ = notebook.fails("%pin tinypkgg==1.0", "no-such-package")
    assert "tinypkgg" in first and "127.0.0.1" in first


@pytest.mark.once
@pytest.mark.parametrize(
    ("how", "only"),
    [
        ({"tag": "cp35-cp35m-linux_x86_64"}, "3.5"),
        ({"requires_python": ">=3.29"}, "Python >=3.29"),
    ],
)
def test_no_build_for_this_python(
    notebook: Notebook, wheels: Path, how: Dict[str, str], only: str
) -> None:
    """A version without a build for this Python: for which it has one, and what there is here."""
    make_wheel(wheels, "tinyold", "1.5", **how)  # type: ignore[arg-type]
    make_wheel(wheels, "tinyold", "3.0")
    first, second = notebook.fails("%pin tinyold==1.5", "no-build")
    assert first.endswith(f"(only {only}).")
    assert "%pin tinyold==3.0" in second


@pytest.mark.once
def test_one_of_several_cannot_be_had(notebook: Notebook) -> None:
    """Where one of several cannot be had, none is installed."""
    lines = notebook.fails("%pin tinypkg==1.0 tinyother==9.9", "no-such-version")
    assert "tinyother" in lines[0]
    assert notebook.installed == {}


@pytest.mark.once
def test_versions_in_conflict(notebook: Notebook) -> None:
    """Versions that exclude each other: refused, both named, nothing changed."""
    first, second = notebook.fails("%pin tinyparent==1.0 tinypkg==2.0", "conflict")
    assert "tinyparent" in first
    assert "tinypkg" in first
    assert second


@pytest.mark.once
def test_unreachable_index(make: Callable[..., Notebook]) -> None:
    """An index that does not answer: its host, and where to set another."""
    notebook = make(PIP_INDEX_URL="http://127.0.0.1:9/simple/")
    first, second = notebook.fails("%pin tinypkg==1.0", "index-unreachable")
    assert "127.0.0.1" in first
    assert "PIP_INDEX_URL" in second


def test_the_kernel_is_held(notebook: Notebook) -> None:
    """A package that needs another version of what runs the kernel is refused."""
    assert "tornado" in "".join(notebook.fails("%pin tinygreedy==1.0", "kernel-held"))


# ---------------------------------------------------------------------- what is loaded
def test_a_loaded_package_asks_for_a_restart(notebook: Notebook) -> None:
    """Installed, remembered, then `RestartRequired`: each time, until restarted."""
    notebook.child("%pin tinypkg==1.0\nimport tinypkg")
    for _ in range(2):
        answer = notebook.child.attempt("%pin tinypkg==2.0\nreached = True")
        assert answer.error == "RestartRequired"
        first, second = answer.message.splitlines()
        assert first == "tinypkg 2.0 is installed; this kernel still uses 1.0."
        assert "Restart" in second
        assert answer.steps == ["%pin tinypkg==2.0"]
        assert notebook.installed == {"tinypkg-2.0": "uv"}
    assert notebook.child("print('reached' in globals())") == "False"
    notebook.restart()
    shown = notebook.child("%pin tinypkg==2.0\nimport tinypkg; print(tinypkg.__version__)")
    assert "already installed" in shown
    assert "2.0" in shown


@pytest.mark.once
def test_no_restart_once_the_loaded_version_is_back(notebook: Notebook) -> None:
    """Putting back the version that is loaded needs no restart."""
    notebook.child("%pin tinypkg==1.0\nimport tinypkg")
    assert notebook.child.attempt("%pin tinypkg==2.0").error == "RestartRequired"
    assert notebook.child("%pin tinypkg==1.0").startswith("tinypkg 1.0 installed (was 2.0)")
    assert "already installed" in notebook.child("%pin tinypkg==1.0")


@pytest.mark.once
def test_no_restart_for_what_is_not_loaded(notebook: Notebook) -> None:
    """A package that was not imported is used in its new version at once."""
    notebook.child("%pin tinypkg==1.0")
    notebook.child("%pin tinypkg==2.0")
    assert notebook.child("import tinypkg; print(tinypkg.__version__)") == "2.0"


@pytest.mark.once
def test_a_loaded_dependency_asks_for_a_restart(notebook: Notebook) -> None:
    """What a pin changes below it counts as well, each time until restarted."""
    notebook.child("%pin tinyparent==1.0\nimport tinypkg")
    for _ in range(2):
        answer = notebook.child.attempt("%pin tinyparent==2.0")
        assert answer.error == "RestartRequired"
        assert "this kernel still uses 1.0" in answer.message


# ---------------------------------------------------------------------- Ctrl-C
@pytest.mark.parametrize("installer", INSTALLERS)
def test_ctrl_c_ends_a_slow_download(
    make: Callable[..., Notebook], serve: Serve, wheels: Path, installer: str
) -> None:
    """Ctrl-C while a download stalls ends at once, changes nothing, and the next run works."""
    index = serve(wheels, stalls=True)
    notebook = make(PIP_INDEX_URL=index.url)
    if installer == "pip":
        notebook.forces_pip()
    before = notebook.machine.installed()
    notebook.child.ask("%pin tinypkg==1.0")
    assert index.stalled.wait(30)
    started = time.monotonic()
    notebook.child.interrupt()
    answer = notebook.child.answer()
    assert answer.error == "KeyboardInterrupt"
    assert time.monotonic() - started < 5
    assert answer.steps == []
    assert notebook.machine.installed() == before
    assert notebook.left_over() == []
    index.go_on.set()
    assert notebook.child("%pin tinypkg==1.0").startswith("tinypkg 1.0 installed")
    assert notebook.installed == {"tinypkg-1.0": installer}


@pytest.mark.once
@pytest.mark.parametrize("installer", INSTALLERS)
@pytest.mark.parametrize("cached", [True, False])
def test_ctrl_c_while_files_are_put_in_place(
    make: Callable[..., Notebook], many: Many, tmp_path: Path, installer: str, cached: bool
) -> None:
    """Ctrl-C at any moment leaves the versions from before or those asked for, each file there.

    Also where all is in the cache of uv, which then says nothing before it begins.
    """
    old, new = many.one, many.two
    notebook = make(PIP_NO_INDEX="1", PIP_INDEX_URL="", PIP_FIND_LINKS=str(many.wheels))
    notebook.variables.update(UV_LINK_MODE="copy", UV_CACHE_DIR=str(tmp_path / "cache"))
    if installer == "pip":
        notebook.forces_pip()
    (site,) = notebook.machine.python.parent.parent.rglob("site-packages")
    notebook.child(f"%pin {' '.join(new)}") if cached else None
    notebook.child(f"%pin {' '.join(old)}")
    info = site / "manya-1.0.dist-info"
    notebook.child.ask(f"%pin {' '.join(new)}")
    until = time.monotonic() + 60
    while info.exists() and time.monotonic() < until:  # it is being uninstalled
        pass
    notebook.child.interrupt()
    assert notebook.child.answer().error == "KeyboardInterrupt"
    assert damage(site) == {}
    assert sorted(site.glob("~*")) == []
    assert len({path.name.split("-")[1] for path in site.glob("many*-info")}) == 1
    assert "10 packages are already installed" in notebook.child(f"%pin {' '.join(new)}")


# ---------------------------------------------------------------------- the machine says no
def contents(site: Path) -> Dict[str, bytes]:
    """Every file of a site-packages folder, compiled ones apart."""
    files = (path for path in site.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(site)): path.read_bytes() for path in files}


@pytest.mark.once
@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_full_disk(make: Callable[..., Notebook], tmp_path: Path, installer: str) -> None:
    """Where the disk is full, all is byte for byte as it was, and the error says so."""
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "tinybig", "1.0", {"tinybig/__init__.py": "", "tinybig/a.txt": "old"})
    files = {f"tinybig/{i}.txt": str(i) * 400_000 for i in range(10)}
    make_wheel(wheels, "tinybig", "2.0", {"tinybig/__init__.py": "", **files})
    notebook = make(PIP_NO_INDEX="1", PIP_INDEX_URL="", PIP_FIND_LINKS=str(wheels))
    if installer == "pip":
        notebook.forces_pip()
    (site,) = notebook.machine.python.parent.parent.rglob("site-packages")
    kept = contents(site)
    with mounted(site, f"size={sum(map(len, kept.values())) * 2 // 1_000_000 + 3}m"):
        for name, data in kept.items():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_bytes(data)
        notebook.child("%pin tinybig==1.0")
        before = contents(site)
        answer = notebook.child.attempt("%pin tinybig==2.0")
        assert (answer.error, answer.code) == ("InstallFailed", "disk-full")
        assert contents(site) == before
        assert "already installed" in notebook.child("%pin tinybig==1.0")
        notebook.restart()


@pytest.mark.once
@pytest.mark.parametrize("installer", INSTALLERS)
def test_read_only_packages(notebook: Notebook, installer: str) -> None:
    """Where site-packages may not be written, nothing changes, and the error says so."""
    if installer == "pip":
        notebook.forces_pip()
    notebook.child("%pin tinypkg==1.0")
    (site,) = notebook.machine.python.parent.parent.rglob("site-packages")
    bind = subprocess.run(["mount", "--bind", str(site), str(site)], capture_output=True)
    if bind.returncode:
        pytest.skip("elsewhere: nothing may be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(site)], check=True)
        before = contents(site)
        answer = notebook.child.attempt("%pin tinypkg==2.0")
        assert (answer.error, answer.code) == ("InstallFailed", "not-writable")
        assert contents(site) == before
        assert "already installed" in notebook.child("%pin tinypkg==1.0")
        notebook.restart()
    finally:
        subprocess.run(["umount", "-l", str(site)], check=True)


@pytest.mark.once
def test_offline_what_holds_still_holds(notebook: Notebook, index: Watched) -> None:
    """Without a network a satisfied line is a no-op."""
    notebook.child("%pin tinypkg==1.0")
    notebook.restart()
    notebook.variables["PIP_INDEX_URL"] = "http://127.0.0.1:9/simple/"
    assert "already installed" in notebook.child("%pin tinypkg==1.0")
    notebook.fails("%pin tinypkg==2.0", "index-unreachable")


@pytest.mark.once
# ---------------------------------------------------------------------- undo
def test_undo_puts_back_versions_and_lines(notebook: Notebook) -> None:
    """The versions and the line from before come back, what was new goes; a second time nothing."""
    notebook.child("%pin tinypkg==1.0")
    notebook.child("%pin tinypkg==2.0 tinyother==1.0")
    notebook.restart()  # what is to be undone outlives the kernel
    answer = notebook.child.attempt("%pin undo")
    assert "tinypkg 2.0 -> 1.0" in answer.shown and "tinyother 1.0 removed" in answer.shown
    assert sorted(notebook.installed) == ["tinypkg-1.0"]
    assert "nothing to undo" in notebook.child("%pin undo")
    assert sorted(notebook.installed) == ["tinypkg-1.0"]


@pytest.mark.once
def test_undo_changes_the_record(notebook: Notebook) -> None:
    """In the record stands what stood there before; a line of another package stays."""
    notebook.child("%pin tinypkg==1.0 tinyparent==1.0")
    notebook.child("%pin tinypkg==1.0 tinyother==1.0")
    answer = notebook.child.attempt("%pin undo")
    assert answer.steps == ["%pin tinypkg==1.0 tinyparent==1.0"]


@pytest.mark.once
def test_undo_refuses_what_no_index_has(notebook: Notebook) -> None:
    """A version with a local part came with the machine: said, and nothing is changed."""
    (site,) = notebook.machine.python.parent.parent.rglob("site-packages")
    make_wheel(site.parent / "own", "tinypkg", "1.0+cu128")
    wheel = next((site.parent / "own").glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    notebook.child("%pin tinypkg==2.0")
    lines = notebook.fails("%pin undo", "no-origin")
    assert "tinypkg 1.0+cu128" in lines[0]
    assert sorted(notebook.installed) == ["tinypkg-2.0"]

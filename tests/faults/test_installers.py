"""Installers that hang, that do not work at all, and indexes that say nothing."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Thread, Timer
from typing import Any, Callable, Dict, Iterator, List

import pytest
from doubles.index import make_wheel
from doubles.watched import watch
from integration.test_install import ALONE, Notebook, with_pip
from support.machine import Machine

from colab_magics.core.errors import InstallFailed
from colab_magics.core.process import run
from colab_magics.pin import job as job_module
from colab_magics.pin import uv as uv_module
from colab_magics.pin.job import Job
from colab_magics.pin.pip import Pip
from colab_magics.pin.pip_config import PATIENCE, PipSettings

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="elsewhere: asks /proc")

#: Seconds without a byte, in these tests.
LIMIT = 1.0
#: Seconds within which an installer that hangs has to be given up, on a machine that is busy: it
#: is started twice, and may have ten seconds to end by itself each time.
SOON = 40

#: What stands in the place of uv and does not work; None is a folder.
BROKEN: Dict[str, Any] = {
    "exit 1 without a word": "#!/bin/sh\nexit 1\n",
    "exit 0 without a word": "#!/bin/sh\nexit 0\n",
    "exit 2 with a word of the loader": "#!/bin/sh\necho 'uv: GLIBC_2.99 not found' >&2\nexit 2\n",
    "crash": "#!/bin/sh\nkill -SEGV $$\n",
    "crash in the midst": "#!/bin/sh\necho 'Using Python'\nkill -ABRT $$\n",
    "crash of the memory": "#!/bin/sh\nkill -KILL $$\n",
    "empty": "",
    "no interpreter": "#!/nowhere/at/all\n",
    "of another machine": b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xff\xff" + bytes(44),
    "cut off": b"\x7fELF",
    "a folder": None,
}

#: What stands in the place of uv and never ends.
HANGING = {
    "sleeps": "#!/bin/sh\nexec sleep 60123\n",
    "has a child that sleeps": "#!/bin/sh\nsleep 60123\nexit 0\n",
    "says something first": "#!/bin/sh\necho 'Using Python 3'\nsleep 60123\nexit 0\n",
    "is a Python": f"#!{sys.executable}\nimport time\ntime.sleep(60123)\n",
}
#: It is given ten seconds to end by itself.
DEAF = {"is deaf": "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 60123; done\n"}


class Other(Pip):
    """The next installer: it only saves what it was asked for."""

    def version_command(self) -> List[str]:
        return ["echo", "other 1.0"]

    def install_command(self, requirements: Path, constraints: Path, reinstall: Any) -> List[str]:
        script = 'cat "$0" "$1" > "$ASKED"'
        return ["sh", "-c", script, str(requirements), str(constraints)]

    def available(self, settings: PipSettings) -> None:
        return None


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Put something in the place of uv, and a little installer in the place of pip."""
    monkeypatch.setenv("UV_HTTP_TIMEOUT", str(LIMIT))
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    monkeypatch.setattr(job_module, "INSTALLERS", ("colab_magics.pin.uv:Uv", f"{__name__}:Other"))

    def put(content: Any) -> None:
        place = tmp_path / f"uv-{len(list(tmp_path.iterdir()))}"
        write_program(place, content)
        monkeypatch.setattr(uv_module, "find_uv", lambda: str(place))

    return put


def write_program(place: Path, content: Any) -> None:
    """A program of this content; None is a folder."""
    if content is None:
        place.mkdir()
        return
    place.write_bytes(content.encode() if isinstance(content, str) else content)
    place.chmod(0o755)


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that takes each connection, and answers so."""
    connections = []

    def take() -> None:
        while True:
            try:
                connections.append(server.accept()[0])
            except OSError:
                return
            Thread(target=answer, args=(connections[-1],), daemon=True).start()

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(128)
        Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple/"
        server.shutdown(socket.SHUT_RDWR)
        for one in connections:
            one.close()


def say_nothing(connection: socket.socket) -> None:
    """Answer nothing."""


def say_half(connection: socket.socket) -> None:
    """Begin an answer."""
    connection.recv(1 << 16)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\n<a"
    )


def say_slowly(connection: socket.socket) -> None:
    """Answer byte by byte, over more than twice the limit; there is nothing on the page."""
    connection.recv(1 << 16)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 8\r\n\r\n")
    for _ in range(8):
        time.sleep(LIMIT / 2.5)
        connection.sendall(b" ")


def processes(mark: str) -> List[str]:
    """The programs that run and have this in their arguments."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        found += [words] if mark in words else []
    return found


def rehearse(*lines: str, **line: str) -> Any:
    """The plan of these lines."""
    return Job(lambda message: None, (), dict(line)).rehearse(lines)


# ---------------------------------------------------------------------- it does not work
def test_what_does_not_work_gives_way(
    fake: Callable[[Any], None], held: Callable[[int, int], None]
) -> None:
    """Whatever is the matter with uv, the next installer does it, and one note says so."""
    failed = {}
    for name, content in BROKEN.items():
        fake(content)
        job = Job(lambda message: None, ())
        job.locked = ["tinypkg==1.0 --hash=sha256:00"]
        job.install(["tinypkg==1.0"], newest=["tinypkg"])
        asked = Path(os.environ["ASKED"]).read_text()
        Path(os.environ["ASKED"]).unlink()
        if "tinypkg==1.0" not in asked.split("\n") or len(job.notes) != 1 or "--hash" in asked:
            failed[name] = (asked, job.notes)
    held(len(BROKEN), len(BROKEN) - len(failed))
    assert failed == {}


def test_an_answer_is_no_fault(fake: Callable[[Any], None]) -> None:
    """An installer that works and says why it cannot is believed; no other one is asked."""
    fake("#!/bin/sh\necho uv 1.0\ntest $1 = --version && exit 0\necho error: no\nexit 1\n")
    with pytest.raises(InstallFailed) as caught:
        rehearse("tinypkg==1.0")
    assert (caught.value.code, caught.value.reason) == ("install-failed", "no")


def test_no_installer_works(fake: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is left, the error names each and what is the matter with it."""
    monkeypatch.setattr(job_module, "INSTALLERS", ("colab_magics.pin.uv:Uv",))
    fake("#!/bin/sh\nexit 1\n")
    with pytest.raises(InstallFailed, match="uv: it ended with 1") as caught:
        rehearse("tinypkg==1.0")
    assert caught.value.code == "no-installer"


def test_a_lock_cannot_be_made(fake: Callable[[Any], None]) -> None:
    """What only uv can do is refused in one line where uv does not work."""
    for content in ("#!/bin/sh\nexit 0\n", "#!/bin/sh\nexit 1\n"):
        fake(content)
        with pytest.raises(InstallFailed) as caught:
            Job(lambda message: None, ()).make_pylock(["tinypkg==1.0"])
        assert caught.value.code == "no-installer"


# ---------------------------------------------------------------------- it does not answer
def test_uv_hangs(
    fake: Callable[[Any], None], held: Callable[[int, int], None], long: bool
) -> None:
    """A uv that does nothing is ended with all that it has started, and one line says so."""
    failed = {}
    hanging = {**HANGING, **(DEAF if long else {})}
    for name, content in hanging.items():
        fake(content)
        started = time.monotonic()
        try:
            rehearse("tinypkg==1.0", **{"index-url": "http://me:x@pypi.test/s/"})
            failed[name] = ("it ended", "")
        except InstallFailed as error:
            if error.code != "timeout" or not error.message.startswith(
                "pypi.test has not answered"
            ):
                failed[name] = (error.code, error.message)
        while processes("60123") and time.monotonic() - started < SOON:
            time.sleep(0.1)  # one that was killed is listed for a moment
        if time.monotonic() - started > SOON:
            failed[name] = ("slow", "or left running")
    held(len(hanging), len(hanging) - len(failed))
    assert failed == {}


@pytest.mark.parametrize("answer", [say_nothing, say_half])
@pytest.mark.parametrize("way", ["index", "proxy"])
def test_an_index_is_silent(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[socket.socket], None], way: str
) -> None:
    """The real uv is ended where an index, or a proxy, takes the connection and says no more."""
    monkeypatch.setenv("UV_HTTP_TIMEOUT", str(LIMIT))
    monkeypatch.setenv("UV_NO_CACHE", "1")
    with listening(answer) as address:
        proxy = address[: -len("/simple/")] if way == "proxy" else "http://127.0.0.1:9"
        for name in [name for name in ALONE if name.lower().endswith("_proxy")]:
            monkeypatch.setenv(name, "127.0.0.1" if name.lower() == "no_proxy" else proxy)
        index = address if way == "index" else "http://pypi.test/simple/"
        started = time.monotonic()
        with pytest.raises(InstallFailed) as caught:
            rehearse("tinypkg==1.0", **{"index-url": index})
        assert time.monotonic() - started < SOON
    assert caught.value.code == "timeout"
    assert ("127.0.0.1" if way == "index" else "pypi.test") in caught.value.message


def test_a_slow_index_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as a byte comes now and then, it has its time."""
    monkeypatch.setenv("UV_HTTP_TIMEOUT", str(LIMIT))
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with listening(say_slowly) as address, pytest.raises(InstallFailed) as caught:
        rehearse("tinypkg==1.0", **{"index-url": address})
    assert (caught.value.code, caught.value.package) == ("no-such-version", "tinypkg")


BACKEND = """
import time
def prepare_metadata_for_build_wheel(folder, settings=None):
    time.sleep({seconds})
    import pathlib
    info = pathlib.Path(folder, "tinybuilt-1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: tinybuilt\\nVersion: 1.0\\n")
    return info.name
def build_wheel(folder, settings=None, metadata=None): raise SystemExit(1)
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def test_a_build_may_be_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build from source has no time box, not even the one that only finds out what it needs."""
    monkeypatch.setenv("UV_HTTP_TIMEOUT", str(LIMIT))
    monkeypatch.setenv("UV_NO_CACHE", "1")
    (tmp_path / "backend.py").write_text(BACKEND.format(seconds=LIMIT * 2.5))
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    assert "tinybuilt" in rehearse(f"tinybuilt @ {tmp_path.as_uri()}", **{"no-index": "1"})


def test_whose_time_box_it_is() -> None:
    """Twenty seconds, or what the user has set for uv or for pip."""
    none = PipSettings({})
    assert none.patience({}) == PATIENCE == 20
    assert none.patience({"UV_HTTP_TIMEOUT": "90"}) == 90
    assert PipSettings({"timeout": "45"}).patience({"UV_HTTP_TIMEOUT": "x"}) == 45
    assert none.patience({"UV_HTTP_TIMEOUT": "0"}) == PATIENCE


# ---------------------------------------------------------------------- the whole way
@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Notebook]:
    """A notebook on a fresh environment that has pip, and a uv that the test may replace."""
    machine = Machine.make(tmp_path / "environment", tmp_path / "machine", "")
    (site,) = machine.python.parent.parent.rglob("site-packages")
    (site / "uv.py").write_text("import os\ndef find_uv_bin(): return os.environ['FAKE_UV']\n")
    with_pip(machine)
    found = Notebook(machine, {"UV_HTTP_TIMEOUT": str(LIMIT), "UV_NO_CACHE": "1"})
    yield found
    found.restart()


def test_a_pin_by_pip_where_uv_is_broken(notebook: Notebook, tmp_path: Path, long: bool) -> None:
    """The pin succeeds and is recorded; one note says who installed it."""
    make_wheel(tmp_path / "wheels", "tinypkg", "1.0")
    broken = [text for text in BROKEN.values() if text is not None]  # a folder is passed over
    for content in broken if long else [BROKEN["exit 1 without a word"]]:
        place = tmp_path / f"uv-{len(list(tmp_path.iterdir()))}" / "uv"
        place.parent.mkdir()
        write_program(place, content)
        with watch(tmp_path / "wheels") as index:
            notebook.variables.update(FAKE_UV=str(place), PIP_INDEX_URL=index.url)
            notebook.variables["UV_INSTALL_DIR"] = str(place.parent)  # before PATH
            answer = notebook.child.attempt("%pin tinypkg==1.0")
        assert not answer.error, answer
        assert answer.steps == ["%pin tinypkg==1.0"]
        assert answer.shown.count("uv does not work here") == 1
        assert notebook.installed == {"tinypkg-1.0": "pip"}
        assert notebook.left_over() == []
        notebook.restart()
        notebook.machine.uninstall("tinypkg")


def test_a_download_that_stalls(notebook: Notebook, tmp_path: Path) -> None:
    """One line, nothing installed, no journal and nothing in the way of the next pin."""
    make_wheel(tmp_path / "wheels", "tinypkg", "1.0")
    notebook.variables["FAKE_UV"] = str(uv_module.find_uv())
    before = notebook.machine.installed()
    with watch(tmp_path / "wheels", stalls=True) as index:
        notebook.variables["PIP_INDEX_URL"] = index.url
        answer = notebook.child.attempt("%pin tinypkg==1.0")
        assert index.stalled.is_set()
        assert answer.code == "timeout" and "127.0.0.1" in answer.message
        assert notebook.machine.installed() == before and notebook.left_over() == []
        kept = notebook.machine.python.parent.parent / ".colab-magics"
        assert not list(kept.glob("*.journal"))
        index.stalls = False
        index.go_on.set()
        assert not notebook.child.attempt("%pin tinypkg==1.0").error


def test_a_lock_of_another_program_is_waited_for(tmp_path: Path) -> None:
    """Who waits for a lock in a cache is not silent, though nothing comes and nothing is done."""
    with (tmp_path / "lock").open("w") as held_by_us:
        fcntl.flock(held_by_us, fcntl.LOCK_EX)
        released = Timer(3 * LIMIT, fcntl.flock, (held_by_us, fcntl.LOCK_UN))
        released.start()
        done = run(["flock", str(tmp_path / "lock"), "echo", "mine"], silence=LIMIT)
        released.join()
    assert (done.status, done.lines) == (0, ("mine",))

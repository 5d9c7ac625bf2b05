"""``%drive`` in a shell: the stand-in, Colab's own mount, and what every provider promises."""

from __future__ import annotations

import importlib
import sys
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
from colab_magics.drive import colab, providers
from colab_magics.drive.providers import PROVIDERS, Provider, Request, root

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


@pytest.mark.parametrize(
    ("failure", "code", "hint"),
    [
        ("mount failed", "mount-failed", "Disconnect and delete runtime"),
        ("Error: credential propagation was unsuccessful", "no-permission", "tick every box"),
        ("something new", "drive", "again"),
    ],
)
def test_colabs_failures_become_advice(
    person: Cells,
    machine: Any,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: str,
    code: str,
    hint: str,
) -> None:
    """Colab's known failures are said in words that help; nothing is remembered."""
    from google.colab import _message

    kind = _message.MessageError if "credential" in failure else ValueError
    monkeypatch.setattr(machine, "FAILURE", kind(failure))
    reply = person.attempt("%drive mount ~/d")
    assert isinstance(reply.error, DriveError) and reply.error.code == code
    assert hint in reply.error.hint
    assert "Traceback" not in reply.shown
    assert person.steps() == []


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

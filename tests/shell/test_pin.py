"""``%pin`` in a shell, where nothing has to be installed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from IPython.core.error import UsageError
from support.cells import Cells

from colab_magics.core.arguments import quote
from colab_magics.core.display import Report
from colab_magics.core.errors import ColabMagicsError, InstallFailed

from .conftest import Distribution

SECRET = "https://me:hunter2@127.0.0.1/demo_thing-1.0-py3-none-any.whl"
#: What installers write of it (PEP 610).
ORIGIN = json.dumps({"url": SECRET.replace("me:hunter2@", "")})

pytestmark = pytest.mark.usefixtures("nothing_starts")


@pytest.fixture
def no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run says only what differs: no installer can be asked for its plan."""

    def fail(*given: object) -> Report:
        raise InstallFailed("No index answers.")

    monkeypatch.setattr("colab_magics.pin.install.rehearse", fail)


@pytest.mark.parametrize(
    "asked",
    [
        "demo-thing==1.2.3",
        "demo_thing>=1,<2",
        "Demo.Thing~=1.2",
        "demo-thing!=2",
        "demo-thing==1.*",
        "demo-thing>=1; python_version>='3'",
        "absent-thing==9; python_version<'3'",
    ],
)
def test_what_holds_starts_no_process(run: Cells, distribution: Distribution, asked: str) -> None:
    """A pin that holds, in any spelling, is checked in-process and left alone."""
    distribution("demo-thing", "1.2.3")
    shown = run(f'%pin "{asked}"')
    assert "already installed" in shown or "is not needed" in shown
    assert run.steps() == [f"%pin {quote(asked)}"]


@pytest.mark.parametrize(("version", "recorded"), [("1.2.3", "1.2.3"), ("2.0+cu128", "2.0")])
def test_a_bare_name_is_recorded_with_its_version(
    run: Cells, distribution: Distribution, version: str, recorded: str
) -> None:
    """A name alone is recorded with the version that is installed, without a local part."""
    distribution("demo-thing", version)
    run("%pin demo-thing")
    assert run.steps() == [f"%pin demo-thing=={recorded}"]
    run("%pin demo-thing")
    assert run.steps() == [f"%pin demo-thing=={recorded}"]


def test_a_recorded_version_without_its_local_part_holds(
    run: Cells, distribution: Distribution
) -> None:
    """The line that is recorded for ``2.0+cu128`` holds where that is installed."""
    distribution("demo-thing", "2.0+cu128")
    assert "already installed" in run("%pin demo-thing==2.0")


@pytest.mark.usefixtures("no_plan")
def test_extras_hold_when_what_they_need_is_there(run: Cells, distribution: Distribution) -> None:
    """An extra whose packages are there holds, and is recorded with the version."""
    distribution(
        "demo-thing",
        "1.0",
        more="Provides-Extra: more\nRequires-Dist: other-thing>=2; extra == 'more'\n",
    )
    older = distribution("other-thing", "1.0")
    assert "other-thing 1.0 is installed; >=2 wanted" in run("%pin --dry-run demo-thing[more]")
    shutil.rmtree(older)
    distribution("other-thing", "2.0")
    run("%pin demo-thing[more]")
    assert run.steps() == ["%pin demo-thing[more]==1.0"]


@pytest.mark.usefixtures("no_plan")
def test_a_repository_is_recorded_at_its_commit(run: Cells, distribution: Distribution) -> None:
    """A name that was installed from a repository is recorded from there, at its commit."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    origin = {
        "url": "https://127.0.0.1/demo.git",
        "vcs_info": {"vcs": "git", "commit_id": commit, "requested_revision": "v1"},
    }
    distribution("demo-thing", "1.0", direct_url=json.dumps(origin))
    run("%pin demo-thing")
    line = f"%pin 'demo-thing @ git+https://127.0.0.1/demo.git@{commit}'"
    assert run.steps() == [line]
    assert "already installed" in run(line)
    assert "already installed" in run("%pin 'demo-thing @ git+https://127.0.0.1/demo.git@v1'")
    assert "is not from the URL" in run(
        "%pin --dry-run 'demo-thing @ git+https://127.0.0.1/demo.git@v2'"
    )


def test_a_later_pin_takes_the_place_of_an_earlier(run: Cells, distribution: Distribution) -> None:
    """A package is pinned once; the others of the line stay where they are."""
    distribution("demo-thing", "1.0")
    distribution("other-thing", "2.0")
    run("%pin demo-thing>=0.5 other-thing==2.0")
    run("%pin Demo_Thing==1.0")
    assert run.steps() == ["%pin Demo_Thing==1.0 other-thing==2.0"]


def test_a_file_is_kept_beside_the_notebook(run: Cells, distribution: Distribution) -> None:
    """``-r FILE`` below the start directory is recorded as the file, however it was named."""
    distribution("demo-thing", "1.0")
    Path("r.txt").write_text("demo-thing==1.0  # why\n--find-links .\n")
    assert "already installed" in run("%pin -r r.txt")
    assert run.steps() == ["%pin -r r.txt"]
    run(f"%pin -r {Path('r.txt').resolve()}")
    assert run.steps() == ["%pin -r r.txt"]


def test_a_file_that_includes_another(run: Cells, distribution: Distribution) -> None:
    """What an included file asks for is asked for too, from that file's own folder."""
    distribution("demo-thing", "1.0")
    distribution("other-thing", "2.0")
    Path("sub").mkdir()
    Path("r.txt").write_text("-r sub/more.txt\ndemo-thing==1.0\n")
    Path("sub/more.txt").write_text("other-thing==2.0\n")
    assert "2 packages are already installed" in run("%pin -r r.txt")


def test_a_file_that_a_wipe_takes_is_expanded(
    run: Cells, distribution: Distribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the machine is wiped with its files, what the file says is recorded instead of it."""
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    distribution("demo-thing", "1.0")
    distribution("other-thing", "2.0")
    Path("r.txt").write_text("demo-thing\nother-thing>=1\n")
    run("%pin -r r.txt")
    assert run.steps() == ["%pin demo-thing==1.0 other-thing>=1"]


def test_a_file_with_options_that_a_wipe_takes_is_refused(
    run: Cells, distribution: Distribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options of a file cannot stand in a recorded line: said, with where to keep the file."""
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    distribution("demo-thing", "1.0")
    Path("r.txt").write_text("--find-links .\ndemo-thing==1.0\n")
    reply = run.attempt("%pin -r r.txt")
    assert isinstance(reply.error, ColabMagicsError)
    assert "--find-links" in str(reply.error)
    assert run.steps() == []


def test_a_file_on_the_drive_is_kept_by_its_place(
    run: Cells, distribution: Distribution, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file on the drive outlives the machine: it is recorded under ``drive:``."""
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    distribution("demo-thing", "1.0")
    run("%drive mount ~/mnt --provider folder")
    (home / "mnt/MyDrive/r.txt").write_text("demo-thing==1.0\n")
    run("%pin -r drive:r.txt")
    assert run.steps()[-1] == "%pin -r drive:r.txt"
    run(f"%pin -r {home}/mnt/MyDrive/r.txt")
    assert run.steps()[-1] == "%pin -r drive:r.txt"


def test_a_password_is_not_recorded(run: Cells, distribution: Distribution) -> None:
    """A URL with a password holds and is not remembered; the message says what to do with it."""
    distribution("demo-thing", "1.0", direct_url=ORIGIN)
    shown = run(f"%pin 'demo-thing @ {SECRET}'")
    assert "Not recorded" in shown
    assert "clear the history" in shown
    assert "hunter2" not in shown + run("%pin") + run("%setup") + run("%setup write")
    assert run.steps() == []


def test_a_password_in_the_setup_cell_is_not_shown(run: Cells, distribution: Distribution) -> None:
    """A password that a person wrote into the setup cell does not reach the outputs."""
    distribution("demo-thing", "1.0", direct_url=ORIGIN)
    run(f"# colab_magics:setup v1\n%pin 'demo-thing @ {SECRET}'\nx = '{SECRET}'")
    shown = run("%setup") + run("%pin") + run.attempt("%setup check --strict").shown
    assert "****@127.0.0.1" in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize("name", ["ipykernel", "IPython", "tornado", "prompt_toolkit"])
def test_the_kernels_own_machinery_is_refused(run: Cells, name: str) -> None:
    """Another version of what runs the kernel is refused, before anything is started."""
    reply = run.attempt(f"%pin {name}==1.0")
    assert isinstance(reply.error, InstallFailed)
    assert name in str(reply.error)
    assert run.steps() == []


@pytest.mark.usefixtures("no_plan")
def test_dry_run_changes_nothing(run: Cells, distribution: Distribution) -> None:
    """``--dry-run`` says what differs, installs nothing and remembers nothing."""
    distribution("demo-thing", "1.0")
    shown = run("%pin --dry-run demo-thing==2.0")
    first, second = shown.splitlines()
    assert first == "Nothing was changed. demo-thing 1.0 is installed; 2.0 wanted"
    assert second == "No index answers."
    assert run("%pin --dry-run demo-thing==1.0").startswith("Nothing was changed. ")
    assert "absent-thing is not installed" in run("%pin --dry-run absent-thing")
    assert run.steps() == []


def test_quiet_says_nothing(run: Cells, distribution: Distribution) -> None:
    """``-q`` shows nothing of the pin, which is remembered all the same."""
    distribution("demo-thing", "1.0")
    assert "installed" not in run("%pin -q demo-thing==1.0")
    assert run("%pin -q demo-thing==1.0") == ""
    assert run.steps() == ["%pin demo-thing==1.0"]


def test_output_is_returned(run: Cells, distribution: Distribution) -> None:
    """``-o`` returns the outcome with its step."""
    distribution("demo-thing", "1.0")
    run("out = %pin -o demo-thing==1.0")
    outcome = run.shell.user_ns["out"]
    assert outcome.status == "unchanged"
    assert outcome.step.requirements == ("demo-thing==1.0",)


def test_no_record_remembers_nothing(run: Cells, distribution: Distribution) -> None:
    """``--no-record`` checks the pin and remembers nothing."""
    distribution("demo-thing", "1.0")
    assert "already installed" in run("%pin --no-record demo-thing==1.0")
    assert run.steps() == []


def test_bare_shows_the_pins(run: Cells, distribution: Distribution) -> None:
    """Alone it shows each pin: wanted, installed, loaded, and whether it holds."""
    assert "Nothing is pinned" in run("%pin")
    distribution("demo-thing", "1.0")
    info = distribution("other-thing", "2.0")
    run("%pin demo-thing==1.0 other-thing==2.0")
    (info / "METADATA").unlink()
    info.rmdir()
    head, held, lost = (line.split() for line in run("%pin").split("\n"))
    assert head == ["state", "wanted", "installed", "loaded", "in", "this", "kernel", "why"]
    assert held == ["ok", "demo-thing==1.0", "1.0"]
    assert lost == ["differs", "other-thing==2.0", *["other-thing", "is", "not", "installed"]]
    assert run.steps() == ["%pin demo-thing==1.0 other-thing==2.0"]


def test_one_bad_requirement_spoils_the_line(run: Cells, distribution: Distribution) -> None:
    """A line with one unreadable requirement remembers none of them."""
    distribution("demo-thing", "1.0")
    assert type(run.attempt("%pin demo-thing==1.0 numpy=*").error) is UsageError
    assert run.steps() == []

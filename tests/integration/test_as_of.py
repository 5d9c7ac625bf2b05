"""``--as-of``: versions as they were on a day, by the real installers from an index on loopback."""

from __future__ import annotations

import ensurepip
import shutil
from importlib import metadata
from pathlib import Path
from typing import Callable

import pytest
from doubles.index import make_wheel
from doubles.watched import Watched
from support.machine import Machine
from support.notebooks import notebook as make_notebook
from support.notebooks import setup_text, shown
from test_environments import machine, other
from test_install import Notebook, Serve, make, notebook, serve, wheels
from test_pin_options import either, names

__all__ = ["either", "machine", "make", "notebook", "other", "serve", "wheels"]

#: What installers do is the same under every IPython.
pytestmark = pytest.mark.once

#: When each version was uploaded; that of tornado too, which is held in any kernel.
UPLOADS = {"1.0": "2020-06-20", "2.0": "2024-01-01", "0.1": "2011-01-01"}
AS_OF = "--as-of 2020-07-11"


def pip_version() -> str:
    """The pip that `Notebook.forces_pip` takes: the borrowed one, or the one of Python."""
    try:
        return metadata.version("pip")
    except metadata.PackageNotFoundError:
        return ensurepip.version()


@pytest.fixture(autouse=True)
def _new_pip(request: pytest.FixtureRequest) -> None:
    """Skip what pip is to do where it has no days."""
    if "[pip]" in request.node.name and int(pip_version().split(".")[0]) < 26:
        pytest.skip("elsewhere: the pip of this Python is older than 26.0")


@pytest.fixture
def index(serve: Serve, wheels: Path) -> Watched:
    """An index that says when its files were uploaded; tinyloose needs any tinydep."""
    for version in ("1.0", "2.0"):
        make_wheel(wheels, "tinydep", version)
        make_wheel(wheels, "tinyloose", version, requires=["tinydep"])
    return serve(wheels, uploads=UPLOADS)


def test_the_versions_of_the_day(either: Notebook, index: Watched) -> None:
    """Older ones replace newer ones, of what a package needs too; again is no question at all."""
    either.child("%pin --no-record tinyparent==2.0 tinyother==2.0")
    assert names(either) == {"tinyother": "2.0", "tinyparent": "2.0", "tinypkg": "2.0"}
    answer = either.child.attempt(f"%pin tinyparent {AS_OF}")
    assert names(either) == {"tinyother": "2.0", "tinyparent": "1.0", "tinypkg": "1.0"}, answer
    assert answer.steps == [f"%pin tinyparent==1.0 {AS_OF}"]

    asked = len(index.asked)
    assert "already installed" in either.child(f"%pin tinyparent {AS_OF}")
    assert len(index.asked) == asked


def test_what_another_line_pins_stays(notebook: Notebook) -> None:
    """A day counts for what its line needs, less what the notebook pins in another version."""
    notebook.child("%pin tinydep==2.0")
    answer = notebook.child.attempt(f"%pin tinyloose {AS_OF}")
    assert names(notebook) == {"tinydep": "2.0", "tinyloose": "1.0"}, answer


def test_a_version_from_after_the_day_is_not_to_be_had(either: Notebook) -> None:
    """Neither the newer version nor any before the first day: one line that names the day."""
    lines = either.fails("%pin tinypkg==2.0 --as-of 2020-07-11", "not-yet")
    assert "2020-07-11" in lines[0] and "tinypkg" in lines[0]
    either.fails("%pin tinypkg --as-of 2019-01-01", "not-yet")


def test_the_last_moment_of_the_day_counts(notebook: Notebook) -> None:
    """What was uploaded on the day itself is taken, and not what came on the next one."""
    notebook.child("%pin tinypkg --as-of 2020-06-20")
    assert names(notebook) == {"tinypkg": "1.0"}
    notebook.fails("%pin tinyother --as-of 2020-06-19", "not-yet")


def test_an_index_that_does_not_say_when(either: Notebook, serve: Serve, wheels: Path) -> None:
    """Its files cannot be judged: one line says so, with what to do; nothing is installed."""
    plain = serve(wheels)
    lines = either.fails(f"%pin tinypkg {AS_OF} --index-url {plain.url}", "no-upload-times")
    assert "127.0.0.1" in lines[0] and "tinypkg" in lines[0]


def test_a_folder_without_dates_is_left_out(
    make: Callable[..., Notebook], index: Watched, tmp_path: Path
) -> None:
    """The user's own find-links would bring the newest, and uv would take it."""
    folder = tmp_path / "newest"
    make_wheel(folder, "tinypkg", "3.0")
    found = make(PIP_INDEX_URL=index.url, PIP_FIND_LINKS=str(folder), UV_FIND_LINKS=str(folder))
    found.child(f"%pin tinypkg {AS_OF}")
    assert names(found) == {"tinypkg": "1.0"}


def test_a_dry_run_shows_the_day_and_changes_nothing(either: Notebook) -> None:
    """The plan has the versions of the day."""
    either.child("%pin --no-record tinypkg==2.0")
    before = either.machine.installed()
    answer = either.child.attempt(f"%pin --dry-run tinyparent {AS_OF}")
    assert "tinyparent" in answer.shown and "1.0" in answer.shown, answer
    assert either.machine.installed() == before
    assert answer.steps == []


def test_another_version_later_leaves_the_day(notebook: Notebook) -> None:
    """An upgrade of a line with a day takes the day off: it would not hold any more."""
    notebook.child(f"%pin tinypkg {AS_OF}")
    answer = notebook.child.attempt("%pin --upgrade tinypkg")
    assert names(notebook) == {"tinypkg": "2.0"}, answer
    assert answer.steps[-1] == "%pin tinypkg==2.0"


def test_undo_puts_back_what_is_newer_than_the_day(notebook: Notebook) -> None:
    """`%pin undo` and a failure go back to versions from after the day."""
    notebook.child("%pin tinypkg==2.0")
    notebook.child(f"%pin tinypkg {AS_OF}")
    answer = notebook.child.attempt("%pin undo")
    assert names(notebook) == {"tinypkg": "2.0"}, answer


def test_pip_without_the_option_is_refused(make: Callable[..., Notebook], index: Watched) -> None:
    """Where neither installer can, one line names both reasons, and what to do."""
    found = make(PIP_INDEX_URL=index.url)
    found.forces_pip()
    (site,) = found.machine.python.parent.parent.rglob("site-packages")
    old = site / "pip-25.0.dist-info"
    for info in site.glob("pip-*.dist-info"):
        shutil.rmtree(info)
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: pip\nVersion: 25.0\n")
    lines = found.fails(f"%pin tinypkg {AS_OF}", "no-installer")
    assert "26.0" in lines[0] and "uv" in " ".join(lines)


def test_another_python_has_the_versions_of_the_day(
    machine: Machine, other: str, index: Watched, tmp_path: Path
) -> None:
    """It is made for the line by a run; a third run changes no byte.

    What the kernel needs comes from the other index, which says nothing of days.
    """
    machine.variables["PIP_EXTRA_INDEX_URL"] = index.url
    line = f"%pin tinyparent {AS_OF} --python {other}"
    text = f"# colab_magics:setup v1\n%reload_ext colab_magics\n{line}"
    show = "import sys, tinypkg; print('%d.%d' % sys.version_info[:2], tinypkg.__version__)"
    path = make_notebook(tmp_path / "nb.ipynb", text, show)
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert shown(path)[-1] == f"{other} 1.0\n"
    assert setup_text(path) == text
    assert machine.cli("run", path).returncode == 0
    before = path.read_bytes()
    done = machine.cli("run", path)
    assert done.returncode == 0 and path.read_bytes() == before, done.stdout


def test_a_lock_wins(machine: Machine, serve: Serve, wheels: Path, tmp_path: Path) -> None:
    """What is locked is installed although an index says by now that it came later."""
    del machine.variables["PIP_EXTRA_INDEX_URL"]
    machine.variables["PIP_INDEX_URL"] = serve(wheels, uploads=UPLOADS).url
    path = make_notebook(tmp_path / "nb.ipynb", f"%load_ext colab_magics\n%pin tinyparent {AS_OF}")
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr
    assert f"%pin tinyparent==1.0 {AS_OF}" in (setup_text(path) or "")

    names = list(machine.installed())
    machine.uninstall("tinyparent", "tinypkg")
    later = dict.fromkeys(UPLOADS, "2024-01-01")
    machine.variables["PIP_INDEX_URL"] = serve(wheels, uploads=later).url
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert list(machine.installed()) == names

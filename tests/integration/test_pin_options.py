"""The options of ``%pin``, with the real installers on indexes on loopback."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Callable, Dict

import pytest
from doubles.index import make_wheel
from doubles.watched import Watched
from test_install import Notebook, Serve, index, make, notebook, serve, wheels

__all__ = ["index", "make", "notebook", "serve", "wheels"]

#: What installers do is the same under every IPython; `test_install` runs in all versions.
pytestmark = pytest.mark.once

SECRET = "me:hunter2"


def with_installer(found: Notebook, installer: str) -> Notebook:
    """The same notebook, made to use that installer."""
    if installer == "pip":
        found.forces_pip()
    return found


@pytest.fixture(params=["uv", "pip"])
def either(request: pytest.FixtureRequest, notebook: Notebook) -> Notebook:
    """A notebook with each installer; its own index has tinypkg and tinyother, 1.0 and 2.0."""
    return with_installer(notebook, request.param)


@pytest.fixture
def other(serve: Serve, tmp_path: Path) -> Watched:
    """Another index: tinypkg 3.0 and a pre-release of 4.0."""
    folder = tmp_path / "other"
    for version in ("3.0", "4.0rc1"):
        make_wheel(folder, "tinypkg", version)
    return serve(folder)


def names(found: Notebook) -> Dict[str, str]:
    """What is installed: name → version."""
    return dict(one.rsplit("-", 1) for one in found.installed)


def test_the_index_of_the_line_is_the_one(either: Notebook, index: Watched, other: Watched) -> None:
    """``--index-url`` takes the place of the user's own, and is recorded on the line."""
    answer = either.child.attempt(f"%pin tinypkg==3.0 --index-url {other.url}")
    assert names(either) == {"tinypkg": "3.0"}, answer
    assert index.asked == []
    assert answer.steps == [f"%pin tinypkg==3.0 --index-url {other.url}"]


def test_the_best_of_all_indexes(either: Notebook, other: Watched) -> None:
    """With ``--extra-index-url`` the best version of all wins, as with pip."""
    either.child(f"%pin tinypkg tinyother --extra-index-url {other.url}")
    assert names(either) == {"tinypkg": "3.0", "tinyother": "2.0"}


def test_a_pre_release_only_when_asked_for(either: Notebook, other: Watched) -> None:
    """``--pre`` takes release candidates; without it they are passed over."""
    either.child(f"%pin tinypkg --index-url {other.url}")
    assert names(either) == {"tinypkg": "3.0"}
    answer = either.child.attempt(f"%pin tinypkg --upgrade --pre --index-url {other.url}")
    assert names(either) == {"tinypkg": "4.0rc1"}, answer
    assert answer.steps[-1] == f"%pin tinypkg==4.0rc1 --index-url {other.url} --pre"


def test_upgrade_takes_the_newest_and_keeps_its_version(either: Notebook) -> None:
    """``--upgrade`` is done and not recorded; a second time there is nothing newer."""
    either.child("%pin tinypkg==1.0")
    answer = either.child.attempt("%pin --upgrade tinypkg")
    assert names(either) == {"tinypkg": "2.0"}
    assert answer.steps == ["%pin tinypkg==2.0"]
    assert "already installed" in either.child("%pin --upgrade tinypkg")


def test_upgrade_within_bounds(notebook: Notebook, serve: Serve) -> None:
    """``--upgrade`` keeps the version that came, not the bounds, and extras stay."""
    notebook.child("%pin tinypkg==1.0")
    answer = notebook.child.attempt("%pin --upgrade 'tinypkg[none]<3'")
    assert names(notebook) == {"tinypkg": "2.0"}
    assert answer.steps == ["%pin tinypkg[none]==2.0"]


def test_undo_asks_where_the_line_from_before_asked(
    either: Notebook, index: Watched, other: Watched
) -> None:
    """A version that only another index has comes back from there."""
    either.child(f"%pin tinypkg==3.0 --index-url {other.url}")
    either.child("%pin tinypkg==2.0")
    assert names(either) == {"tinypkg": "2.0"}
    answer = either.child.attempt("%pin undo")
    assert names(either) == {"tinypkg": "3.0"}, answer
    assert answer.steps == [f"%pin tinypkg==3.0 --index-url {other.url}"]


def test_a_cut_install_is_repaired_from_its_own_index(
    either: Notebook, index: Watched, other: Watched
) -> None:
    """Another line repairs what was cut, from the place that the cut line named."""
    either.child(f"%pin --no-record tinypkg==3.0 --index-url {other.url}")
    line = {"index-url": other.url}
    either.child(
        "import time; from colab_magics.pin.journal import Journal, write\n"
        f"write(Journal(('tinypkg==3.0',), (), {{}}, {{}}, time.time() - 60, {line}))"
    )
    (package,) = either.machine.python.parent.parent.rglob("tinypkg/__init__.py")
    package.unlink()
    assert "repaired: tinypkg" in either.child("%pin tinyother==1.0")
    assert names(either) == {"tinypkg": "3.0", "tinyother": "1.0"}
    assert package.exists()


def test_constraints_links_and_no_dependencies(either: Notebook, wheels: Path) -> None:
    """``-c`` holds a version, ``--find-links`` adds a folder, ``--no-deps`` leaves needs out."""
    start = Path(either.child("import os; print(os.getcwd())").strip())
    (start / "held.txt").write_text("tinypkg<2\n")
    make_wheel(start / "links", "tinylinked", "1.0", requires=["tinyother"])
    line = "%pin tinypkg tinylinked -c held.txt --find-links links --no-deps"
    answer = either.child.attempt(line)
    assert names(either) == {"tinypkg": "1.0", "tinylinked": "1.0"}, answer
    assert answer.steps == [
        "%pin tinypkg==1.0 tinylinked==1.0 --find-links links --constraint held.txt --no-deps"
    ]
    assert "already installed" in either.child(answer.steps[0])


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_an_index_with_a_secret_by_its_name(
    make: Callable[..., Notebook], serve: Serve, wheels: Path, installer: str
) -> None:
    """``--index-auth NAME`` logs in; the secret stands in no argument, output, line or journal."""
    private = serve(wheels, user=SECRET)
    clean = private.url.replace(f"{SECRET}@", "")
    found = with_installer(make(MY_INDEX=SECRET), installer)
    answer = found.child.attempt(f"%pin tinypkg==1.0 --index-url {clean} --index-auth MY_INDEX")
    assert names(found) == {"tinypkg": "1.0"}, answer
    assert answer.steps == [f"%pin tinypkg==1.0 --index-url {clean} --index-auth MY_INDEX"]
    failed = found.child.attempt(f"%pin tinypkg==9 --index-url {clean} --index-auth MY_INDEX")
    assert failed.error == "InstallFailed"
    kept = (found.machine.python.parent.parent / ".colab-magics").glob("*")
    journals = "".join(path.read_text() for path in kept)
    assert any(installer in arguments for arguments in private.arguments)
    assert "hunter2" not in str((answer, failed)) + "".join(private.arguments) + journals


def test_a_secret_that_is_not_there(notebook: Notebook, index: Watched) -> None:
    """Without the variable nothing is installed, and it says where the secret goes."""
    answer = notebook.child.attempt(f"%pin tinypkg --index-url {index.url} --index-auth NOT_SET")
    assert "--index-auth names is not set" in answer.message
    assert "USER:PASSWORD" in answer.message
    assert names(notebook) == {}


@pytest.mark.parametrize("typed", [SECRET, "hunter2token"])
def test_a_secret_in_place_of_its_name_stays_out(
    notebook: Notebook, index: Watched, typed: str
) -> None:
    """A secret typed where its name belongs is not shown or recorded, also if the pin holds."""
    notebook.child("%pin --no-record tinypkg==1.0")
    for version in ("1.0", "2.0"):
        line = f"%pin tinypkg=={version} --index-url {index.url} --index-auth {typed}"
        answer = notebook.child.attempt(line)
        assert "hunter2" not in answer.shown + answer.message
        assert answer.steps == []


def test_no_dependencies_twice_is_no_error(make: Callable[..., Notebook], index: Watched) -> None:
    """Where pip's settings say ``no-deps`` too, an undo can still put a version back."""
    found = make(PIP_INDEX_URL=index.url, PIP_NO_DEPS="1")
    found.child("%pin tinypkg==1.0")
    found.child("%pin tinypkg==2.0")
    found.child("%pin undo")
    assert names(found) == {"tinypkg": "1.0"}


def test_a_secret_in_a_typed_index_is_not_recorded(
    make: Callable[..., Notebook], serve: Serve, wheels: Path
) -> None:
    """A URL with a password installs, is not recorded, and the message says to take it out."""
    private = serve(wheels, user=SECRET)
    found = make()
    answer = found.child.attempt(f"%pin tinypkg==1.0 --index-url {private.url}")
    assert names(found) == {"tinypkg": "1.0"}
    assert answer.steps == [] and "Not recorded" in answer.shown
    assert "hunter2" not in answer.shown + "".join(private.arguments)


def test_hashes_are_checked(either: Notebook, wheels: Path) -> None:
    """A wrong hash is refused and changes nothing; the right one installs, and stays."""
    digest = hashlib.sha256((wheels / "tinypkg-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    wrong = either.child.attempt(f"%%pin\ntinypkg==1.0 --hash=sha256:{'0' * 64}")
    assert wrong.error == "InstallFailed" and names(either) == {}
    line = f"tinypkg==1.0 --hash=sha256:{digest}"
    answer = either.child.attempt(f"%%pin\ntinypkg==1.0 \\\n    --hash=sha256:{digest}")
    assert names(either) == {"tinypkg": "1.0"}, answer
    assert answer.steps == [f"%pin '{line}'"]
    assert "already installed" in either.child(answer.steps[0])


def test_a_torch_backend_needs_uv(notebook: Notebook) -> None:
    """Uv is told; pip has no such thing, and that is said in a line."""
    answer = notebook.child.attempt("%pin tinypkg==1.0 --torch-backend cpu")
    assert answer.steps == ["%pin tinypkg==1.0 --torch-backend cpu"], answer
    notebook.forces_pip()
    notebook.restart()
    refused = notebook.fails("%pin tinypkg==2.0 --torch-backend cpu", "no-installer")
    assert "pip has no --torch-backend" in refused[0]


def test_lines_of_the_same_options_are_one(notebook: Notebook, other: Watched) -> None:
    """What agrees stands together; pinned again without options, a package moves, and stays one."""
    notebook.child(f"%pin tinypkg==3.0 --index-url {other.url}")
    steps = notebook.child.attempt("%pin tinyother==1.0").steps
    assert steps == [f"%pin tinypkg==3.0 --index-url {other.url}", "%pin tinyother==1.0"]
    assert notebook.child.attempt("%pin tinypkg==2.0").steps == ["%pin tinyother==1.0 tinypkg==2.0"]


#: A build backend that needs nothing: it makes the wheel of an editable install.
BACKEND = """
import os, zipfile
INFO = "tinylocal-1.0.dist-info"
ABOUT = "Metadata-Version: 2.1\\nName: tinylocal\\nVersion: 1.0\\n"
WHEEL = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
def build_editable(folder, settings=None, metadata=None):
    name = "tinylocal-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("tinylocal.pth", os.getcwd())
        wheel.writestr(f"{INFO}/METADATA", ABOUT)
        wheel.writestr(f"{INFO}/WHEEL", WHEEL)
        names = ["tinylocal.pth", f"{INFO}/METADATA", f"{INFO}/WHEEL", f"{INFO}/RECORD"]
        wheel.writestr(f"{INFO}/RECORD", "".join(f"{one},,\\n" for one in names))
    return name
"""


@pytest.fixture
def project(tmp_path: Path) -> Callable[[Path], None]:
    """Write a project that can be installed editable, with nothing to download."""

    def write(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "mini.py").write_text(BACKEND)
        (folder / "tinylocal.py").write_text("")
        (folder / "pyproject.toml").write_text(
            "[build-system]\nrequires = []\nbuild-backend = 'mini'\nbackend-path = ['.']\n"
            "[project]\nname = 'tinylocal'\nversion = '1.0'\n"
        )

    return write


def test_an_editable_folder(either: Notebook, project: Callable[[Path], None]) -> None:
    """``-e FOLDER`` installs what is edited there, is recorded as typed, and holds afterwards."""
    start = Path(either.child("import os; print(os.getcwd())").strip())
    project(start / "mine")
    answer = either.child.attempt("%pin -e mine")
    assert names(either) == {"tinylocal": "1.0"}, answer
    assert answer.steps == ["%pin -e mine"]
    assert "already installed" in either.child("%pin -e mine")


def test_a_folder_that_goes_with_the_machine(
    notebook: Notebook, project: Callable[[Path], None], tmp_path: Path
) -> None:
    """A folder elsewhere cannot be brought back by a line: refused, and nothing is installed."""
    project(tmp_path / "elsewhere")
    answer = notebook.child.attempt(f"%pin -e {tmp_path / 'elsewhere'}")
    assert answer.error == "ColabMagicsError" and "Keep it on the drive" in answer.message
    assert names(notebook) == {}


def test_the_kernel_may_be_changed_when_the_line_says_so(notebook: Notebook) -> None:
    """What runs the kernel is refused, naming the flag; with the flag it is done, not recorded."""
    notebook.fails("%pin tornado==0.1", "kernel-held")
    answer = notebook.child.attempt("%pin --allow-kernel-changes tornado==0.1")
    assert answer.error == "", answer
    assert "tornado-0.1.dist-info" in notebook.machine.installed()
    assert answer.steps == []

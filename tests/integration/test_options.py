"""More of the options of ``%pin``, with the real installers: what goes wrong, and odd places."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Callable, List

import pytest
from doubles.index import make_wheel
from doubles.watched import Watched
from test_install import Notebook, Serve, index, make, notebook, serve, wheels
from test_pin_options import BACKEND, either, names, other, with_installer

__all__ = ["either", "index", "make", "notebook", "other", "serve", "wheels"]

#: What installers do is the same under every IPython; `test_install` runs in all versions.
pytestmark = pytest.mark.once

Make = Callable[..., Notebook]


def start(found: Notebook) -> Path:
    """The folder that a notebook's kernel started in."""
    return Path(found.child("import os; print(os.getcwd())").strip())


def clean(served: Watched) -> str:
    """The address of an index without the password."""
    return served.url.replace(f"{served.user}@", "")


def journals(found: Notebook) -> str:
    """All that the journal of an environment says."""
    kept = (found.machine.python.parent.parent / ".colab-magics").glob("*")
    return "".join(path.read_text() for path in kept)


# ---------------------------------------------------------------------- --index-auth
@pytest.mark.parametrize("installer", ["uv", "pip"])
@pytest.mark.parametrize(
    ("secret", "login"),
    [("me:p@ss/w%41rd#?", "me:p@ss/w%41rd#?"), ("tok-hunter2", "__token__:tok-hunter2")],
)
def test_a_secret_of_any_characters(
    make: Make, serve: Serve, wheels: Path, installer: str, secret: str, login: str
) -> None:
    """Signs of a URL in a password reach the index as they are; a token alone is one too."""
    private = serve(wheels, user=login)
    url = clean(private)
    main = serve(wheels.parent / "nothing").url
    found = with_installer(make(MY_INDEX=secret, PIP_INDEX_URL=main), installer)
    answer = found.child.attempt(f"%pin tinypkg==1.0 --extra-index-url {url} --index-auth MY_INDEX")
    assert names(found) == {"tinypkg": "1.0"}, answer
    assert answer.steps == [f"%pin tinypkg==1.0 --extra-index-url {url} --index-auth MY_INDEX"]
    shown = str(answer) + found.child("%setup") + found.child("%pin") + journals(found)
    for part in secret.split(":"):
        assert part == "me" or part not in shown + "".join(private.arguments)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_wrong_password(make: Make, serve: Serve, wheels: Path, installer: str) -> None:
    """A password that the index refuses: said so, without it, and nothing is installed."""
    private = serve(wheels, user="me:right")
    found = with_installer(make(MY_INDEX="me:hunter2"), installer)
    cell = f"%pin tinypkg==1.0 --index-url {clean(private)} --index-auth MY_INDEX"
    lines = found.fails(cell, "index-login")
    assert "127.0.0.1" in lines[0]
    assert "hunter2" not in "".join([*lines, *private.arguments, journals(found)])


def test_an_auth_for_no_index(notebook: Notebook) -> None:
    """A secret that would be sent nowhere is refused, not passed over."""
    answer = notebook.child.attempt("%pin tinypkg --index-auth MY_INDEX")
    assert answer.error == "UsageError" and "--index-url" in answer.message
    assert names(notebook) == {}


# ---------------------------------------------------------------------- indexes and folders
def test_two_extra_indexes(either: Notebook, serve: Serve, tmp_path: Path) -> None:
    """``--extra-index-url`` twice: each is asked, and the best of all is taken."""
    make_wheel(tmp_path / "a", "tinypkg", "5.0")
    make_wheel(tmp_path / "b", "tinyother", "6.0")
    one, two = serve(tmp_path / "a"), serve(tmp_path / "b")
    line = f"--extra-index-url {one.url} --extra-index-url {two.url}"
    answer = either.child.attempt(f"%pin tinypkg tinyother {line}")
    assert names(either) == {"tinypkg": "5.0", "tinyother": "6.0"}, answer
    assert answer.steps == [f"%pin tinypkg==5.0 tinyother==6.0 {line}"]


def test_an_extra_index_joins_those_of_pip(
    make: Make, index: Watched, other: Watched, serve: Serve, tmp_path: Path
) -> None:
    """The user's own extra index is still asked beside that of the line."""
    make_wheel(tmp_path / "own", "tinyown", "1.0")
    own = serve(tmp_path / "own")
    found = make(PIP_INDEX_URL=index.url, PIP_EXTRA_INDEX_URL=own.url)
    found.child(f"%pin tinypkg tinyown --extra-index-url {other.url}")
    assert names(found) == {"tinypkg": "3.0", "tinyown": "1.0"}


def test_places_count_from_where_they_are_typed(either: Notebook) -> None:
    """They are recorded as they mean from where the kernel started; spaces do no harm."""
    here = start(either)
    make_wheel(here / "my links", "tinylinked", "1.0")
    (here / "my held.txt").write_text("tinypkg<2\n")
    either.child("import os; os.makedirs('deep'); os.chdir('deep')")
    line = "tinypkg tinylinked --find-links '../my links' -c '../my held.txt'"
    answer = either.child.attempt(f"%pin {line}")
    assert names(either) == {"tinypkg": "1.0", "tinylinked": "1.0"}, answer
    assert answer.steps == [
        "%pin tinypkg==1.0 tinylinked==1.0 --find-links 'my links' --constraint 'my held.txt'"
    ]


def test_a_constraint_that_excludes_the_pin(either: Notebook) -> None:
    """A constraint and a pin that exclude each other: refused, and nothing is installed."""
    (start(either) / "held.txt").write_text("tinypkg<2\n")
    either.fails("%pin tinypkg==2.0 -c held.txt", "conflict")


def test_a_constraint_that_is_not_there(either: Notebook) -> None:
    """A file of constraints that is missing is named, and nothing is installed."""
    answer = either.child.attempt("%pin tinypkg==2.0 -c missing.txt")
    assert answer.message.splitlines()[0] == "There is no constraints file missing.txt."
    assert names(either) == {}


# ---------------------------------------------------------------------- --upgrade, --no-deps
def test_upgrade_leaves_what_holds_below(either: Notebook, wheels: Path) -> None:
    """``--upgrade`` is for what is named; a dependency that suffices stays, as with pip."""
    make_wheel(wheels, "tinytop", "1.0", requires=["tinypkg"])
    make_wheel(wheels, "tinytop", "2.0", requires=["tinypkg"])
    either.child("%pin tinytop==1.0 tinypkg==1.0")
    answer = either.child.attempt("%pin --upgrade tinytop")
    assert names(either) == {"tinytop": "2.0", "tinypkg": "1.0"}
    assert answer.steps == ["%pin tinytop==2.0 tinypkg==1.0"]


def test_undo_where_pip_is_set_to_no_dependencies(make: Make, index: Watched) -> None:
    """``PIP_NO_DEPS`` is said once to the installer, also where an undo says it too."""
    found = make(PIP_INDEX_URL=index.url, PIP_NO_DEPS="1")
    found.child("%pin tinyparent==1.0")
    found.child("%pin tinyparent==2.0")
    found.child("%pin undo")
    assert names(found) == {"tinyparent": "1.0"}


# ---------------------------------------------------------------------- hashes
def hashed(wheels: Path, name: str, version: str, wrong: bool = False) -> str:
    """A requirement with the hash of its wheel, or with one that is not."""
    data = (wheels / f"{name}-{version}-py3-none-any.whl").read_bytes()
    digest = "0" * 64 if wrong else hashlib.sha256(data).hexdigest()
    return f"{name}=={version} --hash=sha256:{digest}"


def test_hashes_of_a_file_are_checked(either: Notebook, wheels: Path, index: Watched) -> None:
    """Hashes in a requirements file: a wrong one is refused, the right ones install and hold."""
    file = start(either) / "r.txt"
    good = hashed(wheels, "tinypkg", "1.0").replace(" --hash", " \\\n    --hash")
    file.write_text(f"{good}\n{hashed(wheels, 'tinyother', '1.0', wrong=True)}\n")
    either.fails("%pin -r r.txt", "hash-mismatch")
    file.write_text(f"{good}\n{hashed(wheels, 'tinyother', '1.0')}\n")
    assert either.child.attempt("%pin -r r.txt").steps == ["%pin -r r.txt"]
    assert names(either) == {"tinypkg": "1.0", "tinyother": "1.0"}
    index.asked.clear()
    assert "2 packages are already installed" in either.child("%pin -r r.txt")
    assert index.asked == []


def test_the_wrong_hash_is_the_reason(either: Notebook, wheels: Path) -> None:
    """What is refused for its hash is said to be."""
    line = hashed(wheels, "tinypkg", "1.0", wrong=True)
    either.fails(f"%%pin\n{line}", "hash-mismatch")


def test_hashed_lines_come_back(either: Notebook, wheels: Path) -> None:
    """Lines with and without hashes, recorded one after another, install again from nothing."""
    either.child(f"%%pin\n{hashed(wheels, 'tinypkg', '1.0')}")
    steps: List[str] = either.child.attempt("%pin tinyother==1.0").steps
    assert len(steps) == 2
    either.child("%pin undo")
    site = next(either.machine.python.parent.parent.rglob("site-packages"))
    assert names(either) == {"tinypkg": "1.0"}
    for path in site.glob("tinypkg-*"):
        path.rename(site.parent / path.name)
    either.restart()
    either.child("\n".join(steps))
    assert names(either) == {"tinypkg": "1.0", "tinyother": "1.0"}


# ---------------------------------------------------------------------- -e FOLDER
def project(folder: Path) -> None:
    """A project that can be installed editable, with nothing to download."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mini.py").write_text(BACKEND)
    (folder / "tinylocal.py").write_text("")
    (folder / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'mini'\nbackend-path = ['.']\n"
        "[project]\nname = 'tinylocal'\nversion = '1.0'\n"
    )


@pytest.mark.parametrize("spelled", [".", "mine[more]", "'my (own) projéct'", "./mine/"])
def test_an_editable_folder_of_any_name(either: Notebook, index: Watched, spelled: str) -> None:
    """The notebook's own folder, one with extras, one with signs: installed, kept, held."""
    project(start(either) / spelled.strip("'").split("[")[0])
    answer = either.child.attempt(f"%pin -e {spelled}")
    assert names(either) == {"tinylocal": "1.0"}, answer
    recorded = "mine" if spelled == "./mine/" else spelled
    assert answer.steps == [f"%pin -e {recorded}"]
    index.asked.clear()
    assert "already installed" in either.child(f"%%pin\n-e {spelled}".replace("'", ""))
    assert index.asked == []


def test_an_absolute_folder_beside_the_notebook(notebook: Notebook) -> None:
    """However it is typed, a folder beside the notebook is recorded relative to it."""
    project(start(notebook) / "mine")
    answer = notebook.child.attempt(f"%pin -e {start(notebook) / 'mine'}")
    assert answer.steps == ["%pin -e mine"]


def test_a_clone_goes_with_the_machine(notebook: Notebook) -> None:
    """A clone below the notebook's folder comes back by nothing that is recorded."""
    project(start(notebook) / "clone")
    (start(notebook) / "clone/.git").mkdir()
    answer = notebook.child.attempt("%pin -e clone")
    assert answer.error == "ColabMagicsError" and "Keep it on the drive" in answer.message
    assert names(notebook) == {}


def test_an_editable_repository_is_no_folder(notebook: Notebook) -> None:
    """``-e git+https://...`` is no folder: it says how to write it."""
    answer = notebook.child.attempt("%pin -e git+https://127.0.0.1/x#egg=x")
    assert answer.error == "UsageError" and "git+https" in answer.message


# ---------------------------------------------------------------------- what runs the kernel
def test_what_pulls_at_the_kernel_is_named(either: Notebook) -> None:
    """A package that needs another version of the kernel's machinery is named with it."""
    said = "".join(either.fails("%pin tinygreedy==1.0", "kernel-held"))
    assert "tinygreedy" in said and "tornado" in said
    assert "--allow-kernel-changes" in said


def test_what_pulls_at_the_kernel_is_let(either: Notebook) -> None:
    """With the flag it is done; the flag is not recorded."""
    answer = either.child.attempt("%pin --allow-kernel-changes tinygreedy==1.0")
    assert not answer.error, answer
    assert "tornado-0.1.dist-info" in either.machine.installed()
    assert answer.steps == ["%pin tinygreedy==1.0"]

"""A release without a wheel for this Python: said, refused or built, by the real installers."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from doubles.index import make_sdist, make_wheel
from test_install import Notebook, index, make, notebook, serve, wheels
from test_pin_options import either, names
from test_plan import shown

__all__ = ["either", "index", "make", "notebook", "serve", "wheels"]

#: What installers do is the same under every IPython; `test_install` runs in all versions.
pytestmark = pytest.mark.once

#: Somebody sits there who answers, as a terminal would have it.
PERSON = """
import builtins
from colab_magics.core.host import Host
Host.person = Host.may_ask = True
questions = []
builtins.input = lambda question: questions.append(question) or {answer!r}
"""


@pytest.fixture
def built(wheels: Path, tmp_path: Path) -> Path:
    """What is there once tinyslow 1.1 was built; 1.0, 1.2 and 1.3 have wheels."""
    mark = tmp_path / "built"
    make_sdist(wheels, "tinyslow", "1.1", mark)
    make_wheel(wheels, "tinyslow", "1.1", tag="cp30-cp30m-any")
    for version in ("1.0", "1.2", "1.3"):
        make_wheel(wheels, "tinyslow", version)
    make_wheel(wheels, "tinyneeds", "1.0", requires=["tinyslow==1.1"])
    return mark


def test_a_person_is_asked(built: Path, either: Notebook) -> None:
    """No: nothing is built, and the nearest wheel is named. Yes: built, and the line says so."""
    either.child(PERSON.format(answer=""))
    lines = either.fails("%pin tinyslow==1.1", "no-wheel")
    assert "(1.2 has one)" in lines[0]
    assert "--build" in lines[1]
    assert not built.exists()
    either.child("builtins.input = lambda question: questions.append(question) or 'y'")
    answer = either.child.attempt("%pin tinyneeds==1.0")
    assert built.exists()
    assert names(either) == {"tinyneeds": "1.0", "tinyslow": "1.1"}, answer
    assert answer.steps == ["%pin tinyneeds==1.0 --build"]
    assert either.child("print(len(questions))") == "2"


def test_without_a_person_it_is_built_and_said(built: Path, notebook: Notebook) -> None:
    """Nobody can answer, and a run that stops is lost: it goes on, and names the other version."""
    answer = notebook.child.attempt("%pin tinyslow==1.1")
    assert names(notebook) == {"tinyslow": "1.1"}, answer
    assert built.exists()
    assert "(1.2 has one)" in answer.shown
    assert answer.steps == ["%pin tinyslow==1.1"]


def test_the_plan_says_it_before(built: Path, notebook: Notebook) -> None:
    """The plan says what builds; with ``--build`` nobody is asked, and no more is said."""
    notebook.child(PERSON.format(answer="n"))
    text = notebook.child("%pin --dry-run tinyneeds==1.0")
    assert "tinyslow 1.1 builds from source, which may take minutes; 1.2 has a wheel" in text
    assert not built.exists()
    reports, hint = shown(notebook, "tinyneeds==1.0", "--build")
    assert any("tinyslow 1.1 builds from source" in report for report in reports)
    assert built.exists() and "has no wheel" not in hint
    assert notebook.child("print(len(questions))") == "0"


def test_a_version_before_is_named_where_none_is_later(
    built: Path, notebook: Notebook, wheels: Path
) -> None:
    """The last one with a wheel, where all later ones have none."""
    for version in ("1.2", "1.3"):
        next(wheels.glob(f"tinyslow-{version}-*")).unlink()
    notebook.child(PERSON.format(answer="n"))
    assert "(1.0 has one)" in notebook.fails("%pin tinyslow==1.1", "no-wheel")[0]


def test_who_names_a_source_is_not_asked(built: Path, notebook: Notebook, wheels: Path) -> None:
    """A file, an editable folder, ``--no-binary``, and what has a wheel: installed at once."""
    sdist, home = wheels / "tinyslow-1.1.tar.gz", notebook.machine.home
    with tarfile.open(sdist) as archive:
        archive.extractall(home, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (home / "requirements.txt").write_text("--no-binary tinyslow\ntinyslow==1.2\n")
    make_sdist(wheels, "tinyslow", "1.2", built)
    notebook.child(PERSON.format(answer="n"))
    for words, version in (
        (f"'tinyslow @ {sdist.as_uri()}'", "1.1"),
        ("tinyslow==1.3", "1.3"),
        (f"-e {home / 'tinyslow-1.1'}", "1.1"),
        (f"-r {home / 'requirements.txt'}", "1.2"),
    ):
        built.unlink(missing_ok=True)
        notebook.child(f"%pin --no-record {words}")
        assert names(notebook) == {"tinyslow": version}, words
        assert built.exists() == (version != "1.3"), words
    assert notebook.child("print(len(questions))") == "0"


def test_a_restart_is_said_before(either: Notebook) -> None:
    """The plan names what this kernel has loaded, of the line and of what comes with it."""
    either.child("%pin tinyparent==1.0\nimport tinypkg")
    assert "restart" not in either.child("%pin --dry-run tinyother==1.0")
    line = "A restart will be needed: this kernel has loaded tinypkg 1.0"
    assert line in either.child("%pin --dry-run tinyparent==2.0")
    reports, _ = shown(either, "tinyparent==2.0")
    assert line in reports[-1], "before anything is put in place"

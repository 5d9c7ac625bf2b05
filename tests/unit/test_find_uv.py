"""Which uv installs: the machine's own where it is new enough, else that of our dependency."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Iterator

import pytest

from colab_magics.pin.uv import find_uv

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="elsewhere: its programs are scripts"),
    pytest.mark.once,
]

NEW, OLD = "uv 99.1.0 (abc 2030-01-01)", "uv 0.4.30"


def put(folder: Path, version: str) -> Path:
    """A uv that says that it is this version."""
    folder.mkdir()
    program = folder / "uv"
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The uv of our dependency; there is no other on PATH."""
    program = put(tmp_path / "wheel", OLD)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/uv.py").write_text(f"def find_uv_bin(): return {str(program)!r}\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "uv", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin" if not Path("/usr/bin/uv").exists() else "/bin")
    monkeypatch.delenv("UV_INSTALL_DIR", raising=False)
    yield program
    sys.modules.pop("uv", None)


@pytest.mark.parametrize("variable", ["UV_INSTALL_DIR", "PATH"])
@pytest.mark.parametrize(
    ("version", "is_taken"), [(NEW, True), (OLD, False), ("", False), ("Usage: uv", False)]
)
def test_the_machines_own_is_taken_where_it_is_new_enough(
    wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    version: str,
    is_taken: bool,
) -> None:
    """Where Colab's installer put it, or on PATH; not one that is too old, or does not work."""
    own = put(tmp_path / "own", version)
    others = f":{os.environ['PATH']}" if variable == "PATH" else ""
    monkeypatch.setenv(variable, f"{own.parent}{others}")
    assert find_uv() == str(own if is_taken else wheel)


@pytest.mark.parametrize("version", [NEW, OLD])
def test_without_our_dependency_any_does(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """The wheel of uv may be missing: pip installs and removes it at the path of Colab's own."""
    own = put(tmp_path / "own", version)
    monkeypatch.setenv("UV_INSTALL_DIR", str(own.parent))
    wheel.unlink()
    (tmp_path / "site/uv.py").write_text("def find_uv_bin(): raise FileNotFoundError\n")
    assert find_uv() == str(own)


def test_where_there_is_none(wheel: Path, tmp_path: Path) -> None:
    """None, so that pip installs."""
    (tmp_path / "site/uv.py").write_text("def find_uv_bin(): raise FileNotFoundError\n")
    assert find_uv() is None


@pytest.mark.parametrize("place", ["relative", "written by others"])
def test_one_that_anybody_may_have_put_there_is_not_taken(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Neither of the folder where the kernel stands, nor a program that others may write."""
    own = put(tmp_path / "own", NEW)
    monkeypatch.chdir(own.parent)
    path = "." if place == "relative" else str(own.parent)
    if place != "relative":
        own.chmod(0o777)
    monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}")
    assert find_uv() == str(wheel)


def test_a_folder_that_this_user_cannot_see_is_passed_over(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where PATH still names one of root's."""
    stat, hidden = Path.stat, tmp_path / "hidden"

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if path.parent == hidden:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setenv("PATH", f"{hidden}:{os.environ['PATH']}")
    assert find_uv() == str(wheel)

"""Archives of strangers: nothing in them becomes a part of git, whose programs would be run."""

from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Callable, List

import pytest

from colab_magics.core.errors import SourceError
from colab_magics.fetch.extract import unpack

#: Paths with a part that git takes for ``.git`` on some system: its fsck refuses the same.
GIT = (
    ".git",
    ".git/hooks/post-checkout",
    "a/.git/config",
    "a/b/.GIT/hooks/x",
    ".Git/x",
    ".git./x",
    ".git /x",
    ".git . . /x",
    ".GIT./x",
    "git~1/x",
    "GIT~1",
    "a/git~1 ./x",
    ".git::$INDEX_ALLOCATION/x",
    ".git:x",
    ".gIt.:y/x",
    "a\\.git\\x",
    ".git\\x",
    "./.git/x",
    ".g\u200cit/x",
    ".\u200dgit/x",
    "\u202a.git/x",
    ".gi\u206at/x",
    ".git\ufeff/x",
    ".GI\u200fT/x",
)
#: What is like it, and is people's own.
PLAIN = (
    ".github/workflows/x.yml",
    ".gitignore",
    ".gitmodules",
    "a.git/config",
    "git/x",
    "git~2/x",
    "..git/x",
    ".git-x/y",
    "digit~1/x",
    ".gitx",
)


def tar_of(*names: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """A tar with a file before these, so that something would be left of it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for number, name in enumerate(("first.txt", *names)):
            info = tarfile.TarInfo(name)
            info.size, info.mode = 1, 0o755
            if number and kind != tarfile.REGTYPE:
                info.type, info.linkname, info.size = kind, link, 0
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return made.getvalue()


def zip_of(*names: str) -> bytes:
    """The same as a zip."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in ("first.txt", *names):
            archive.writestr(zipfile.ZipInfo(name), b"x")
    return made.getvalue()


def refused(folder: Path, data: bytes) -> bool:
    """Whether an archive is refused, and nothing of it is left."""
    archive = folder / "x"
    archive.write_bytes(data)
    try:
        unpack(archive, folder / "into", 0, lambda line: None)
    except SourceError:
        return os.listdir(folder) == ["x"]
    return False


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_no_part_of_a_path_is_git_s(
    tmp_path: Path, held: Callable[[int, int], None], make: Callable[..., bytes]
) -> None:
    """A hook or a configuration in an archive would be run by the next git there: it is refused."""
    bad: List[str] = [name for name in GIT if not refused(tmp_path, make(name))]
    held(len(GIT), len(GIT) - len(bad))
    assert bad == []


@pytest.mark.parametrize(
    ("kind", "name", "link"),
    [
        (tarfile.SYMTYPE, ".git", "first.txt"),
        (tarfile.LNKTYPE, ".git", "first.txt"),
        (tarfile.DIRTYPE, "a/.git/", ""),
        (tarfile.SYMTYPE, "hook", ".git/hooks/post-checkout"),
        (tarfile.SYMTYPE, "a/hook", "../.GIT/config"),
        (tarfile.SYMTYPE, "hooks", "git~1/hooks"),
    ],
)
def test_no_link_and_no_folder_is_git_s(tmp_path: Path, kind: bytes, name: str, link: str) -> None:
    """Neither is one, nor does one lead there, to be written through later."""
    assert refused(tmp_path, tar_of(name, kind=kind, link=link))


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_names_like_it_are_files_as_any(tmp_path: Path, make: Callable[..., bytes]) -> None:
    """What git itself has people keep in repositories comes out."""
    archive = tmp_path / "x"
    archive.write_bytes(make(*PLAIN))
    result = unpack(archive, tmp_path / "into", 0, lambda line: None)
    assert [stamp.path for stamp in result] == sorted(("first.txt", *PLAIN))


def test_a_size_below_nothing(tmp_path: Path) -> None:
    """A tar that says so of a member is refused before what follows is taken into memory."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", format=tarfile.PAX_FORMAT) as packed:
        one = tarfile.TarInfo("x")
        one.size, one.pax_headers = 64 << 20, {"size": "-1"}
        packed.addfile(one, io.BytesIO(bytes(one.size)))
    path = tmp_path / "x.tgz"
    path.write_bytes(made.getvalue())
    tracemalloc.start()
    try:
        with pytest.raises(SourceError):
            unpack(path, tmp_path / "out", 0, lambda line: None, path.name)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert not [result for result in tmp_path.rglob("*") if result.is_file() and result != path]

"""Repositories that strangers made, or git keeps otherwise: read by git, and none of it run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Tuple

import pytest

from colab_magics.github.address import Address
from colab_magics.github.git import Git
from colab_magics.github.repository import Repository, open_repository

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("git") is None, reason="elsewhere: POSIX with git"
)
URL = "https://github.com/o/r"


def git(folder: Path, *words: str) -> str:
    """What git prints in a folder."""
    names = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *names, *words], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with a commit, a tag and an origin."""
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "a").write_text("a")
    git(folder, "add", "a")
    git(folder, "commit", "-qm", "a")
    git(folder, "tag", "-a", "v1", "-m", "v1")
    git(folder, "remote", "add", "origin", URL)
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    return folder


def known(found: Repository) -> Tuple[object, ...]:
    """All that is read of one."""
    return found.origin, found.branch, found.head, found.resolve("v1"), found.published


@pytest.mark.parametrize("packed", [False, True])
def test_a_linked_work_tree_is_read(clone: Path, tmp_path: Path, packed: bool) -> None:
    """Its ``.git`` is a file, and refs and settings lie elsewhere: it is a clone as any."""
    git(clone, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    if packed:
        git(clone, "pack-refs", "--all")
    head = git(clone, "rev-parse", "HEAD")
    linked, main = open_repository(tmp_path / "linked"), open_repository(clone)
    assert main is not None and known(main) == (URL, "main", head, head, head)
    assert linked is not None and known(linked) == (URL, "other", head, head, "")
    assert linked.git == clone / ".git" / "worktrees" / "linked"


def test_a_submodule_of_another_place_is_read(clone: Path, tmp_path: Path) -> None:
    """A relative ``.git`` file; one that leads nowhere, and a folder without one, are no clone."""
    for name, text in (
        ("sub", "gitdir: ../clone/.git\n"),
        ("bad", "gitdir: nowhere\n"),
        ("no", ""),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".git").write_text(text)
    found = open_repository(tmp_path / "sub")
    assert found is not None and found.origin == URL
    assert (
        open_repository(tmp_path / "bad") is None
        and open_repository(tmp_path / "no") is None
        and open_repository(tmp_path) is None
    )


#: A git that knows refs in tables, as 2.45 does; where it is asked of others it answers nothing.
_REFTABLE = """#!/bin/sh
case "$*" in
  *--git-dir={git}*rev-parse*HEAD) echo {sha};;
  *--git-dir={git}*symbolic-ref*HEAD) echo refs/heads/main;;
  *--git-dir={git}*config*remote.origin.url) echo {url};;
  *--git-dir={git}*for-each-ref*refs/tags/v1) echo "refs/tags/v1 {sha} {other}";;
  *) exit 1;;
esac
"""


def test_refs_in_tables_are_git_s_to_read(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HEAD names ``refs/heads/.invalid`` there, and no file says which commit is checked out."""
    (clone / ".git" / "HEAD").write_text("ref: refs/heads/.invalid\n")
    shutil.rmtree(clone / ".git" / "refs")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "git"
    sha, other = "1" * 40, "2" * 40
    program.write_text(_REFTABLE.format(git=clone / ".git", sha=sha, other=other, url=URL))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    found = open_repository(clone)
    assert found is not None and known(found) == (URL, "main", sha, sha, "")


@pytest.mark.parametrize(
    "setting",
    [
        "core.fsmonitor",
        "core.hooksPath",
        "diff.external",
        "core.pager",
        "core.sshCommand",
        "core.gitProxy",
        "remote.origin.uploadpack",
        "alias.rev-parse",
        "alias.config",
        "hooks/post-checkout",
        "hooks/post-index-change",
        "hooks/reference-transaction",
        "partial",
    ],
)
def test_nothing_of_a_repository_is_run(clone: Path, tmp_path: Path, setting: str) -> None:
    """What is read of one starts no program that it names; checking out runs none of its hooks."""
    evil, mark = tmp_path / "evil", tmp_path / "ran"
    evil.mkdir()
    names = ["x", "post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc"]
    for name in names:
        (evil / name).write_text(f"#!/bin/sh\ntouch {mark}\n")
        (evil / name).chmod(0o755)
    value = str(evil if setting == "core.hooksPath" else evil / "x")
    if setting.startswith("hooks/"):
        shutil.copy(evil / "x", clone / ".git" / setting)
    elif setting == "partial":
        git(clone, "config", "core.repositoryFormatVersion", "1")
        for name, text in (("uploadpack", value), ("url", str(clone)), ("promisor", "true")):
            git(clone, "config", f"remote.origin.{name}", text)
        git(clone, "config", "extensions.partialClone", "origin")
        tag = git(clone, "rev-parse", "refs/tags/v1")
        (clone / ".git" / "objects" / tag[:2] / tag[2:]).unlink()
    else:
        git(clone, "config", setting, f"!{value}" if setting.startswith("alias.") else value)
    found = open_repository(clone)
    assert found is not None and found.head and known(found)[1] == "main"
    if setting != "partial":
        run = Git(Address("o/r", ""))
        run(clone, "status", "--porcelain", "--untracked-files=no")
        run(clone, "checkout", "-q", "--detach", "HEAD")
        run(clone, "update-ref", "refs/colab-magics/x", "HEAD")
    assert not mark.exists()

"""Finishing a move that was cut off: what git did is completed, what a person did is not touched.

Nothing in the clone was a person's when the move began. What has come since is told by its content:
git's own is as it was before, or as it is to be, or the beginning of that.
"""

from __future__ import annotations

import os
import shutil
from typing import List, NamedTuple, Set, Tuple

from ..core.display import files
from ..core.errors import SourceError
from .git import Git
from .repository import MOVING, Repository

#: What git holds while it writes; left by one that was killed.
_LOCKS = ("index.lock", "HEAD.lock", "shallow.lock", "config.lock", "packed-refs.lock")
#: In the git directory while a clone is looked at: an index of our own, files to compare with.
_FILES, _INDEX = "colab-magics-looked-at", ".colab-magics-index"
#: More files than git may have been writing when it was cut off.
_MANY = 50


def known(git: Git, found: Repository, commit: str) -> bool:
    """Whether a commit is here, with its files."""
    return (
        bool(commit)
        and not git.attempt(found.folder, "cat-file", "-e", f"{commit}^{{tree}}").status
    )


def repair(git: Git, found: Repository, label: str) -> None:
    """Complete a move that was cut off; `SourceError` where somebody worked there since."""
    moving = found.git / MOVING
    if not moving.exists():
        return
    for name in _LOCKS:
        lock = found.git / name
        if lock.exists():  # we are alone, and git keeps our lock as long as it lives
            lock.unlink()
    commit = moving.read_text(encoding="ascii")
    if commit != found.head and known(git, found, commit):  # git moves HEAD last
        try:
            moved, edited = _looked(git, found, commit)
        finally:
            shutil.rmtree(found.git / _FILES, ignore_errors=True)
        if moved and edited:
            raise SourceError(
                f"{label} was being changed when that was cut off, and somebody changed "
                f"{files(len(edited))} in it since; it was left alone.",
                "Move what is yours away, and run it again.",
                "\n".join(edited[:5]),
            )
        if moved:
            git(found.folder, "checkout", "-q", "-f", "--detach", commit)
    moving.unlink()


class _Tree(NamedTuple):
    """The paths of a commit, and those of them that are other ones on disk, or not there."""

    paths: Set[str]
    differ: Set[str]


def _looked(git: Git, found: Repository, commit: str) -> Tuple[bool, List[str]]:
    """Whether git has moved anything, and the files that it would not have left like that."""
    old, new = _tree(git, found, "HEAD"), _tree(git, found, commit)
    staged = _names(git(found.folder, "ls-files", "-z"))
    there = {
        path for path in old.paths | new.paths | staged if os.path.lexists(str(found.folder / path))
    }
    edited = sorted(there - (old.paths - old.differ) - (new.paths - new.differ))
    if len(edited) < _MANY:
        edited = [path for path in edited if not _half(git, found, path)]
    moved = old.differ | (there & new.paths - old.paths)
    return bool(moved - {*edited}), edited


def _tree(git: Git, found: Repository, commit: str) -> _Tree:
    index = found.git / _FILES / _INDEX
    index.parent.mkdir(exist_ok=True)
    git(found.folder, "read-tree", commit, index=index)
    changed = ("diff", "--name-only", "--no-renames", "--ignore-submodules=all", "-z")
    return _Tree(
        _names(git(found.folder, "ls-files", "-z", index=index)),
        _names(git(found.folder, *changed, index=index)),
    )


def _half(git: Git, found: Repository, path: str) -> bool:
    """Whether a file is the beginning of the one that it is to be; its index was read last."""
    folder = found.git / _FILES
    words = ("checkout-index", "-q", "-f", f"--prefix={folder}/", "--", path)
    if git.attempt(found.folder, *words, index=folder / _INDEX).status:
        return False
    whole, here = folder / path, found.folder / path
    plain = all(one.is_file() and not one.is_symlink() for one in (whole, here))
    return plain and whole.read_bytes().startswith(here.read_bytes())


def _names(lines: Tuple[str, ...]) -> Set[str]:
    return set("\n".join(lines).split("\0")) - {""}

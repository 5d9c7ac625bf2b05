"""What a clone on disk is, as git says: it may be a linked work tree, or store its refs otherwise.

Source: git's documentation, "git-rev-parse", "git-for-each-ref" and "git-worktree".
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import FrozenSet, Optional, Sequence, Tuple

from ..core.ownership import is_own
from ..core.process import run

#: In the git directory: the ref and the commit that we checked out last, and the extras.
RECORD = "colab-magics"
#: Exists while we change the work tree.
MOVING = "colab-magics-moving"

#: Against settings of a clone that have git run programs.
QUIET = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false")
SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
SHORT_SHA = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True)
class Repository:
    """A work tree with its git directory; what git says of it is read once."""

    folder: Path
    git: Path

    @cached_property
    def head(self) -> str:
        """Return the commit that is checked out; empty where there is none yet."""
        return self._query("rev-parse", "-q", "--verify", "HEAD")

    @cached_property
    def branch(self) -> str:
        """Return the branch that is checked out; empty where HEAD is detached."""
        return self._query("symbolic-ref", "-q", "HEAD").replace("refs/heads/", "", 1)

    @cached_property
    def origin(self) -> str:
        """Return the URL of ``origin``; empty where there is none."""
        return self._query("config", "--get", "remote.origin.url")

    @property
    def label(self) -> str:
        """Return the commit for people: ``1a2b3c4 (main)``."""
        short = self.head[:7] or "no commit"
        return f"{short} ({self.branch})" if self.branch else short

    @cached_property
    def record(self) -> Tuple[str, str, FrozenSet[str]]:
        """Return the ref and the commit that we checked out last, and the extras; or nothing."""
        ref, commit, *extras = [*self._read(RECORD).splitlines(), "", ""]
        return ref, commit, frozenset(filter(None, extras))

    @property
    def published(self) -> str:
        """Return the commit that is checked out, if a branch of the server was seen there."""
        names = [f"refs/remotes/origin/{name}" for name in (self.branch, "HEAD") if name]
        return self.head if self.head in map(self._read_ref, names) else ""

    @property
    def paths(self) -> Tuple[Path, ...]:
        """Return where git reads what this repository is; a linked work tree shares some of it."""
        shared = self.git / (self._read("commondir").strip() or ".")
        files = (self.git / "HEAD", shared / "config", self.git / "config.worktree")
        return (self.git, shared, *(path for path in files if os.path.lexists(path)))

    @property
    def closed(self) -> bool:
        """Tell whether other users cannot change what it says, or put another in its place."""
        if not hasattr(os, "geteuid"):
            return True  # Windows has no such modes
        top = (self.folder, self.folder / ".git")
        modes = [path.stat().st_mode for path in (*top, *self.paths)]
        sticky = modes[0] & stat.S_ISVTX  # users remove only their own files from a sticky folder
        return not any(mode & stat.S_IWOTH for mode in (modes[1:] if sticky else modes))

    def resolve(self, ref: str) -> str:
        """Return the commit that a ref was when it was last fetched; empty where it is unknown."""
        if SHORT_SHA.fullmatch(ref) and self.head.startswith(ref):
            return self.head
        return self._read_ref(f"refs/tags/{ref}") or self._read_ref(f"refs/remotes/origin/{ref}")

    def _read_ref(self, name: str) -> str:
        """Return the commit of a ref, also that of an annotated tag; a pattern may match others."""
        form = "--format=%(refname) %(*objectname) %(objectname)"
        words = self._query("for-each-ref", form, name).split()
        return words[1] if words[:1] == [name] else ""

    def _query(self, *words: str) -> str:
        return "".join(_query(self.git, *words)[-1:])

    def _read(self, name: str) -> str:
        try:
            return (self.git / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def open_repository(folder: Path) -> Optional[Repository]:
    """Return the clone in a folder; None where there is none, or it is another user's.

    Its files say where things go, and which programs git runs. Git checks owners only where it
    searches for a repository itself, and not with ``--git-dir``.
    """
    git = folder / ".git"
    if not (_is_ours(folder) and _is_ours(git)):
        return None
    if git.is_file():  # a linked work tree, or a submodule
        lines = _query(git, "rev-parse", "--absolute-git-dir")
        git = Path(lines[-1]) if lines else git
    repository = Repository(folder, git)
    return repository if git.is_dir() and all(map(_is_ours, repository.paths)) else None


def _is_ours(path: Path) -> bool:
    """Tell whether this user, or root, owns a file, and the link to it if there is one."""
    try:
        return all(is_own(info) or info.st_uid == 0 for info in (path.lstat(), path.stat()))
    except OSError:
        return False


def _query(git: Path, *words: str) -> Sequence[str]:
    """Return what git prints about a repository, after its warnings; nothing where it fails.

    A stranger may have made it: none of these commands runs a program that its settings name, and
    missing objects are not fetched, which would run one.
    """
    program = shutil.which("git")
    if program is None:
        return ()
    variables = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    variables.update(GIT_ALLOW_PROTOCOL="none", GIT_TERMINAL_PROMPT="0", LC_ALL="C")
    try:
        done = run([program, f"--git-dir={git}", *QUIET, *words], variables, timeout=30.0)
    except TimeoutError:
        return ()
    return () if done.status else done.lines

"""What a clone on disk is, as git says: it may be a linked work tree, or keep its refs otherwise.

Source: git's documentation, "git-rev-parse", "git-for-each-ref" and "git-worktree".
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path
from typing import FrozenSet, NamedTuple, Optional, Tuple

from ..core.ownership import is_own
from ..core.process import run

#: In the git directory: the ref and the commit that we checked out last, and what came with it.
SEEN = "colab-magics"
#: There while the work tree is being changed.
MOVING = "colab-magics-moving"

#: Settings of a clone that have git run programs; a person's own git runs them all the same.
QUIET = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false")
#: Seconds for what is read from the disk alone.
_PATIENCE = 30.0

SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
SOME = re.compile(r"[0-9a-f]{7,64}")


class Repository(NamedTuple):
    """A work tree with its git directory."""

    folder: Path
    git: Path

    @property
    def head(self) -> str:
        """The commit that is checked out; empty where there is none yet."""
        return "".join(_ask(self.git, "rev-parse", "-q", "--verify", "HEAD")[-1:])

    @property
    def branch(self) -> str:
        """The branch that is checked out; empty where HEAD is detached."""
        name = "".join(_ask(self.git, "symbolic-ref", "-q", "HEAD")[-1:])
        return name.replace("refs/heads/", "", 1)

    @property
    def origin(self) -> Optional[str]:
        """The URL of ``origin``."""
        return "".join(_ask(self.git, "config", "--get", "remote.origin.url")[-1:]) or None

    @property
    def said(self) -> str:
        """The commit for people: ``1a2b3c4 (main)``."""
        short = self.head[:7] or "no commit"
        return f"{short} ({self.branch})" if self.branch else short

    @property
    def seen(self) -> Tuple[str, str]:
        """The ref and the commit that we checked out last; empty where we never did."""
        ref, commit = [*self._text(SEEN).splitlines(), "", ""][:2]
        return ref, commit

    @property
    def brought(self) -> FrozenSet[str]:
        """What came with the commit that we checked out last: see `CloneStep.extras`."""
        return frozenset(self._text(SEEN).splitlines()[2:])

    @property
    def published(self) -> str:
        """The commit that is checked out, if it is where a branch of the server was seen."""
        head = self.head
        known = [self._ref(f"refs/remotes/origin/{name}") for name in (self.branch, "HEAD") if name]
        return head if head in known else ""

    @property
    def places(self) -> Tuple[Path, ...]:
        """Where git reads what this repository is; a linked work tree shares some of it."""
        shared = self.git / (self._text("commondir").strip() or ".")
        named = (self.git / "HEAD", shared / "config", self.git / "config.worktree")
        return (self.git, shared, *(path for path in named if os.path.lexists(path)))

    @property
    def closed(self) -> bool:
        """Whether other users of the machine cannot change what it says, or put another there."""
        if not hasattr(os, "geteuid"):
            return True  # Windows has no such modes
        top = (self.folder, self.folder / ".git")
        modes = [path.stat().st_mode for path in (*top, *self.places)]
        keeps = modes[0] & stat.S_ISVTX  # in a sticky folder one takes away only what is one's own
        return not any(mode & stat.S_IWOTH for mode in (modes[1:] if keeps else modes))

    def means(self, ref: str) -> str:
        """The commit that a ref was when it was last fetched; empty where it is not known here."""
        head = self.head
        if SOME.fullmatch(ref) and head.startswith(ref):
            return head
        places = (f"refs/tags/{ref}", f"refs/remotes/origin/{ref}")
        return next((found for found in map(self._ref, places) if found), "")

    def _ref(self, name: str) -> str:
        """The commit of a ref, that of an annotated tag too."""
        form = "--format=%(refname) %(*objectname) %(objectname)"
        for words in map(str.split, _ask(self.git, "for-each-ref", form, name)):
            if words[:1] == [name]:
                return words[1]
        return ""

    def _text(self, name: str) -> str:
        try:
            return (self.git / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def at(folder: Path) -> Optional[Repository]:
    """The clone that a folder is the top of; None where it is none, or another user's.

    What lies in one says where things go, and which programs git runs. Git looks at owners only
    where it searches for a repository itself, which ``--git-dir`` has it leave out.
    """
    git = folder / ".git"
    if not (_is_ours(folder) and _is_ours(git)):
        return None
    if git.is_file():  # a linked work tree, or a submodule
        found = _ask(git, "rev-parse", "--absolute-git-dir")
        git = Path(found[-1]) if found else git
    if not git.is_dir():
        return None
    made = Repository(folder, git)
    return made if all(map(_is_ours, made.places)) else None


def _is_ours(path: Path) -> bool:
    """Whether this user, or root, owns what is there, and the link to it if there is one."""
    try:
        found = (path.lstat(), path.stat())
    except OSError:
        return False
    return all(is_own(one) or one.st_uid == 0 for one in found)


def _ask(git: Path, *words: str) -> Tuple[str, ...]:
    """What git says of a repository, behind its warnings; nothing where it cannot.

    A stranger may have made it: none of these words runs what its settings name, and what is not
    there is not fetched for them, which would.
    """
    program = shutil.which("git")
    if program is None:
        return ()
    variables = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    variables.update(GIT_ALLOW_PROTOCOL="none", GIT_TERMINAL_PROMPT="0", LC_ALL="C")
    try:
        done = run([program, f"--git-dir={git}", *QUIET, *words], variables, timeout=_PATIENCE)
    except TimeoutError:
        return ()
    return () if done.status else done.lines

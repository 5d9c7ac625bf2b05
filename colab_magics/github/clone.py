"""Clone a repository, or move a clone to a commit; never over a person's work.

A clone is made beside its place and moved there when it is complete. An existing one is moved only
where nothing in it is a person's: no changed file, and no commit that only it has.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import FrozenSet, List, Sequence

from ..core.arguments import quote
from ..core.display import files
from ..core.errors import SourceError
from ..core.file_lock import alone
from ..core.files import clear
from ..core.folders import cache_folder, hash_path
from ..core.host import Host
from ..core.process import Finished
from ..core.steps import Outcome, OutcomeStatus, Progress, Step
from ..secret.lookup import value
from .address import Address, holds_login, is_same
from .git import Git
from .repository import MOVING, RECORD, SHA, SHORT_SHA, Repository, open_repository

#: Locks of git's that remain where it was killed.
_LOCKS = ("index.lock", "HEAD.lock", "shallow.lock", "config.lock", "packed-refs.lock")


@dataclass(frozen=True)
class CloneSpec(Step):
    """A repository in a folder, at a commit; ``commit`` is empty in a line that is typed."""

    repository: str
    ref: str = ""
    folder: str = ""
    depth: int = 0
    submodules: bool = False
    lfs: bool = False
    token: str = ""
    commit: str = ""
    #: Move to what the ref is now; not recorded.
    update: bool = False

    @property
    def address(self) -> Address:
        """Return the repository and the ref."""
        return Address(self.repository, self.ref)

    @property
    def label(self) -> str:
        """Return the folder as people see it."""
        return self.folder or self.address.name

    @property
    def extras(self) -> FrozenSet[str]:
        """Return what is to be fetched with the commit, as people call it."""
        extras = {"submodules": self.submodules, "large files": self.lfs}
        return frozenset(name for name, wanted in extras.items() if wanted)

    def place(self, host: Host) -> Path:
        """Return where it is on this host."""
        return host.resolve(self.label)


def clone_or_update(spec: CloneSpec, host: Host, progress: Progress) -> Outcome:
    """Clone, or move an existing clone; one that a person has changed is left as it is."""
    place = spec.place(host)
    token = value(host, spec.token) if spec.token else ""
    with ExitStack() as stack:
        lock = _lock(spec, place, progress, stack)
        worker = _Worker(spec, host, Git(spec.address, token, progress, (lock,)))
        repository = open_repository(place)
        return worker.clone(place) if repository is None else worker.update(repository)


def _lock(spec: CloneSpec, place: Path, progress: Progress, stack: ExitStack) -> int:
    """Lock a place as long as the stack exists; return the open file."""
    messages: List[str] = []

    def on_wait(seconds: float) -> None:
        if not messages:
            messages.append(f"waiting for another kernel, which clones {spec.label}")
            progress(messages[0])

    try:
        lock = cache_folder("clones") / f"{hash_path(place)}.lock"
        return stack.enter_context(alone(lock, on_wait))
    except OSError as error:
        raise SourceError(
            f"The folder for caches cannot be created: {error.strerror}.",
            "Name one that you may write to: %env XDG_CACHE_HOME=FOLDER",
            code="no-cache",
        ) from None


class _Worker:
    """Clones or updates one repository."""

    def __init__(self, spec: CloneSpec, host: Host, git: Git) -> None:
        self.spec, self.host, self._git = spec, host, git
        self._depth = ("--depth", str(spec.depth)) if spec.depth else ()

    def clone(self, place: Path) -> Outcome:
        """Clone beside the place, with all that belongs to it; then move it there at once."""
        label = self.spec.label
        place = place.resolve() if place.is_dir() else place  # a link to a folder stays one
        if os.path.lexists(str(place)) and (not place.is_dir() or any(place.iterdir())):
            raise self._occupied("exists and is not a clone of yours")
        base = next(folder for folder in place.parents if folder.is_dir())
        fresh = base / f".{place.name}.cloning"
        clear(fresh)  # of one that was killed
        options = ["--progress", "--no-checkout", "--origin", "origin", *self._depth]
        options += ["--no-single-branch"] if self._depth else []
        try:
            self._git(base, "clone", *options, self.spec.address.url, str(fresh))
            repository = Repository(fresh, fresh / ".git")
            self._check_out(repository, self._find_commit(fresh))
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.is_dir():
                place.rmdir()  # empty; some systems do not rename over it
            fresh.rename(place)
        except OSError as error:
            message = f"{label} cannot be created: {error.strerror}."
            raise SourceError(message, "Choose another folder.", code="no-folder") from None
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        at = Repository(place, place / ".git").label
        hint = f"Work in it: %cd_persist {quote(self.host.spell_here(place))}"
        return self._finish("applied", f"{label} cloned, at {at}", hint)

    def update(self, repository: Repository) -> Outcome:
        """Move an existing clone to the commit, unless there is a person's work in it."""
        spec, folder = self.spec, repository.folder
        if holds_login(repository.origin):
            raise SourceError(
                f"The address of {spec.label} holds a login, which every process could see.",
                f"Remove it: git -C {quote(str(folder))} remote set-url origin {spec.address.url}",
                code="login",
            )
        if not is_same(repository.origin, spec.address.url):
            raise self._occupied(f"is a clone of {repository.origin or 'nothing'}")
        before = repository.label  # which is read from the disk once
        self._finish_interrupted(repository)
        work = self._find_work(folder)
        if work:
            message = f"{spec.label} has {work}: left as it is, at {before}"
            hint = "Once they are pushed or gone, run this again."
            return Outcome("unchanged", message, None, hint)
        if spec.update or not self._has(folder, spec.commit):
            self._git(folder, "fetch", "--progress", "--tags", "--force", *self._depth, "origin")
        self._check_out(repository, self._find_commit(folder))
        after = replace(repository).label
        lacked = " and ".join(sorted(spec.extras - repository.record[2]))
        if after != before:
            hint = (
                ""
                if spec.update or not spec.commit
                else "This is the recorded commit. For the newest: --update"
            )
            return self._finish("applied", f"{spec.label}: {before} -> {after}", hint)
        if lacked:
            return self._finish("applied", f"{spec.label}: {lacked} fetched, at {before}")
        return self._finish("unchanged", f"{spec.label}: still at {before}")

    def _finish(self, status: OutcomeStatus, message: str, hint: str = "") -> Outcome:
        return Outcome(status, message, self.spec.recorded(self.host), hint)

    def _occupied(self, reason: str) -> SourceError:
        return SourceError(
            f"{self.spec.label} {reason}; it was left as it is.",
            f"Name another folder: %github clone {self.spec.repository} FOLDER",
            code="occupied",
        )

    def _finish_interrupted(self, repository: Repository) -> None:
        """Clear up after an update that was killed; `SourceError` where it left changed files.

        They are git's, or a person's since: the person decides which to keep.
        """
        marker = repository.git / MOVING
        if not marker.exists():
            return
        for name in _LOCKS:  # nobody else is at work: git holds our lock as long as it runs
            (repository.git / name).unlink(missing_ok=True)
        commit = marker.read_text(encoding="ascii")
        changed = self._changed(repository.folder)
        # git moves HEAD last
        if commit != repository.head and changed and self._has(repository.folder, commit):
            raise SourceError(
                f"An update of {self.spec.label} was interrupted; it was left as it is.",
                "Move away what you have changed there since, and have git finish it: "
                f"!git -C {quote(str(repository.folder))} checkout -f --detach {commit}",
                "\n".join(changed[:5]),
                code="interrupted",
            )
        marker.unlink()

    def _find_work(self, folder: Path) -> str:
        """Return what in a clone is a person's, as people call it; empty where nothing is."""
        changed = self._changed(folder)
        if changed:
            return f"changes in {files(len(changed))}"
        ours = ("--not", "--remotes", "--tags", "--glob=refs/colab-magics/*")
        count = self._git(folder, "rev-list", "--count", "HEAD", "--branches", *ours)[-1]
        return "" if count == "0" else f"{count} commit{'s' if count != '1' else ''} of its own"

    def _changed(self, folder: Path) -> Sequence[str]:
        return self._git(folder, "status", "--porcelain", "--untracked-files=no")

    def _has(self, folder: Path, commit: str) -> bool:
        """Tell whether a commit is here, with its files."""
        words = ("cat-file", "-e", f"{commit}^{{tree}}")
        return bool(commit) and not self._git.attempt(folder, *words).status

    def _find_commit(self, folder: Path) -> str:
        """Return the commit to check out, fetched if need be."""
        spec, commit = self.spec, "" if self.spec.update else self.spec.commit
        if commit:
            # One that is on no branch any more: most servers still send it by its name.
            if self._has(folder, commit) or not self._fetch(folder, commit).status:
                return commit
            message = f"{spec.repository} no longer has the commit {commit[:7]} that is recorded."
            raise SourceError(message, "To take what it is now: --update", code="no-commit")
        names = [f"refs/remotes/origin/{spec.ref or 'HEAD'}"]
        names += [f"refs/tags/{spec.ref}", spec.ref] if spec.ref else []
        for name in names:
            done = self._git.attempt(folder, "rev-parse", "--verify", "-q", f"{name}^{{commit}}")
            if not done.status and done.lines:
                return done.lines[-1]
        if SHA.fullmatch(spec.ref) and not self._fetch(folder, spec.ref).status:
            return spec.ref
        message, hint = f"{spec.repository} has no {spec.ref}.", "Check the name after @."
        if spec.depth and SHORT_SHA.fullmatch(spec.ref):
            message = f"{spec.repository} has no {spec.ref} among the last commits."
            hint = "Name the full commit, or leave --depth out."
        elif not spec.ref:
            message, hint = f"{spec.repository} is empty: it has no commit yet.", "Push one first."
        raise SourceError(message, hint, code="no-ref")

    def _fetch(self, folder: Path, commit: str) -> Finished:
        return self._git.attempt(folder, "fetch", "--progress", *self._depth, "origin", commit)

    def _check_out(self, repository: Repository, commit: str) -> None:
        """Check out the commit: on the branch that the line names, else detached."""
        git, folder = self._git, repository.folder
        branch = self.spec.ref or self._default_branch(folder)
        remote = f"refs/remotes/origin/{branch}"
        on_branch = branch and not git.attempt(folder, "show-ref", "-q", "--verify", remote).status
        where = ("--no-track", "-B", branch) if on_branch else ("--detach",)
        git(folder, "update-ref", f"refs/colab-magics/{commit}", commit)  # it is the server's
        marker = repository.git / MOVING
        marker.write_text(commit, encoding="ascii")
        try:  # git would replace ignored files without a word
            git(folder, "checkout", "--no-overwrite-ignore", "--progress", *where, commit)
        except SourceError:  # git refused before it changed anything
            marker.unlink()
            raise
        if on_branch:
            git(folder, "branch", "-q", f"--set-upstream-to=origin/{branch}")
        extras = self.spec.extras | repository.record[2]  # what was fetched once is updated too
        if "submodules" in extras:
            self._update_submodules(folder)
        if "large files" in extras:
            self._pull_large_files(folder)
        record = "\n".join([self.spec.ref, commit, *sorted(extras), ""])
        (repository.git / RECORD).write_text(record, encoding="utf-8")
        marker.unlink()

    def _default_branch(self, folder: Path) -> str:
        words = ("symbolic-ref", "-q", "--short", "refs/remotes/origin/HEAD")
        return "".join(self._git.attempt(folder, *words).lines[-1:]).replace("origin/", "", 1)

    def _update_submodules(self, folder: Path) -> None:
        """Update the submodules, level by level: git is given no address that holds a login."""
        with suppress(OSError):
            if holds_login((folder / ".gitmodules").read_text(encoding="utf-8", errors="replace")):
                raise SourceError(
                    "The address of a submodule holds a login, which every process could see.",
                    "Leave --submodules out, or tell its authors.",
                    code="login",
                )
        depth = ("--depth", "1") if self._depth else ()
        self._git(folder, "submodule", "update", "--progress", "--init", *depth)
        staged = "\n".join(self._git(folder, "ls-files", "-s", "-z")).split("\0")
        for path in (entry.partition("\t")[2] for entry in staged if entry.startswith("160000 ")):
            if (folder / path / ".gitmodules").is_file():
                self._update_submodules(folder / path)

    def _pull_large_files(self, folder: Path) -> None:
        if self._git.attempt(folder, "lfs", "version").status:
            message = "git-lfs is not installed, which --lfs needs."
            raise SourceError(message, "Install it: %apt git-lfs", code="no-git-lfs")
        self._git(folder, "lfs", "install", "--local")
        self._git(folder, "lfs", "pull")

"""Bringing a repository to a commit: cloned whole or not at all, and never over a person's work.

A clone is made beside its place and moved there when it is whole. One that is there is moved only
where nothing in it is a person's: no changed file, and no commit that only it has.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import List, Sequence

from ..core.arguments import quote
from ..core.display import files
from ..core.errors import SourceError
from ..core.file_lock import alone
from ..core.files import clear
from ..core.folders import cache_folder, hash_path
from ..core.host import Host
from ..core.steps import Outcome, Progress
from ..secret.lookup import value
from .git import Git
from .repository import MOVING, SEEN, SHA, SOME, Repository, at
from .step import CloneStep
from .urls import holds_login, same

#: What git holds while it writes; left by one that was killed.
_LOCKS = ("index.lock", "HEAD.lock", "shallow.lock", "config.lock", "packed-refs.lock")


def brought(step: CloneStep, host: Host, progress: Progress) -> Outcome:
    """Clone, or move on; what a person has changed is left as it is, and that is said."""
    place = step.place(host)
    token = value(host, step.token) if step.token else ""

    with ExitStack() as stack:
        git = Git(step.address, token, progress, (_alone(step, place, progress, stack),))
        found = at(place)
        if found is None:
            cloned = _clone(step, git, place)
            hint = f"Work in it: %cd_persist {quote(step.label)}"
            return Outcome(
                "applied", f"{step.label} cloned, at {cloned.said}", step.recorded(host), hint
            )
        return _moved(step, git, found, host)


def _alone(step: CloneStep, place: Path, progress: Progress, stack: ExitStack) -> int:
    """The lock of a place, which is held as long as the stack."""
    said: List[str] = []

    def waits(seconds: float) -> None:
        if not said:
            said.append(f"waiting for another kernel, which clones {step.label}")
            progress(said[0])

    try:
        lock = cache_folder("clones") / f"{hash_path(place)}.lock"
        return stack.enter_context(alone(lock, waits))
    except OSError as error:
        raise SourceError(
            f"The folder for what is cached cannot be made: {error.strerror}.",
            "Name one that you may write to: %env XDG_CACHE_HOME=FOLDER",
        ) from None


def _clone(step: CloneStep, git: Git, place: Path) -> Repository:
    """A clone beside its place, with all that belongs to it; then moved there in one go."""
    place = place.resolve() if place.is_dir() else place  # a link to a folder stays one
    if os.path.lexists(str(place)) and (not place.is_dir() or any(place.iterdir())):
        raise SourceError(
            f"{step.label} is there and is no clone of yours; it was left alone.",
            f"Name another folder: %github clone {step.repository} FOLDER",
        )
    base = next(folder for folder in place.parents if folder.is_dir())
    fresh = base / f".{place.name}.cloning"
    clear(fresh)  # of one that was killed
    how = ["--progress", "--no-checkout", "--origin", "origin"]  # git's settings may say another
    how += ["--depth", str(step.depth), "--no-single-branch"] if step.depth else []
    try:
        git(base, "clone", *how, step.address.url, str(fresh))
        made = Repository(fresh, fresh / ".git")
        _check_out(step, git, made, _commit(step, git, made))
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir():
            place.rmdir()  # empty; some systems do not rename over it
        fresh.rename(place)
    except OSError as error:
        raise SourceError(
            f"{step.label} cannot be made: {error.strerror}.", "Choose another folder."
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Repository(place, place / ".git")


def _moved(step: CloneStep, git: Git, found: Repository, host: Host) -> Outcome:
    """What became of a clone that is there."""
    if holds_login(found.origin or ""):
        raise SourceError(
            f"The address of {step.label} holds a login, which git would show to every process.",
            f"Take it out: git -C {step.label} remote set-url origin {step.address.url}",
        )
    if not same(found.origin, step.address.url):
        raise SourceError(
            f"{step.label} is a clone of {found.origin or 'nothing'}; it was left alone.",
            f"Name another folder: %github clone {step.repository} FOLDER",
        )
    _check_cut_off(step, git, found)
    reason = _work_in(git, found)
    if reason:
        message = f"{step.label} has {reason}: left as it is, at {found.said}"
        return Outcome("unchanged", message, None, "Once they are pushed or gone, run this again.")
    before, lacks = found.said, sorted(step.extras - found.brought)
    fetched = ("--depth", str(step.depth)) if step.depth else ()
    if step.update or not _has(git, found, step.commit):
        git(found.folder, "fetch", "--progress", "--tags", "--force", *fetched, "origin")
    _check_out(step, git, found, _commit(step, git, found))
    if found.said == before and lacks:
        message = f"{step.label}: {' and '.join(lacks)} brought, at {before}"
        return Outcome("applied", message, step.recorded(host))
    if found.said == before:
        return Outcome("unchanged", f"{step.label}: still at {before}", step.recorded(host))
    more = "" if step.update else "That is what is recorded; to move on: --update"
    message = f"{step.label}: {before} -> {found.said}"
    return Outcome("applied", message, step.recorded(host), more if step.commit else "")


def _check_cut_off(step: CloneStep, git: Git, clone: Repository) -> None:
    """Go on where an update was cut off; `SourceError` where it has left changed files.

    They are git's, or a person's since: who of them is to win is the person's to say.
    """
    marker = clone.git / MOVING
    if not marker.exists():
        return
    for name in _LOCKS:  # we are alone, and git keeps our lock as long as it lives
        (clone.git / name).unlink(missing_ok=True)
    commit = marker.read_text(encoding="ascii")
    changed = _changed(git, clone)
    if commit != clone.head and changed and _has(git, clone, commit):  # git moves HEAD last
        raise SourceError(
            f"{step.label} was being changed when that was cut off; it was left alone.",
            "Move away what you have changed there since, and have git finish it: "
            f"!git -C {quote(str(clone.folder))} checkout -f --detach {commit}",
            "\n".join(changed[:5]),
        )
    marker.unlink()


def _has(git: Git, clone: Repository, commit: str) -> bool:
    """Whether a commit is here, with its files."""
    words = ("cat-file", "-e", f"{commit}^{{tree}}")
    return bool(commit) and not git.attempt(clone.folder, *words).status


def _changed(git: Git, clone: Repository) -> Sequence[str]:
    """The files of git's that are not as the commit has them, one a line."""
    return git(clone.folder, "status", "--porcelain", "--untracked-files=no")


def _commit(step: CloneStep, git: Git, found: Repository) -> str:
    """The commit to check out, which is there then."""
    wanted = "" if step.update else step.commit
    if wanted and not _has(git, found, wanted):
        # One that no branch has any more: most servers still give it by its name.
        depth = ("--depth", str(step.depth)) if step.depth else ()
        if git.attempt(found.folder, "fetch", "--progress", *depth, "origin", wanted).status:
            raise SourceError(
                f"{step.repository} no longer has the commit {wanted[:7]} that is recorded.",
                "To take what it is now: --update",
            )
    if wanted:
        return wanted
    for name in _names(step.ref):
        done = git.attempt(found.folder, "rev-parse", "--verify", "-q", f"{name}^{{commit}}")
        if not done.status and done.lines:
            return done.lines[-1]
    if SHA.fullmatch(step.ref):
        git(found.folder, "fetch", "--progress", "origin", step.ref)
        return step.ref
    if step.depth and SOME.fullmatch(step.ref):
        raise SourceError(
            f"{step.repository} has no {step.ref} among the last commits.",
            "Name the whole commit, or leave --depth out.",
        )
    if not step.ref:
        raise SourceError(f"{step.repository} is empty: it has no commit yet.", "Push one first.")
    raise SourceError(f"{step.repository} has no {step.ref}.", "Check the name after @.")


def _names(ref: str) -> List[str]:
    """What a ref may be short for; without one it is the branch that the server has first."""
    if not ref:
        return ["refs/remotes/origin/HEAD"]
    return [f"refs/remotes/origin/{ref}", f"refs/tags/{ref}", ref]


def _check_out(step: CloneStep, git: Git, found: Repository, commit: str) -> None:
    """Have the commit in the work tree: on the branch that was asked for, else on none."""
    folder = found.folder
    branch = step.ref or _first(git, folder)
    on_branch = (
        branch
        and not git.attempt(
            folder, "show-ref", "-q", "--verify", f"refs/remotes/origin/{branch}"
        ).status
    )
    where = ("--no-track", "-B", branch) if on_branch else ("--detach",)
    git(folder, "update-ref", f"refs/colab-magics/{commit}", commit)  # it is the server's
    moving = found.git / MOVING
    moving.write_text(commit, encoding="ascii")
    try:  # git would replace ignored files without a word
        git(folder, "checkout", "--no-overwrite-ignore", "--progress", *where, commit)
    except SourceError:  # git refused before it touched anything
        moving.unlink()
        raise
    if on_branch:
        git(folder, "branch", "-q", f"--set-upstream-to=origin/{branch}")
    brought = step.extras | found.brought  # what came once is moved on too
    if "submodules" in brought:
        depth = ("--depth", "1") if step.depth else ()
        _submodules(git, folder, depth)
    if "large files" in brought:
        _large_files(step, git, folder)
    seen = "\n".join([step.ref, commit, *sorted(brought), ""])
    (found.git / SEEN).write_text(seen, encoding="utf-8")
    moving.unlink()


def _first(git: Git, folder: Path) -> str:
    done = git.attempt(folder, "symbolic-ref", "-q", "--short", "refs/remotes/origin/HEAD")
    return "" if done.status or not done.lines else done.lines[-1].replace("origin/", "", 1)


def _submodules(git: Git, folder: Path, depth: Sequence[str]) -> None:
    """Bring the submodules, level by level: git is given no address that holds a login."""
    with suppress(OSError):
        if holds_login((folder / ".gitmodules").read_text(encoding="utf-8", errors="replace")):
            raise SourceError(
                "The address of a submodule holds a login, which git would show to every process.",
                "Leave --submodules out, or tell its authors.",
            )
    git(folder, "submodule", "update", "--progress", "--init", *depth)
    staged = "\n".join(git(folder, "ls-files", "-s", "-z")).split("\0")
    for path in (one.partition("\t")[2] for one in staged if one.startswith("160000 ")):
        if (folder / path / ".gitmodules").is_file():
            _submodules(git, folder / path, depth)


def _large_files(step: CloneStep, git: Git, folder: Path) -> None:
    if git.attempt(folder, "lfs", "version").status:
        raise SourceError(
            "git-lfs is not installed, which --lfs needs.", "Install it: %apt git-lfs"
        )
    git(folder, "lfs", "install", "--local")
    git(folder, "lfs", "pull")


def _work_in(git: Git, found: Repository) -> str:
    """What in a clone is a person's; empty where nothing is."""
    changed = _changed(git, found)
    if changed:
        return f"changes in {files(len(changed))}"
    ours = ("--not", "--remotes", "--tags", "--glob=refs/colab-magics/*")
    count = git(found.folder, "rev-list", "--count", "HEAD", "--branches", *ours)[-1]
    return "" if count == "0" else f"{count} commit{'s' if count != '1' else ''} of its own"

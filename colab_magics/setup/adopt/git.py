"""git: a clone becomes a guarded one; what follows it in the clone goes into its line."""

from __future__ import annotations

import re
from typing import Tuple

from .options import options
from .shell import Command, NotUnderstood, name_list
from .state import SECRET_MARK, Draft, State

_GITHUB = re.compile(r"https?://(?:www\.)?github\.com/([A-Za-z0-9][\w-]*/[\w.-]+?)(?:\.git)?/?")
_LOGIN = re.compile(r"(https?://)([^/@\s]+)@")
_SHOWS = name_list("status log branch show rev-parse remote diff describe ls-files version")
#: The secret of a clone whose URL had a token in it.
TOKEN = "GITHUB_TOKEN"  # noqa: S105 - a name


def git(command: Command, state: State) -> None:
    """Read a command of git."""
    words, folder = command.words[1:], "."
    while words[:1] == ["-C"] and len(words) > 2:
        folder, words = words[1], words[2:]
    verb = words[0] if words else "version"
    command = Command(["git", *words])
    if verb == "clone":
        _clone(command, state)
    elif verb in ("checkout", "switch"):
        _checkout(command, _clone_at(state, folder), state)
    elif verb in ("pull", "fetch", "reset"):
        _clone_at(state, folder)
        state.drop("the clone stays at its recorded commit; to move on: %github clone ... --update")
    elif verb == "submodule" and words[1:2] in (["update"], ["init"], ["sync"]):
        _add("--submodules", folder, state)
    elif verb == "lfs" and words[1:2] in (["pull"], ["fetch"], ["checkout"]):
        _add("--lfs", folder, state)
    elif words == ["lfs", "install"]:
        state.drop("git-lfs needs no installation for a clone with --lfs")
    elif verb in _SHOWS and not {"-b", "-d", "-D", "add", "set-url"} & {*words}:
        state.drop("it only shows something")
    else:
        raise NotUnderstood(f"git {verb} changes more than a clone")


def _clone(command: Command, state: State) -> None:
    """Add the step of a clone."""
    read = options(command, 1, 2, "clone")
    url, token, why = _address(read.rest[0])
    name = re.sub(r"\.git$", "", re.split(r"[/:]", url.rstrip("/"))[-1])
    place = state.place(read.rest[1] if len(read.rest) > 1 else name)
    ref, depth = read.value("-b"), read.value("--depth")
    words = ["clone", f"{url}@{ref}" if ref else url, *([place] if place != name else [])]
    words += ["--depth", depth] if depth else []
    words += ["--submodules"] if read.has("--submodules") else []
    words += ["--token", token] if token else []
    known = state.clones.get(place)
    if known is not None and known.words[1] == words[1]:
        state.drop("it is cloned already by a line above")
        return
    draft = state.add("github", words, why)
    state.make(place.rpartition("/")[0])
    state.set(state.clones, place, draft)
    state.absorb_removal(place, "a clone that is there is kept: nothing has to be removed first")


def _address(url: str) -> Tuple[str, str, str]:
    """Return the repository as it is recorded, the name of its token, and why."""
    token, why = "", "guarded: a clone that is there is kept"
    login = _LOGIN.match(url)
    if login:
        url = url.replace(login[0], login[1], 1)
    if login and login[2] not in ("git", "x-access-token"):
        secret = SECRET_MARK.search(login[2])
        token = secret[1] if secret else TOKEN
        why = f"its token is a secret: %secret set {token}"
    if not re.match(r"(\w+://|[\w.-]+@[\w.-]+:)", url):
        raise NotUnderstood("it is a clone of a folder")
    github = _GITHUB.fullmatch(url)
    return (github[1] if github else url), token, why


def _clone_at(state: State, folder: str) -> Draft:
    """Return the clone in which a command works; `NotUnderstood` where there is none."""
    draft = state.clones.get(state.place(folder))
    if draft is None:
        raise NotUnderstood("no line above clones that folder")
    return draft


def _checkout(command: Command, draft: Draft, state: State) -> None:
    read = options(Command(["git", "checkout", *command.words[2:]]), 1, 3, "checkout")
    ref, *others = read.rest
    is_new = read.has("-b") or read.has("-B") or read.has("-t")
    # A branch of the same name as that of the server is that one.
    if others != ([f"origin/{ref}"] if is_new else []):
        raise NotUnderstood("git checkout of files changes the clone")
    ref = re.sub("^origin/", "", ref)
    repository = re.sub(r"(?<=[\w/])@(?!.*[/:]).*$", "", draft.words[1])
    state.amend(draft, "clone", f"{repository}@{ref}", *draft.words[2:])
    state.drop(f"in the line of the clone: @{ref}")


def _add(option: str, folder: str, state: State) -> None:
    """Give a clone an option."""
    draft = _clone_at(state, folder)
    if option not in draft.words:
        state.amend(draft, *draft.words, option)
    state.drop(f"in the line of the clone: {option}")

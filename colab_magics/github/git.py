"""Running git: without a prompt, without a secret in its arguments, and with errors that help."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Sequence, Tuple

from ..core.errors import SourceError
from ..core.folders import scratch_folder
from ..core.process import Environment, Finished, run
from .repository import QUIET
from .urls import Address

#: Seconds for one command of git; a large clone takes long.
LIMIT = 3600.0
_PROGRESS = re.compile(r"(?:remote: )?([A-Z][\w ]+):\s+(\d+)% \(")

#: Answers git's two questions, and git-lfs's, for one server alone: a submodule or a redirect may
#: lead elsewhere, and put our server's name into its own. So the whole question has to be right.
_ASKPASS = """#!/bin/sh
case "$1" in
  "Username for '$COLAB_MAGICS_SERVER': "|"Username for \\"$COLAB_MAGICS_SERVER\\"")
    printf %s x-access-token;;
  "Password for '$COLAB_MAGICS_USER': "|"Password for \\"$COLAB_MAGICS_USER\\"")
    printf %s "$COLAB_MAGICS_TOKEN";;
  *) exit 1;;
esac
"""
#: The name that goes with a token where the address has none.
_USER = "x-access-token"
#: Seconds after which a server that sends nothing at all is given up; git itself waits for ever.
SILENCE = 60
#: What is the same for all: no prompt, no work in the background, no advice.
_SETTINGS = ("advice.detachedHead=false", "gc.auto=0", "maintenance.auto=false")


class Git:
    """Git for one repository, with the token that it may need.

    ``holds`` are open files that it inherits: their locks stay while it lives, also when we die.
    """

    def __init__(
        self,
        address: Address,
        token: str = "",
        told: Callable[[str], None] = lambda line: None,
        holds: Sequence[int] = (),
    ) -> None:
        self.address, self.token = address, token
        self._told, self._holds = told, holds
        self._said = 0.0

    def __call__(self, folder: Path, *words: str) -> Tuple[str, ...]:
        """The lines that it prints, run in a folder; `SourceError` where it fails."""
        done = self.attempt(folder, *words)
        if done.status:
            raise _failure(self.address, done.lines, bool(self.token))
        return done.lines

    def attempt(self, folder: Path, *words: str) -> Finished:
        """Run it, whatever becomes of it."""
        git = shutil.which("git")
        if git is None:
            raise SourceError("git is not installed.", "Install it: %apt git")
        command = [git, "-C", str(folder)]
        command += [part for each in self._settings() for part in ("-c", each)]
        if words[0] != "lfs":  # it puts hooks there, for what is pushed
            command += QUIET
        with self._environment() as environment:
            try:
                return run(
                    [*command, *words], environment, self._hear, timeout=LIMIT, keeps=self._holds
                )
            except TimeoutError:
                raise SourceError(
                    f"git was not done with {self.address.repository} in an hour.", "Run it again."
                ) from None

    def _settings(self) -> List[str]:
        settings = [*_SETTINGS, "http.lowSpeedLimit=1", f"http.lowSpeedTime={SILENCE}"]
        if self.token:  # a helper of the user's would store it; a path is no part of the question
            scheme, host = self.address.scheme, self.address.host
            settings += ["credential.helper=", f"credential.{scheme}://{host}.useHttpPath=false"]
            # A login is asked for before the first request, where ~/.netrc has another one.
            settings += ["http.emptyAuth=true"]
            settings += [f"url.{scheme}://{_USER}@{host}/.insteadOf={scheme}://{host}/"]
        return settings

    @contextmanager
    def _environment(self) -> Iterator[Dict[str, str]]:
        variables = Environment(os.environ, GIT_TERMINAL_PROMPT="0", LC_ALL="C", LANGUAGE="")
        variables.update(GCM_INTERACTIVE="never", GIT_ASKPASS="", SSH_ASKPASS="")
        variables["GIT_LFS_SKIP_SMUDGE"] = "1"  # `git lfs pull` gets them, where they are wanted
        variables.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # of a hook that started us
            variables.pop(name, None)
        if not self.token:
            yield variables
            return
        folder = scratch_folder("colab-magics-git-")
        try:
            script = folder / "askpass"
            script.write_bytes(_ASKPASS.encode())
            script.chmod(stat.S_IRWXU)
            variables.update(GIT_ASKPASS=str(script), COLAB_MAGICS_TOKEN=self.token)
            scheme, server = self.address.scheme, self.address.host
            variables["COLAB_MAGICS_SERVER"] = f"{scheme}://{server}"
            user = self.address.user or _USER
            variables["COLAB_MAGICS_USER"] = f"{scheme}://{user}@{server}"
            yield variables
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _hear(self, line: str) -> None:
        found, now = _PROGRESS.match(line), time.monotonic()
        if found and now - self._said > 0.2:
            self._said = now
            self._told(f"{self.address.name}: {found[1].lower()} {found[2]} %")


#: The one that failed, by its path in the repository where git says that.
_SUBMODULE = re.compile(r"Failed to clone '([^']+)'|submodule path '(?:[^']*\.cloning/)?([^']+)'")
_ABSENT = re.compile(
    r"not our ref|find remote ref|unadvertised object|remote branch .* not found"
    r"|unable to read tree|not a tree|reference is not a tree|did not match any|not advertised",
    re.I,
)
_REFUSED = re.compile(
    r"could not read (username|password)|authentication failed|terminal prompts disabled"
    r"|repository .*not found|error: 40[134]|permission denied|does not (exist|appear)",
    re.I,
)
_AWAY = re.compile(
    r"could not resolve|failed to connect|couldn.t connect|timed out|early eof|hung up|rpc failed"
    r"|curl \d+|disconnect",
    re.I,
)


def _failure(address: Address, lines: Sequence[str], token: bool) -> SourceError:
    """Why git did not do it, in words that help."""
    text, name = "\n".join(lines), address.repository
    part = _SUBMODULE.search(text)
    if part:
        return _submodule(name, part[1] or part[2], text, lines)
    if _ABSENT.search(text):
        return SourceError(f"{name} has no {address.ref}.", "Check the name after @.")
    if "could not read from remote" in text.lower() and address.scheme in ("", "ssh"):
        return SourceError(
            f"{name} cannot be read by ssh.",
            "Check the key, or take its https address, with --token NAME for a private one.",
            "\n".join(lines[-6:]),
        )
    if _REFUSED.search(text):
        if token:
            hint = "Check what it may read, whether it has expired, and the name."
            return SourceError(f"{name} cannot be read with that token.", hint)
        return SourceError(
            f"{name} is not there, or it is private.",
            "Check the name; a private one needs --token GH_TOKEN, kept with %secret set GH_TOKEN",
        )
    if "no space left" in text.lower():
        return SourceError("The disk is full.", "Free some space, and run it again.")
    if _AWAY.search(text):
        hint = "Nothing is left of it. Check the network, and run it again."
        return SourceError(f"{address.host or name} did not answer, or stopped half way.", hint)
    if "would be overwritten" in text:
        files = [line.strip() for line in lines if line.startswith(("\t", "        "))]
        return SourceError(
            f"{address.name} holds files of yours that git would overwrite; it was left alone.",
            "Move them away, and run it again.",
            "\n".join(files[:5]),
        )
    return SourceError(f"git could not get {name}.", "See below.", _bad(lines))


def _submodule(name: str, part: str, text: str, lines: Sequence[str]) -> SourceError:
    """Why a submodule did not come."""
    lacks = _ABSENT.search(text) or "did not contain" in text
    why = "has no such commit any more" if lacks else "cannot be read"
    return SourceError(
        f"{name}: its submodule {part} {why}.",
        "Leave --submodules out, or tell its authors. A token is sent to the server of "
        "the repository alone.",
        _bad(lines),
    )


def _bad(lines: Sequence[str]) -> str:
    """What git says itself, at its end."""
    bad = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return "\n".join((bad or [*lines])[-3:])

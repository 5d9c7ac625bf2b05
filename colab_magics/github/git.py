"""Run git: without a prompt, without a secret in its arguments, and with errors that help."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Sequence, Tuple

from ..core.display import duration
from ..core.errors import SourceError
from ..core.folders import scratch_folder
from ..core.process import Environment, Finished, run
from .address import Address
from .failure import explain_failure
from .repository import QUIET, SHA

#: Seconds for one command of git; a large clone takes long.
LIMIT = 3600.0
#: Seconds after which a server that sends nothing at all is given up; git itself waits for ever.
SILENCE = 60
_PROGRESS = re.compile(r"(?:remote: )?([A-Z][\w ]+):\s+(\d+)% \(")

#: Answers git's two questions, and git-lfs's, for one server alone: a submodule or a redirect may
#: lead elsewhere, and put our server's name into its own. So the whole question has to match.
_ASKPASS = """#!/bin/sh
case "$1" in
  "Username for '$COLAB_MAGICS_SERVER': "|"Username for \\"$COLAB_MAGICS_SERVER\\"")
    printf %s x-access-token;;
  "Password for '$COLAB_MAGICS_USER': "|"Password for \\"$COLAB_MAGICS_USER\\"")
    printf %s "$COLAB_MAGICS_TOKEN";;
  *) exit 1;;
esac
"""
#: The user name for a token where the address has none.
_USER = "x-access-token"
_SETTINGS = ("advice.detachedHead=false", "gc.auto=0", "maintenance.auto=false")


class Git:
    """Git for one repository, with the token that it may need.

    It inherits the open files in ``holds``: their locks last as long as it runs, even if we die.
    A command may take ``limit`` seconds.
    """

    def __init__(
        self,
        address: Address,
        token: str = "",
        progress: Callable[[str], None] = lambda message: None,
        holds: Sequence[int] = (),
        limit: float = LIMIT,
    ) -> None:
        self.address, self.token, self._limit = address, token, limit
        self._progress, self._holds = progress, holds
        self._reported = 0.0

    def __call__(self, folder: Path, *words: str) -> Tuple[str, ...]:
        """Run a command in a folder and return its lines; `SourceError` where it fails."""
        done = self.attempt(folder, *words)
        if done.status:
            raise explain_failure(self.address, done.lines, bool(self.token))
        return done.lines

    def attempt(self, folder: Path, *words: str) -> Finished:
        """Run a command, which may fail."""
        git = shutil.which("git")
        if git is None:
            raise SourceError("git is not installed.", "Install it: %apt git", code="no-git")
        command = [git, "-C", str(folder), *self._settings()]
        if words[0] != "lfs":  # which installs hooks, for pushing
            command += QUIET
        with self._environment() as environment:
            try:
                command += words
                limit, holds = self._limit, self._holds
                return run(command, environment, self._on_line, timeout=limit, keeps=holds)
            except TimeoutError:
                raise SourceError(
                    f"git did not finish with {self.address.repository} in {duration(limit)}.",
                    "Run it again.",
                    code="timeout",
                ) from None

    def _settings(self) -> List[str]:
        settings = [*_SETTINGS, "http.lowSpeedLimit=1", f"http.lowSpeedTime={SILENCE}"]
        if self.token:  # a helper of the user's would store it; the question must name no path
            scheme, host = self.address.scheme, self.address.host
            settings += ["credential.helper=", f"credential.{scheme}://{host}.useHttpPath=false"]
            # Otherwise git sends the login of ~/.netrc before it asks for one.
            settings += ["http.emptyAuth=true"]
            settings += [f"url.{scheme}://{_USER}@{host}/.insteadOf={scheme}://{host}/"]
        return [word for setting in settings for word in ("-c", setting)]

    @contextmanager
    def _environment(self) -> Iterator[Dict[str, str]]:
        variables = Environment(os.environ, GIT_TERMINAL_PROMPT="0", LC_ALL="C", LANGUAGE="")
        variables.update(GCM_INTERACTIVE="never", GIT_ASKPASS="", SSH_ASKPASS="")
        variables["GIT_LFS_SKIP_SMUDGE"] = "1"  # `git lfs pull` fetches them, with --lfs
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
            scheme, server = self.address.scheme, self.address.host
            variables.update(
                GIT_ASKPASS=str(script),
                COLAB_MAGICS_TOKEN=self.token,
                COLAB_MAGICS_SERVER=f"{scheme}://{server}",
                COLAB_MAGICS_USER=f"{scheme}://{self.address.user or _USER}@{server}",
            )
            yield variables
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _on_line(self, line: str) -> None:
        match, now = _PROGRESS.match(line), time.monotonic()
        if match and now - self._reported > 0.2:
            self._reported = now
            self._progress(f"{self.address.name}: {match[1].lower()} {match[2]} %")


def read_remote(address: Address, limit: float) -> str:
    """Return the commit that a ref is on its server now; empty where the server has no such ref.

    No token is sent. `SourceError` where it cannot be read in ``limit`` seconds.
    """
    ref = address.ref
    names = (f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}") if ref else ("HEAD",)
    folder = scratch_folder("colab-magics-git-")  # where no repository's settings count
    try:
        lines = Git(address, limit=limit)(folder, "ls-remote", "--", address.url, *names)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    pairs = (line.partition("\t") for line in lines)
    commits = {name: commit for commit, _, name in pairs if SHA.fullmatch(commit)}
    return next((commits[name] for name in names if name in commits), "")

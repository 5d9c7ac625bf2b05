"""``%github clone`` in a shell, against git's own server on loopback."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, List
from urllib.parse import quote

import pytest
from doubles.git_server import PASSWORD, Server, git, pointer
from support.cells import Cells, Child

from colab_magics.core import redact
from colab_magics.core.errors import SourceError
from colab_magics.core.exit_status import ExitStatus, status_of
from colab_magics.github import git as program
from colab_magics.github.git import Git


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A git server; secrets that a test makes known are forgotten behind it."""
    monkeypatch.setattr(redact, "_SECRETS", set())
    monkeypatch.setenv("GH_TOKEN", PASSWORD)
    found = Server(home / "server")
    yield found
    found.close()


def head(folder: str) -> str:
    """The commit that is checked out, as git says."""
    return git(Path(folder), "rev-parse", "HEAD")


def left() -> List[str]:
    """All that lies in the working directory."""
    return sorted(path.name for path in Path().iterdir())


# ---------------------------------------------------------------------- what it brings
def test_cloned_recorded_and_left_alone_the_second_time(run: Cells, server: Server) -> None:
    """Cloned whole, recorded with its commit; a second run asks the server nothing."""
    url = server.make("model", README="hello", src__a="1")
    shown = run(f"%github clone {url}")
    commit = head("model")
    assert shown.splitlines()[0] == f"model cloned, at {commit[:7]} (main)"
    assert "%cd_persist model" in shown
    assert Path("model/src/a").read_text() == "1"
    assert run.steps() == [f"%github clone {url} --commit {commit}"]
    asked = len(server.asked)
    server.commit("model", README="newer")
    assert run(f"%github clone {url}") == f"model: already at {commit[:7]} (main)"
    assert (len(server.asked), head("model"), left()) == (asked, commit, ["model"])
    assert run.steps() == [f"%github clone {url} --commit {commit}"]


def test_the_recorded_commit_comes_back_after_a_wipe(run: Cells, server: Server) -> None:
    """On a new machine the line brings what was there, on its branch, although there is newer."""
    url = server.make("model", README="hello")
    run(f"%github clone {url}@main")
    (line,) = run.steps()
    commit = head("model")
    server.commit("model", README="newer")
    shutil.rmtree("model")
    run(line)
    assert head("model") == commit and Path("model/README").read_text() == "hello"
    assert git(Path("model"), "status", "-sb").splitlines()[0] == (
        "## main...origin/main [behind 1]"
    )
    assert "already at" in run(f"%github clone {url}@main")  # the line as it was typed, below it


def test_update_moves_on_and_records_it(run: Cells, server: Server) -> None:
    """``--update`` takes what the branch is now; the line then names that commit."""
    url = server.make("model", README="hello")
    run(f"%github clone {url}")
    old, new = head("model"), server.commit("model", README="newer", more="x")
    shown = run(f"%github clone {url} --update")
    assert shown == f"model: {old[:7]} (main) -> {new[:7]} (main)"
    assert run.steps() == [f"%github clone {url} --commit {new}"]
    assert "still at" in run(f"%github clone {url} --update")
    shown = run(f"%github clone {url} --commit {old}")
    assert "For the newest: --update" in shown and head("model") == old
    assert not Path("model/more").exists()


def test_a_tag_a_branch_and_a_commit(run: Cells, server: Server) -> None:
    """``@`` takes either; another one moves the clone, and back."""
    url = server.make("model", README="one")
    first = git(server.folder / "model", "rev-parse", "HEAD")
    git(server.folder / "model", "tag", "-a", "v1", "-m", "one")
    git(server.folder / "model", "push", "-q", "--tags")
    second = server.commit("model", README="two")
    side = server.commit("model", branch="feature/side", README="side")
    for ref, commit, branch in (
        ("v1", first, ""),
        ("feature/side", side, "feature/side"),
        ("main", second, "main"),
        (first, first, ""),
    ):
        run(f"%github clone {url}@{ref}")
        assert (head("model"), git(Path("model"), "branch", "--show-current")) == (commit, branch)
    assert run.steps() == [f"%github clone {url}@{first} --commit {first}"]
    run(f"%github clone {url}@v1 elsewhere/deep --depth 1")
    assert head("elsewhere/deep") == first and len(run.steps()) == 2


def test_a_shallow_clone_at_a_recorded_commit(run: Cells, server: Server) -> None:
    """``--depth`` gets the last commits alone, also where the recorded one is older than these."""
    url = server.make("model", README="one")
    first = git(server.folder / "model", "rev-parse", "HEAD")
    server.commit("model", README="two")
    server.commit("model", README="three")
    run(f"%github clone {url} --depth 1")
    assert git(Path("model"), "rev-list", "--count", "HEAD") == "1"
    run(f"%github clone {url} old --depth 1 --commit {first}")
    assert head("old") == first and git(Path("old"), "rev-list", "--count", "HEAD") == "1"


def test_submodules(run: Cells, server: Server) -> None:
    """``--submodules`` brings them, at the commits that the repository names."""
    inner = server.make("inner", code="x")
    url = server.make("model", README="hello")
    git(server.folder / "model", "submodule", "add", "-q", inner, "lib")
    server.commit("model", README="with lib")
    run(f"%github clone {url} --submodules")
    assert Path("model/lib/code").read_text() == "x"
    assert run.steps()[0].split()[3:4] == ["--submodules"]


def test_submodules_that_are_asked_for_later(run: Cells, server: Server) -> None:
    """A clone that came without them gets them; then they are there, and it is said once."""
    inner = server.make("inner", code="x")
    url = server.make("model", README="hello")
    git(server.folder / "model", "submodule", "add", "-q", inner, "lib")
    server.commit("model", README="with lib")
    run(f"%github clone {url}")
    commit = head("model")
    assert "was cloned without its submodules" in run(f"%github clone {url} --submodules --dry-run")
    shown = run(f"%github clone {url} --submodules")
    assert shown == f"model: submodules fetched, at {commit[:7]} (main)"
    assert Path("model/lib/code").read_text() == "x"
    for line in (f"{url} --submodules", url):
        assert "already at" in run(f"%github clone {line}")
    server.commit("inner", code="y")
    git(server.folder / "model/lib", "pull", "-q", "origin", "main")
    server.commit("model", README="with newer lib")
    run(f"%github clone {url} --update")  # as they are recorded
    assert Path("model/lib/code").read_text() == "y"
    assert "already at" in run(f"%github clone {url} --submodules")


@pytest.mark.parametrize(
    ("name", "commit", "said"),
    [("private", "", "cannot be read"), ("inner", "1" * 40, "no longer has the commit")],
)
def test_a_submodule_that_fails_is_named(
    run: Cells, server: Server, name: str, commit: str, said: str
) -> None:
    """It, and not the repository, is what cannot be had; nothing is left."""
    inner = server.make(name, code="x")
    url = server.make("model", README="hello")
    commit = commit or git(server.folder / name, "rev-parse", "HEAD")
    with_submodule(server, inner, commit)
    reply = run.attempt(f"%github clone {url} --submodules")
    assert isinstance(reply.error, SourceError) and left() == []
    assert reply.error.message == f"{url}: its submodule lib/deep {said}."
    assert "--submodules" in reply.error.hint


def with_submodule(server: Server, url: str, commit: str) -> None:
    """Push a submodule to ``model`` that was never cloned there."""
    work = server.folder / "model"
    (work / ".gitmodules").write_text(f'[submodule "lib"]\n\tpath = lib/deep\n\turl = {url}\n')
    git(work, "update-index", "--add", "--cacheinfo", f"160000,{commit},lib/deep")
    git(work, "add", ".gitmodules")
    git(work, "commit", "-q", "-m", "lib")
    git(work, "push", "-q")


@pytest.mark.once
def test_large_files(run: Cells, server: Server) -> None:
    """``--lfs`` brings what the pointers stand for; without it they stay pointers."""
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed")
    data = b"weights" * 1000
    url = server.make("private-model", **{"weights.bin": pointer(server.folder, data)})
    server.commit("private-model", **{".gitattributes": "*.bin filter=lfs -text\n"})
    run(f"%github clone {url} small --token GH_TOKEN")
    assert Path("small/weights.bin").read_text().startswith("version https://git-lfs")
    run(f"%github clone {url} whole --lfs --token GH_TOKEN")
    assert Path("whole/weights.bin").read_bytes() == data
    assert "already at" in run(f"%github clone {url} whole --lfs --token GH_TOKEN")
    assert "large files fetched" in run(f"%github clone {url} small --lfs --token GH_TOKEN")
    assert Path("small/weights.bin").read_bytes() == data


# ---------------------------------------------------------------------- what is a person's
def test_what_a_person_changed_is_left_as_it_is(run: Cells, server: Server) -> None:
    """A changed file, or a commit of one's own: nothing is touched, and that is said."""
    url = server.make("model", README="hello")
    run(f"%github clone {url}")
    old = head("model")
    server.commit("model", README="newer")
    Path("model/README").write_text("mine")
    shown = run(f"%github clone {url} --update")
    assert shown.startswith(f"model has changes in 1 file: left as it is, at {old[:7]} (main)")
    assert Path("model/README").read_text() == "mine"
    git(Path("model"), "commit", "-q", "-a", "-m", "mine")
    own = head("model")
    shown = run(f"%github clone {url} --update")
    assert shown.startswith("model has 1 commit of its own: left as it is")
    assert head("model") == own
    # A commit that is nowhere else is not what the next machine is sent to.
    assert run.steps() == [f"%github clone {url} --commit {old}"]


def test_an_unnamed_file_of_a_person_is_not_overwritten(run: Cells, server: Server) -> None:
    """One that git does not know of stays, where the newer commit has a file of its name."""
    url = server.make("model", README="hello")
    run(f"%github clone {url}")
    old = head("model")
    server.commit("model", notes="theirs")
    Path("model/notes").write_text("mine")
    reply = run.attempt(f"%github clone {url} --update")
    assert isinstance(reply.error, SourceError)
    assert reply.error.code == "would-overwrite" and "notes" in reply.error.details
    assert Path("model/notes").read_text() == "mine" and head("model") == old
    assert "already at" in run(f"%github clone {url}")


def test_an_ignored_file_of_a_person_is_not_overwritten(run: Cells, server: Server) -> None:
    """Nor one that git is to pass over, where a newer commit brings one all the same."""
    url = server.make("model", **{".gitignore": "config.yml\n"})
    run(f"%github clone {url}")
    old = head("model")
    Path("model/config.yml").write_text("mine")
    work = server.folder / "model"
    (work / "config.yml").write_text("theirs")
    git(work, "add", "-f", "config.yml")
    server.commit("model")
    reply = run.attempt(f"%github clone {url} --update")
    assert isinstance(reply.error, SourceError)
    assert reply.error.code == "would-overwrite" and "config.yml" in reply.error.details
    assert Path("model/config.yml").read_text() == "mine" and head("model") == old


def test_what_is_in_the_way_is_left_alone(run: Cells, server: Server) -> None:
    """A folder with something else in it, a file, a clone of something else."""
    url, other = server.make("model", README="hello"), server.make("other", README="x")
    Path("model").mkdir()
    Path("model/mine").write_text("1")
    Path("file").write_text("1")
    for line in (url, f"{url} file"):
        reply = run.attempt(f"%github clone {line}")
        assert isinstance(reply.error, SourceError) and reply.error.code == "occupied"
    run(f"%github clone {url} good")
    reply = run.attempt(f"%github clone {other} good")
    assert isinstance(reply.error, SourceError) and reply.error.code == "occupied"
    assert left() == ["file", "good", "model"] and Path("model/mine").read_text() == "1"
    assert len(run.steps()) == 1
    os.symlink("nowhere", "link")
    reply = run.attempt(f"%github clone {url} link")
    assert isinstance(reply.error, SourceError) and os.readlink("link") == "nowhere"
    Path("nowhere").mkdir()
    run(f"%github clone {url} link")
    assert os.readlink("link") == "nowhere" and Path("nowhere/README").is_file()


# ---------------------------------------------------------------------- tokens
def test_a_private_one_needs_its_token(run: Cells, server: Server) -> None:
    """By the name of a secret; the value is in no file of the clone, no output and no URL."""
    url = server.make("private", README="hello")
    reply = run.attempt(f"%github clone {url}")
    assert isinstance(reply.error, SourceError) and "%secret set GH_TOKEN" in reply.error.hint
    assert status_of(reply.error) == ExitStatus.NEEDS_PERSON
    os.environ["WRONG"] = "wrong-canary-9b1e4d"
    try:
        refused = run.attempt(f"%github clone {url} --token WRONG")
    finally:
        del os.environ["WRONG"]
    assert isinstance(refused.error, SourceError) and refused.error.code == "login-needed"
    assert left() == [] and run.steps() == []
    shown = run(f"%github clone {url} --token GH_TOKEN")
    assert run.steps() == [f"%github clone {url} --token GH_TOKEN --commit {head('private')}"]
    said = [shown, str(reply.error), str(refused.error), *server.asked, *run.steps()]
    files = [path for path in Path("private").rglob("*") if path.is_file()]
    assert len(files) > 10
    said += [path.read_bytes().decode("latin-1") for path in files]
    assert not any("9b1e4d" in text for text in said)


def test_the_token_is_no_argument_and_stays_in_no_file(
    run: Cells, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """While git runs: not in its arguments, and not in the helper's file, which is gone after."""
    url = server.make("private", README="hello")
    seen: List[str] = []
    real = shutil.which("git")
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$*" >> {tmp_path}/seen\n'
        f'[ -n "$GIT_ASKPASS" ] && cat "$GIT_ASKPASS" >> {tmp_path}/seen '
        f'&& echo "$GIT_ASKPASS" >> {tmp_path}/askpass\nexec {real} "$@"\n'
    )
    fake.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    run(f"%github clone {url} --token GH_TOKEN")
    seen = (tmp_path / "seen").read_text().splitlines()
    assert any("clone" in line for line in seen) and not any("9b1e4d" in line for line in seen)
    helpers = (tmp_path / "askpass").read_text().splitlines()
    assert helpers and not any(Path(name).exists() for name in helpers)


def test_the_token_is_for_its_server_alone(run: Cells, server: Server, tmp_path: Path) -> None:
    """A submodule on another server is not sent it."""
    other = Server(tmp_path / "other")
    try:
        inner = other.make("private", code="x")
        url = server.make("private-model", README="hello")
        work = server.folder / "private-model"
        (work / ".gitmodules").write_text(f'[submodule "lib"]\n\tpath = lib\n\turl = {inner}\n')
        commit = git(tmp_path / "other" / "private", "rev-parse", "HEAD")
        git(work, "update-index", "--add", "--cacheinfo", f"160000,{commit},lib")
        git(work, "add", ".gitmodules")
        git(work, "commit", "-q", "-m", "lib")
        git(work, "push", "-q")
        reply = run.attempt(f"%github clone {url} --submodules --token GH_TOKEN")
        assert isinstance(reply.error, SourceError)
        assert other.asked and not other.sent
        assert server.sent and left() == []
    finally:
        other.close()


@pytest.mark.parametrize("name", ["", "git@"])
def test_the_token_goes_before_a_netrc(name: str, run: Cells, server: Server, home: Path) -> None:
    """A login for the same server in ``~/.netrc`` is not sent in the token's place."""
    (home / ".netrc").write_text("machine 127.0.0.1 login me password netrc-canary")
    (home / ".netrc").chmod(0o600)
    url = server.make("private", README="hello").replace("//", f"//{name}")
    run(f"%github clone {url} --token GH_TOKEN")
    assert server.sent and set(server.sent) == {PASSWORD}
    config = Path("private/.git/config").read_text()
    assert url in config and (name or "@" not in config.split("url = ")[1].split("\n")[0])


def test_the_names_that_stand_for_a_token(run: Cells, server: Server) -> None:
    """``git@`` and ``x-access-token@`` say nothing, and the token is sent with them."""
    url = server.make("private", README="hello")
    for name in ("git", "x-access-token"):
        run(f"%github clone {url.replace('//', f'//{name}@')} {name} --token GH_TOKEN")
    assert left() == ["git", "x-access-token"]


def test_a_server_that_takes_the_name_of_ours(
    run: Cells, server: Server, home: Path, tmp_path: Path
) -> None:
    """A submodule's URL that holds our server's name is not sent the token, by an older git too."""
    (home / ".gitconfig").write_text(
        "[credential]\n\tsanitizePrompt = false\n\tuseHttpPath = true\n"
    )
    other = Server(tmp_path / "other")
    try:
        inner = other.make("private", code="x")
        commit = git(other.folder / "private", "rev-parse", "HEAD")
        quoted = quote(server.at, safe="")
        for name in (f"x'{quoted}'", f"x'{quoted}%2F", f'x"{quoted}"'):
            url = server.make("model", README="hello")
            with_submodule(server, inner.replace("//", f"//{name}@"), commit)
            reply = run.attempt(f"%github clone {url} --submodules --token GH_TOKEN")
            assert isinstance(reply.error, SourceError)
            shutil.rmtree(server.folder)
        assert not other.asked, "a login in a submodule's address is refused"
        url = server.make("private", README="hello")
        run(f"%github clone {url} --token GH_TOKEN")  # the user's settings do not keep it out
    finally:
        other.close()


def test_a_token_on_the_line_is_refused(run: Cells, server: Server) -> None:
    """In the URL or in the place of its name: one line that does not show it."""
    for line in (
        "https://me:canary-9b1e4d@github.com/owner/name.git",
        "https://canary-9b1e4d@github.com/owner/name.git",
        "http://canary-9b1e4d:@127.0.0.1:9/name.git",
        "owner/name --token canary-9b1e4d",
        "owner/name --token ghp_" + "9b1e4d" * 6,
    ):
        reply = run.attempt(f"%github clone {line}")
        assert type(reply.error).__name__ == "UsageError"
        assert getattr(reply.error, "code", "") == "secret-value" and "9b1e4d" not in str(
            reply.error
        )
        redact.forget_secrets()
    assert run.steps() == [] and left() == []


# ---------------------------------------------------------------------- what fails
@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("model.git@nope", "no-ref", "has no nope."),
        ("model.git@abcdef1 --depth 1", "no-ref", "has no abcdef1 among the last commits."),
        ("absent.git", "refused", "does not exist, or it is private."),
        ("empty.git", "no-ref", "is empty: it has no commit yet."),
        ("model.git --commit " + "0" * 40, "no-commit", "no longer has the commit 0000000"),
    ],
)
def test_what_the_server_does_not_have(
    run: Cells, server: Server, line: str, code: str, text: str
) -> None:
    """One line that says it; nothing is left, and nothing is remembered."""
    server.make("model", README="hello")
    git(server.folder, "init", "-q", "--bare", "empty.git")
    reply = run.attempt(f"%github clone {server.at}/{line}")
    assert isinstance(reply.error, SourceError) and text in reply.error.message
    assert reply.error.code == code and left() == [] and run.steps() == []


def test_a_server_that_goes_half_way(run: Cells, server: Server) -> None:
    """Nothing is left of it; once the server is well again, the same line does it."""
    url = server.make("model", blob=os.urandom(400_000).hex())
    server.die = 100_000
    reply = run.attempt(f"%github clone {url} deep/down")
    assert isinstance(reply.error, SourceError) and reply.error.code == "offline"
    assert left() == []
    server.die = 0
    run(f"%github clone {url} deep/down")
    reply = run.attempt("%github clone http://127.0.0.1:9/x.git")
    assert isinstance(reply.error, SourceError) and reply.error.code == "offline"
    assert reply.error.message.startswith("127.0.0.1:9 did not answer")


def test_a_server_that_says_nothing_more(
    run: Cells, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up after a while, so that no git is left behind that waits for ever."""
    monkeypatch.setattr(program, "SILENCE", 1)
    url = server.make("model", blob=os.urandom(400_000).hex())
    server.stall = 100_000
    reply = run.attempt(f"%github clone {url}")
    assert isinstance(reply.error, SourceError) and reply.error.code == "offline"
    assert left() == []


def test_ssh_that_does_not_get_in(run: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ssh says is shown, for git says only that it could not read."""
    said = "echo Host key verification failed. >&2; false #"
    monkeypatch.setenv("GIT_SSH_COMMAND", said)
    reply = run.attempt("%github clone git@example.org:o/n.git")
    assert isinstance(reply.error, SourceError) and reply.error.code == "ssh"
    assert "Host key verification failed." in reply.error.details


def test_the_users_settings_of_git(run: Cells, server: Server, home: Path) -> None:
    """Another name for ``origin`` is no matter."""
    (home / ".gitconfig").write_text("[clone]\n\tdefaultRemoteName = upstream\n")
    url = server.make("model", README="hello")
    run(f"%github clone --depth 1 {url} 'a b'")
    run(f"%github clone {url} --depth 1 'a b'")
    assert run.steps() == [f"%github clone {url} 'a b' --depth 1 --commit {head('a b')}"]


def test_no_folder_for_the_lock(
    run: Cells, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that is none: one line that says which folder is wanted."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    reply = run.attempt(f"%github clone {server.make('model', README='x')}")
    assert isinstance(reply.error, SourceError) and "XDG_CACHE_HOME" in reply.error.hint


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("clone", "usage", "%github clone: the following arguments are required: repository"),
        ("clone http://[x/y", "url", "%github: that is not a URL."),
        ("clone nothing", "repository", "%github: nothing is not a repository."),
        ("clone o/n@a..b", "ref", "%github: a..b cannot be a branch, tag or commit."),
        ("clone o/n --depth -1", "depth", "%github: --depth takes a number of commits."),
        ("clone o/n --commit 12ab", "commit", "%github: --commit takes a full commit."),
        ("clone -o/n", "usage", "%github clone: the following arguments are required"),
        ("clone o/n --submodule", "unknown-option", "%github clone has no option --submodule. Did"),
        ("clon o/n", "unknown-command", "%github has no command clon. Did you mean clone?"),
        ("save --gist --pr", "gist-branch", "%github save: a gist has no branches."),
        ("open x.ipynb", "notebook-address", "%github open: x.ipynb is not a notebook on GitHub."),
    ],
)
def test_bad_lines(run: Cells, line: str, code: str, text: str) -> None:
    """Each is one line that says what is wrong."""
    error = run.attempt(f"%github {line}").error
    assert type(error).__name__ == "UsageError" and left() == []
    assert getattr(error, "code", "") == code and str(error).startswith(text)


def test_without_git(run: Cells, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It says how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    reply = run.attempt("%github clone owner/name")
    assert isinstance(reply.error, SourceError) and reply.error.hint == "Install it: %apt git"


# ---------------------------------------------------------------------- cut off
def child(home: Path) -> Child:
    """A shell in a process that can be killed."""
    return Child(dict(os.environ))


@pytest.mark.once
def test_killed_while_it_clones(run: Cells, server: Server, home: Path) -> None:
    """With -9, half of the files on their way: the next run completes it and leaves nothing."""
    url = server.make("model", blob=os.urandom(400_000).hex())
    server.stall = 100_000
    with child(home) as killed:
        killed.ask(f"%github clone {url}")
        assert server.stalled.wait(30)
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait()
    server.stall = 0
    assert left() == [".model.cloning"]
    threading.Timer(0.5, server.go_on.set).start()  # its git lives on, and is waited for
    shown = run(f"%github clone {url}")
    assert "cloned" in shown and left() == ["model"]
    assert git(Path("model"), "status", "--porcelain") == ""


def cut_off(run: Cells, patch: pytest.MonkeyPatch, url: str, work: Callable[[], object]) -> None:
    """An update that ends like one that was killed: with this work done in git's place."""
    plain = Git.__call__

    def dies(self: Git, folder: Path, *words: str, **more: Any) -> object:
        if words[0] == "checkout":
            work()
            raise SystemExit
        return plain(self, folder, *words, **more)

    with patch.context() as patched:
        patched.setattr(Git, "__call__", dies)
        run.attempt(f"%github clone {url} --update")
    assert "was interrupted" in run(f"%github clone {url} --dry-run")


def finish(error: object) -> None:
    """Type the command that an error names."""
    assert isinstance(error, SourceError) and error.code == "interrupted"
    subprocess.run(error.hint.partition(": !")[2], shell=True, check=True)


@pytest.mark.once
def test_killed_while_it_moves(run: Cells, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the newer files in place, one half written, git's lock left: one command ends it."""
    url = server.make("model", gone="x", **{f"f{n}": "old" for n in range(20)})
    run(f"%github clone {url}")
    (server.folder / "model/gone").unlink()
    texts = {f"f{n}": "new" for n in range(20)}
    new = server.commit("model", **texts, **{"more é": "x", "other": "long text"})

    def half() -> None:
        Path("model/gone").unlink()
        for n in range(10):
            Path(f"model/f{n}").write_text("new")
        Path("model/f10").write_text("ne")
        Path("model/f11").unlink()
        Path("model/more é").write_text("x")
        Path("model/other").write_text("long")
        Path("model/.git/index.lock").write_text("")

    cut_off(run, monkeypatch, url, half)
    finish(run.attempt(f"%github clone {url} --update").error)
    run(f"%github clone {url} --update")
    assert head("model") == new and git(Path("model"), "status", "--porcelain") == ""
    assert {Path(f"model/f{n}").read_text() for n in range(20)} == {"new"}
    assert not list(Path("model/.git").glob("colab-magics-*"))


@pytest.mark.once
def test_edits_after_a_kill_stay(
    run: Cells, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a half-moved clone what somebody wrote since is left; without it, it goes on."""
    url = server.make("model", f1="old", f2="old", f3="old")
    run(f"%github clone {url}")
    old, new = head("model"), server.commit("model", f1="new", f2="new", notes="theirs")
    cut_off(run, monkeypatch, url, lambda: Path("model/f1").write_text("new"))
    mine = {"f2": "mine", "f3": "mine too", "notes": "mine as well", "staged": "and mine"}
    for name, text in mine.items():
        Path("model", name).write_text(text)
    git(Path("model"), "add", "staged", "f3")
    for line in (f"%github clone {url} --update", f"%github clone {url} --update"):
        reply = run.attempt(line)
        assert isinstance(reply.error, SourceError) and reply.error.code == "interrupted"
        assert reply.error.details.split() == ["M", "f1", "M", "f2", "M", "f3", "A", "staged"]
        assert {name: Path("model", name).read_text() for name in mine} == mine
        assert head("model") == old
    git(Path("model"), "rm", "-q", "-f", "--cached", "staged")
    for name in mine:
        Path("model", name).unlink()
    finish(reply.error)
    run(f"%github clone {url} --update")
    assert head("model") == new and git(Path("model"), "status", "--porcelain") == ""


@pytest.mark.once
def test_killed_before_and_after_git_moved(
    run: Cells, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where git had not begun, or was done, a clone is one like any other."""
    url = server.make("model", README="one")
    run(f"%github clone {url}")
    Path("model/notes").write_text("mine")
    second = server.commit("model", README="two", notes="theirs")
    cut_off(run, monkeypatch, url, lambda: None)
    for line in (f"%github clone {url} --update", f"%github clone {url} --update"):
        reply = run.attempt(line)
        assert isinstance(reply.error, SourceError) and reply.error.code == "would-overwrite"
        assert Path("model/notes").read_text() == "mine"
    assert "already at" in run(f"%github clone {url}")
    Path("model/notes").unlink()
    words = ("checkout", "-q", "-B", "main", second)
    cut_off(run, monkeypatch, url, lambda: git(Path("model"), *words))
    Path("model/README").write_text("mine")
    shown = run(f"%github clone {url} --update")
    assert "has changes in 1 file: left as it is" in shown and head("model") == second
    assert Path("model/README").read_text() == "mine"
    assert git(Path("model"), "stash", "list") == ""


@pytest.mark.once
def test_ctrl_c_leaves_nothing(server: Server, home: Path) -> None:
    """Interrupted in the middle: what was there is gone at once, git too."""
    url = server.make("model", blob=os.urandom(400_000).hex())
    server.stall = 100_000
    with child(home) as shell:
        shell.ask(f"%github clone {url}")
        assert server.stalled.wait(30)
        shell.interrupt()
        assert shell.answer().error == "KeyboardInterrupt"
        assert left() == []
        server.stall = 0
        server.go_on.set()
        assert "cloned" in shell(f"%github clone {url}")


@pytest.mark.once
def test_two_kernels_clone_one_after_the_other(run: Cells, server: Server, home: Path) -> None:
    """The second waits, and finds it there."""
    url = server.make("model", blob=os.urandom(400_000).hex())
    server.stall = 100_000
    with child(home) as first, child(home) as second:
        first.ask(f"%github clone {url}")
        assert server.stalled.wait(30)
        second.ask(f"%github clone {url}")
        server.stall = 0
        server.go_on.set()
        said = [first.answer().shown, second.answer().shown]
    assert "cloned" in said[0] and ("still at" in said[1] or "already at" in said[1])


# ---------------------------------------------------------------------- what is around it
def test_bare_shows_what_is_remembered(run: Cells, server: Server) -> None:
    """Each clone and how it stands."""
    assert "%github clone owner/name" in run("%github")
    url = server.make("model", README="hello")
    run(f"%github clone {url}")
    _, row = run("%github").split("\n")
    assert re.split(" {2,}", row) == [
        "ok",
        url,
        f"model: already at {head('model')[:7]} (main)",
    ]


def test_the_words_of_git_are_heard_as_it_works(server: Server, tmp_path: Path) -> None:
    """Progress that git writes over and over on one line arrives line by line."""
    from colab_magics.core.process import run as run_program

    script = "import sys\nfor n in range(3): sys.stdout.write(f'{n}\\r'); sys.stdout.flush()"
    heard: List[str] = []
    done = run_program([sys.executable, "-c", script], on_line=heard.append)
    assert heard == ["0", "1", "2"] and done.status == 0

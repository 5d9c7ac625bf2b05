"""``%github save`` and ``%github open`` in a shell, against a double of GitHub on loopback."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from doubles.github_api import TOKEN, GitHub, Repo
from support.cells import Cells
from support.notebooks import code, notebook, whole

from colab_magics.core.errors import NotebookError, SourceError
from colab_magics.github import contents, magic_save

LEAK = "ghp_" + "a1B2" * 9


@pytest.fixture(autouse=True)
def canary(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The token is in the environment; what is known of secrets is forgotten behind each test."""
    monkeypatch.setattr("colab_magics.core.redact._SECRETS", set())
    monkeypatch.setattr(contents, "_LAST", {})
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    monkeypatch.delenv("MINE", raising=False)
    monkeypatch.setenv("GH_TOKEN", TOKEN)
    yield
    files = [path for path in Path().rglob("*") if path.is_file()]
    assert [path for path in files if b"canary" in path.read_bytes()] == []


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    """The double; the token was in no address and no body that it was sent."""
    found = GitHub()
    monkeypatch.setenv("GITHUB_API_URL", found.url)
    yield found
    found.close()
    assert "canary" not in repr(found.asked)


@pytest.fixture
def repo(github: GitHub) -> Repo:
    """A repository of ours."""
    return github.repo("me/work", README_dot_md="hello")


@pytest.fixture
def nb(run: Cells) -> Path:
    """A notebook that is open in VS Code, which names its file."""
    path = notebook(Path("nb.ipynb").resolve(), "import os", "print(1)", "%github save")
    raw = whole(path)
    raw["cells"][1].update(
        outputs=[{"output_type": "stream", "name": "stdout", "text": ["1\n"]}], execution_count=2
    )
    path.write_text(json.dumps(raw, indent=1) + "\n")
    about = {"cellId": f"vscode-notebook-cell:{path}#W0"}
    request = {"metadata": about, "content": {"allow_stdin": False}, "header": {"session": "s"}}
    run.shell.kernel = SimpleNamespace(get_parent=lambda channel: request)
    run.shell.user_ns["__vsc_ipynb_file__"] = str(path)
    return path


def failed(run: Cells, cell: str) -> str:
    """What a cell says that must fail; the token is not in it."""
    reply = run.attempt(cell)
    assert reply.error is not None, reply.shown
    text = f"{reply.shown}\n{type(reply.error).__name__}: {reply.error}"
    assert "canary" not in text and LEAK not in text and "Traceback" not in text
    return text


def read(repo: Repo, path: str = "nb.ipynb", branch: str = "main") -> Dict[str, Any]:
    """A notebook as it is in a repository."""
    found: Dict[str, Any] = json.loads(repo.files(branch)[path])
    return found


# ---------------------------------------------------------------------- to a repository
def test_saved_remembered_and_not_sent_again(
    run: Cells, github: GitHub, repo: Repo, nb: Path
) -> None:
    """The file as it is and where it goes; then nothing is named, and nothing is sent."""
    shown = run("%github save me/work --path work/nb.ipynb").splitlines()
    commit = repo.branches["main"]
    assert shown[0] == f"work/nb.ipynb saved to me/work, branch main: {commit[:7]}"
    assert shown[1] == "https://github.com/me/work/blob/main/work/nb.ipynb"
    assert "next time, type %github save" in shown[2]
    assert read(repo, "work/nb.ipynb")["cells"] == whole(nb)["cells"]
    assert repo.messages[commit] == "Save nb.ipynb" and "README.md" in repo.files()
    kept = read(repo, "work/nb.ipynb")["metadata"]["colab_magics"]["github"]
    assert kept == "repository=me/work&branch=main&path=work/nb.ipynb"
    shown = run("%github save").splitlines()
    assert shown[0] == "nb.ipynb is already saved to me/work, branch main; nothing was sent"
    assert repo.branches["main"] == commit and len(github.changes) == 1
    nb.write_text(nb.read_text().replace("print(1)", "print(2)"))
    run('%github save --message "Second thoughts"')
    assert repo.messages[repo.branches["main"]] == "Second thoughts"
    assert run.steps() == []


def test_what_the_saving_cell_put_out_is_no_change(run: Cells, repo: Repo, nb: Path) -> None:
    """Its own output and number are not sent; else each save would make the next one differ."""
    run("%github save me/work")
    raw = whole(nb)
    raw["cells"][2].update(
        outputs=[{"output_type": "stream", "name": "stdout", "text": ["saved"]}], execution_count=9
    )
    nb.write_text(json.dumps(raw, indent=1) + "\n")
    run("%github save")
    commits = len(repo.commits)
    assert "nothing was sent" in run("%github save") and len(repo.commits) == commits
    assert read(repo)["cells"][2]["outputs"] == []


def test_strip_is_of_the_sent_copy_alone(run: Cells, repo: Repo, nb: Path) -> None:
    """Outputs and counts are left out there; the file keeps them."""
    before = nb.read_bytes()
    run("%github save me/work --strip")
    assert [cell["outputs"] for cell in read(repo)["cells"]] == [[], [], []]
    assert {cell["execution_count"] for cell in read(repo)["cells"]} == {None}
    assert nb.read_bytes() == before


def test_files_of_the_folder_go_in_one_commit(run: Cells, repo: Repo, nb: Path) -> None:
    """Beside the notebook, by their names; those that are there like that are not sent again."""
    Path("data").mkdir()
    Path("data/x.csv").write_text("1,2\n")
    Path("blob.bin").write_bytes(bytes(range(256)))
    run("%github save me/work data/x.csv blob.bin --path deep/nb.ipynb")
    files = repo.files()
    assert files["deep/data/x.csv"] == b"1,2\n" and files["deep/blob.bin"] == bytes(range(256))
    assert len(repo.commits) == 2
    Path("data/x.csv").write_text("3\n")
    shown = run("%github save data/x.csv --message two blob.bin")
    assert shown.startswith("deep/data/x.csv saved to me/work") and len(repo.commits) == 3
    assert "is not in the notebook's folder" in failed(run, "%github save ../x")
    assert "is a folder" in failed(run, "%github save data")
    assert "does not exist" in failed(run, "%github save nothing.csv")


def test_a_missing_branch_is_made_from_the_default_one(run: Cells, repo: Repo, nb: Path) -> None:
    """And is remembered."""
    shown = run("%github save me/work --branch feature/x")
    assert shown.splitlines()[0] == "Branch feature/x is new"
    assert set(repo.files("feature/x")) == {"README.md", "nb.ipynb"}
    assert "nb.ipynb" not in repo.files()
    assert "nb.ipynb is already saved to me/work, branch feature/x" in run("%github save")
    shown = run("%github save --path 'a b/ü.ipynb'")
    assert shown.splitlines()[1].endswith("/me/work/blob/feature/x/a%20b/%C3%BC.ipynb")


def test_an_empty_repository_gets_its_first_commit(run: Cells, github: GitHub, nb: Path) -> None:
    """Of one file or of several."""
    for name, words in (("one", ""), ("two", "more.txt")):
        repo = github.repo(f"me/{name}")
        Path("more.txt").write_text("x")
        run(f"%github save me/{name} {words}")
        assert set(repo.files()) == {"nb.ipynb", *words.split()}
    github.repo("me/three")
    assert "is empty, and its first branch is main" in failed(
        run, "%github save me/three --branch x"
    )


def test_somebody_who_was_faster(run: Cells, github: GitHub, repo: Repo, nb: Path) -> None:
    """Tried once more from what is there now; what they did is in the history, and not lost."""
    github.conflicts = 1
    run("%github save me/work")
    assert read(repo)["cells"] and not github.conflicts
    github.conflicts = 2
    nb.write_text(nb.read_text().replace("print(1)", "print(2)"))
    said = failed(run, "%github save")
    assert "was being changed by somebody else" in said and "Run it again" in said

    def others() -> None:
        github.before = lambda: None
        repo.commit("main", {"theirs": b"x"})

    github.before, github.conflicts = others, 0
    Path("a.txt").write_text("a")
    run("%github save a.txt")
    assert repo.files()["theirs"] == b"x" and repo.files()["a.txt"] == b"a"


def test_what_changed_there_since_is_said(run: Cells, repo: Repo, nb: Path) -> None:
    """The save goes on top of it, and says where the other version is; once."""
    assert "had changed there" not in run("%github save me/work")
    repo.commit("main", {"nb.ipynb": b"theirs"})
    shown = run("%github save")
    assert "nb.ipynb had changed there since your last save: see " in shown
    assert "https://github.com/me/work/commits/main" in shown
    nb.write_text(nb.read_text().replace("print(1)", "print(2)"))
    assert "had changed there" not in run("%github save")


def test_large_files(
    run: Cells, github: GitHub, repo: Repo, nb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the contents interface's size by blobs; what GitHub does not take is said plainly."""
    monkeypatch.setattr(contents, "SMALL", 100)
    run("%github save me/work")
    assert [c.split("/")[-1] for c in github.changes] == ["blobs", "trees", "commits", "main"]
    assert read(repo)["cells"]
    github.largest = 10
    nb.write_text(nb.read_text().replace("print(1)", "print(2)"))
    before = repo.branches["main"]
    said = failed(run, "%github save")
    assert "too large for GitHub's interface" in said and "--strip" in said
    github.asked.clear()
    with open("huge.bin", "wb") as stream:
        stream.truncate(100 * 1024 * 1024 + 1)
    said = failed(run, "%github save huge.bin")
    assert "104.9 MB; GitHub takes files of up to 100 MB" in said and "--strip" not in said
    assert github.asked == [] and repo.branches["main"] == before
    os.unlink("huge.bin")


def test_a_repository_that_was_renamed(run: Cells, github: GitHub, repo: Repo, nb: Path) -> None:
    """GitHub's own redirect is followed and the new name remembered; to another host it is not."""
    github.moved["/repos/me/old"] = "/repos/me/work"
    run("%github save me/old")
    assert "already saved to me/work, branch main" in run("%github save")
    github.moved["/repos/me/gone"] = "http://localhost:1/repos/me/gone"
    said = failed(run, "%github save me/gone")
    assert "GitHub redirects to localhost; that was not followed" in said


def test_dry_run_sends_nothing(run: Cells, github: GitHub, repo: Repo, nb: Path) -> None:
    """It says what would go where."""
    shown = run("%github save me/work --dry-run")
    assert (
        shown.startswith("Nothing was sent. nb.ipynb (") and "me/work, the default branch" in shown
    )
    assert github.asked == []


def test_without_a_notebook_a_file_is_named(run: Cells, github: GitHub, repo: Repo) -> None:
    """In a terminal nothing says which notebook it is: one line; named files go alone."""
    said = failed(run, "%github save me/work")
    assert "It is not known which notebook this is." in said and github.asked == []
    notebook(Path("other.ipynb"), "x = 1")
    run("%github save me/work other.ipynb --path a/b.ipynb")
    assert read(repo, "a/b.ipynb") == whole(Path("other.ipynb"))
    with pytest.raises(NotebookError):
        run("%github save")


def test_what_was_named_last_counts(run: Cells, github: GitHub, repo: Repo, nb: Path) -> None:
    """Also where it cannot be kept in a notebook that says something else, of long ago."""
    old = github.repo("me/old", README="x")
    notebook(nb, "x = 1", colab_magics={"github": "repository=me/old&path=old.ipynb"})
    run("%github save me/old --path old.ipynb")
    assert "old.ipynb" in old.files()
    run("%github save ME/work")
    notebook(nb, "x = 2", colab_magics={"github": "repository=me/old&path=old.ipynb"})
    assert run("%github save").startswith("nb.ipynb saved to me/work")
    assert read(repo)["metadata"]["colab_magics"]["github"].startswith("repository=me/work&")


# ---------------------------------------------------------------------- pull requests and gists
def test_a_pull_request_is_opened_once(run: Cells, github: GitHub, repo: Repo, nb: Path) -> None:
    """Later saves go to the one that is open; one that was merged makes room for another."""
    shown = run('%github save me/work --pr --message "Look at this"')
    assert shown.splitlines()[:2] == [
        "Pull request #1 opened",
        "https://github.com/me/work/pull/1",
    ]
    assert repo.pulls[0]["title"] == "Look at this" and "nb.ipynb" not in repo.files()
    assert "Pull request #1 has it already" in run("%github save")
    nb.write_text(nb.read_text().replace("print(1)", "print(2)"))
    assert "Pull request #1 updated" in run("%github save")
    assert read(repo, branch="save-nb")["cells"][1]["source"] == ["print(2)"]
    repo.branches["main"] = repo.branches["save-nb"]
    repo.pulls[0]["state"] = "closed"
    assert "nb.ipynb is already saved to me/work, branch main; no pull request was made" in run(
        "%github save"
    )
    nb.write_text(nb.read_text().replace("print(2)", "print(3)"))
    assert "Pull request #2 opened" in run("%github save")
    assert "save-nb-2" in repo.branches
    run("%github save --branch main")
    assert read(repo)["cells"][1]["source"] == ["print(3)"]


def test_a_pull_request_that_is_refused_leaves_no_branch(
    run: Cells, github: GitHub, repo: Repo, nb: Path
) -> None:
    """What was made for it is taken away again."""
    github.conflicts = 2
    assert "somebody else" in failed(run, "%github save me/work --pr")
    assert list(repo.branches) == ["main"]


def test_a_gist_is_made_once_and_updated(run: Cells, github: GitHub, nb: Path) -> None:
    """Secret, remembered by its id, which is not in the copy; a gist of somebody else is left."""
    shown = run("%github save --gist").splitlines()
    (made,) = github.gists
    assert shown[0].startswith("Saved to a new secret gist") and shown[1].endswith(made)
    assert github.gists[made]["public"] is False
    assert made not in github.gists[made]["files"]["nb.ipynb"]["content"]
    assert "nothing was sent" in run("%github save")
    nb.write_text(nb.read_text().replace("print(1)", "print('é')"))
    assert run("%github save").splitlines()[0] == "Saved to the gist"
    assert "é" in github.gists[made]["files"]["nb.ipynb"]["content"]
    assert len(github.gists) == 1
    github.gists[made]["owner"]["login"] = "somebody"
    theirs = json.dumps(github.gists[made])
    assert "Saved to a new secret gist" in run("%github save")
    assert len(github.gists) == 2 and json.dumps(github.gists[made]) == theirs


def test_a_repository_after_a_gist(run: Cells, github: GitHub, repo: Repo, nb: Path) -> None:
    """Both are remembered; what is named last is where it goes."""
    run("%github save --gist")
    run("%github save me/work")
    assert "already saved to me/work, branch main" in run("%github save")
    shown = run("%github save --gist")  # it holds the repository now
    assert "Already saved to the gist" not in shown
    assert "Already saved to the gist" in run("%github save")
    assert len(github.gists) == 1


# ---------------------------------------------------------------------- what must not leave
def test_what_holds_a_secret_is_not_sent(
    run: Cells, github: GitHub, repo: Repo, nb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one by its shape nor one that is known here, in cells, outputs, files or message."""
    raw = whole(nb)
    raw["cells"][1]["outputs"][0]["text"] = [f"{LEAK}\n"]
    nb.write_text(json.dumps(raw))
    said = failed(run, "%github save me/work")
    assert "cell 2 (print(1)), in its outputs holds what looks like a GitHub token" in said
    run("%github save me/work --strip")  # what is sent has no outputs
    github.asked.clear()
    monkeypatch.setenv("MINE", "my-own-word")
    run("%secret MINE --no-record -q")
    notebook(nb, "import os\nx = 'my-own-word'")
    said = failed(run, "%github save")
    assert "cell 1 (import os) holds a secret that is known here; nothing was sent" in said
    assert "my-own-word" not in said
    notebook(nb, "x = 1")
    Path(".env").write_text("A=1")
    Path("a.txt").write_text(f"\n{LEAK}")
    assert "where secrets are stored" in failed(run, "%github save .env")
    assert "a.txt: line 2 holds" in failed(run, "%github save a.txt")
    assert "The message holds" in failed(run, "%github save --message my-own-word")
    assert github.asked == []


def test_a_secret_that_is_written_out_is_not_sent(
    run: Cells, github: GitHub, repo: Repo, nb: Path
) -> None:
    """Where a name says what it is given; the cell and the name are said, the value is not."""
    for cell, name in (
        ("import os\nos.environ['WANDB_API_KEY'] = '" + "0123456789" * 4 + "'", "WANDB_API_KEY"),
        ('password="hunter2hunter2"', "password"),
        ("login(user, token: str = 'hunter2hunter2')", "token"),
        ("%env MY_SECRET=hunter2hunter2", "MY_SECRET"),
    ):
        notebook(nb, "x = 1", cell)
        said = failed(run, "%github save me/work")
        assert "cell 2" in said and f"a secret, given to {name}; nothing was sent" in said
        assert "hunter2" not in said and "0123" not in said
    notebook(nb, "x = 1")
    Path("a.py").write_text("\nPASSWORD = 'hunter2hunter2'\n")
    assert "a.py: line 2 holds" in failed(run, "%github save me/work a.py")
    assert github.asked == []


def test_the_token_itself_is_not_sent(run: Cells, github: GitHub, repo: Repo, nb: Path) -> None:
    """Also where no ``%secret`` has made it known before."""
    raw = whole(nb)
    raw["cells"][1]["outputs"][0]["text"] = [TOKEN]
    nb.write_text(json.dumps(raw))
    assert "a secret that is known here" in failed(run, "%github save me/work")
    assert github.asked == []
    notebook(nb, "x = 1")


# ---------------------------------------------------------------------- tokens and errors
def test_which_token_is_used(
    run: Cells, github: GitHub, repo: Repo, nb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is named, else GH_TOKEN, else GITHUB_TOKEN; a literal one is refused."""
    monkeypatch.setenv("GH_TOKEN", "wrong-one-1234")
    said = failed(run, "%github save me/work")
    assert "GitHub refused the token GH_TOKEN" in said and "wrong-one" not in said
    monkeypatch.setenv("MINE", TOKEN)
    run("%github save me/work --token MINE")
    monkeypatch.delenv("GH_TOKEN")
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    run("%github save")
    monkeypatch.delenv("GITHUB_TOKEN")
    said = failed(run, "%github save")
    assert "GH_TOKEN is not set" in said and "%secret set GH_TOKEN" in said
    github.asked.clear()
    assert "remove it from the cell" in failed(run, f"%github save --token {LEAK}")
    assert github.asked == []


def test_netrc_is_not_used(run: Cells, github: GitHub, repo: Repo, nb: Path, home: Path) -> None:
    """``requests`` would put what stands there in the place of the token."""
    (home / ".netrc").write_text("machine 127.0.0.1 login me password other")
    (home / ".netrc").chmod(0o600)
    run("%github save me/work")
    assert all(one.signed for one in github.asked)


ANSWERS: List[Tuple[int, Dict[str, str], str]] = [
    (401, {}, "GitHub refused the token GH_TOKEN"),
    (403, {}, "me/work: the token GH_TOKEN may not do that"),
    (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99"}, "rate limit is used up"),
    (429, {"Retry-After": "60"}, "rate limit is used up"),
    (404, {}, "me/work does not exist, or the token GH_TOKEN may not see it"),
    (422, {}, "me/work: GitHub does not accept that"),
    (502, {}, "GitHub answered 502"),
]


@pytest.mark.parametrize(("status", "headers", "said"), ANSWERS)
def test_what_github_refuses(
    run: Cells, github: GitHub, nb: Path, status: int, headers: Dict[str, str], said: str
) -> None:
    """One line what, one line what to do, and GitHub's own word below."""
    github.status, github.headers = status, headers
    lines = failed(run, "%github save me/work").split("SourceError: ")[-1].splitlines()
    lines = lines if said in lines[0] else failed(run, "%github save me/work").splitlines()
    assert any(said in line for line in lines)
    assert github.changes == []


def test_who_may_only_read(run: Cells, github: GitHub, repo: Repo, nb: Path) -> None:
    """Said before anything is sent."""
    repo.writable = False
    assert "you may read it, but not write to it" in failed(run, "%github save me/work")
    assert github.changes == []


def test_nobody_answers(run: Cells, nb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line; a token is sent over https only, but on this machine."""
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    assert "127.0.0.1 did not answer" in failed(run, "%github save me/work")
    monkeypatch.setenv("GITHUB_API_URL", "http://api.example.org")
    assert "GITHUB_API_URL is not an https address" in failed(run, "%github save me/work")


STRANGE = [b"<html>log in</html>", b"[]", b"{}", b'{"files": null}', b"null", b'{"sha": "<html>']


@pytest.mark.parametrize("body", STRANGE)
def test_what_answers_is_not_github(
    run: Cells, nb: Path, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """A page to log in to a network, another service: one line, whatever it says."""
    github = GitHub()
    monkeypatch.setenv("GITHUB_API_URL", github.url)
    github.strange = body
    try:
        for line in (
            "save me/work",
            "save me/work --pr",
            "save --gist",
            "open https://gist.github.com/ab12cd34",
            "badge me/work --path nb.ipynb --commit",
        ):
            said = failed(run, f"%github {line}")
            assert "is not from GitHub's interface" in said or "no such notebook" in said, line
            assert "Traceback" not in said
    finally:
        github.close()


def test_slips_of_the_line(
    run: Cells, github: GitHub, nb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ``UsageError`` each, before anything is asked, a token included."""
    monkeypatch.setattr(magic_save, "sign_in", lambda *_: pytest.fail("a token was asked for"))
    for words, name in (
        ("", "unknown-repository"),
        ("me/work --branch a..b", "branch"),
        ("me/work --path ../x", "path"),
        ("me/work ../x", "file"),
        ("--gist --pr", "gist-branch"),
        ("--what", "unknown-option"),
    ):
        error = run.attempt(f"%github save {words}").error
        assert type(error).__name__ == "UsageError" and getattr(error, "code", "") == name
    assert github.asked == []


# ---------------------------------------------------------------------- open
@pytest.fixture
def there(github: GitHub) -> Repo:
    """A repository with a notebook, on two branches."""
    repo = github.repo("o/r", README_dot_md="x")
    text = json.dumps(
        {"cells": [code("1 / 0")], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    )
    repo.commit("main", {"a/nb.ipynb": text.encode()})
    repo.commit("feature/x", {"a/nb.ipynb": text.replace("1 / 0", "2 / 0").encode()})
    return repo


def test_opened_once_and_never_over_another_file(run: Cells, github: GitHub, there: Repo) -> None:
    """Put as it is, executed nowhere; the same is said to be there, another is left alone."""
    shown = run("%github open o/r/a/nb.ipynb")
    assert shown.splitlines()[0] == "nb.ipynb saved" and "colab-magics run nb.ipynb" in shown
    assert "colab-magics run 'a b.ipynb'" in run("%github open o/r/a/nb.ipynb 'a b.ipynb'")
    Path("a b.ipynb").unlink()
    assert Path("nb.ipynb").read_bytes() == there.files()["a/nb.ipynb"]
    assert not any(one.signed for one in github.asked), "a token where none is needed"
    assert "nb.ipynb is already here, the same" in run("%github open o/r/a/nb.ipynb")
    url = "https://github.com/o/r/blob/feature/x/a/nb.ipynb"
    said = failed(run, f"%github open {url}")
    assert "nb.ipynb is there and differs; it was left alone" in said and "copy.ipynb" in said
    assert "1 / 0" in Path("nb.ipynb").read_text()
    Path("sub").mkdir()
    run(f"%github open {url} --token GH_TOKEN sub")
    run("place = %github open https://github.com/o/r/blob/feature/x/a/nb.ipynb deep/c.ipynb -o")
    assert run.shell.user_ns["place"] == Path("deep/c.ipynb").resolve()
    assert Path("deep/c.ipynb").read_text() == Path("sub/nb.ipynb").read_text()
    found = sorted(str(path) for path in Path().rglob("*") if path.is_file())
    assert found == ["deep/c.ipynb", "nb.ipynb", "sub/nb.ipynb"] and run.steps() == []


def test_a_private_one_is_opened_with_the_token(
    run: Cells, github: GitHub, there: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is sent only then; without one it is said what is needed."""
    there.private = True
    run("%github open https://raw.githubusercontent.com/o/r/main/a/nb.ipynb?token=canary-in-url")
    assert [one.signed for one in github.asked][-1] is True
    monkeypatch.delenv("GH_TOKEN")
    said = failed(run, "%github open o/r/a/nb.ipynb other.ipynb")
    assert "or it is private" in said and "%secret set GH_TOKEN" in said


def test_what_is_no_notebook_is_not_saved(run: Cells, there: Repo) -> None:
    """Neither what is no JSON, nor what the format does not allow; nothing is left of it."""
    bad = json.dumps(
        {"cells": [{"cell_type": "x"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    )
    old = json.dumps({"worksheets": [], "metadata": {}, "nbformat": 3, "nbformat_minor": 0})
    for text in ("<html>", bad, old):
        there.commit("main", {"x.ipynb": text.encode()})
        assert "NotebookError" in failed(run, "%github open o/r/x.ipynb")
    assert "o/r has no y.ipynb at v9, or it is private" in failed(
        run, "%github open o/r/y.ipynb@v9"
    )
    assert "is not a notebook on GitHub" in failed(run, "%github open https://example.org/nb.ipynb")
    assert list(Path().iterdir()) == []


def test_a_gist_is_opened(run: Cells, github: GitHub) -> None:
    """By its one notebook, or the one that is named; a large one as a whole."""
    large = "x = 1 # " + "y" * 1100000
    texts = {}
    for name, source in (("a.ipynb", "x = 1"), ("b.ipynb", large)):
        cells = [code(source)]
        made = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        texts[name] = {"content": json.dumps(made)}
    github.gists["ab12cd34"] = {"files": {**texts, "notes.md": {"content": "x"}}}
    github.gists["ab12cd35"] = {"files": {"a.ipynb": texts["a.ipynb"], "x.md": {"content": ""}}}
    assert "several notebooks" in failed(run, "%github open https://gist.github.com/me/ab12cd34")
    run("%github open https://gist.github.com/me/ab12cd35")
    assert whole(Path("a.ipynb"))["cells"][0]["source"] == ["x = 1"]
    run("%github open https://gist.githubusercontent.com/me/ab12cd34/raw/b.ipynb")
    assert Path("b.ipynb").read_text() == texts["b.ipynb"]["content"]
    raw = [one for one in github.asked if one.path.startswith("/raw/")]
    assert len(raw) == 1 and not raw[0].signed


def test_a_gist_names_no_place(run: Cells, github: GitHub) -> None:
    """Who made it chose the names: no file is put outside the folder."""
    made = {"cells": [code("x")], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    for name in ("../../evil.ipynb", "..\\evil.ipynb", "/tmp/evil.ipynb"):
        github.gists["ab12cd34"] = {"files": {name: {"content": json.dumps(made)}}}
        run("%github open https://gist.github.com/me/ab12cd34")
    assert [path.name for path in Path().iterdir()] == ["evil.ipynb"]


def test_a_link_or_a_folder_in_the_way(run: Cells, there: Repo) -> None:
    """What is there in its place, a link that leads nowhere even, is left as it is."""
    os.symlink("nowhere", "nb.ipynb")
    assert "is there and differs" in failed(run, "%github open o/r/a/nb.ipynb")
    assert os.readlink("nb.ipynb") == "nowhere" and not Path("nowhere").exists()
    said = failed(run, "%github open o/r/a/nb.ipynb nb.ipynb/x.ipynb")
    assert "x.ipynb could not be written" in said and "nothing was made" in said
    assert "Name another place: %github open " in said
    os.unlink("nb.ipynb")


def test_errors_are_ours(run: Cells, github: GitHub) -> None:
    """One kind for what GitHub does not give."""
    with pytest.raises(SourceError):
        run("%github open o/none/nb.ipynb")

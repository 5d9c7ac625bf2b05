"""What a new setup cell installs: where this package came from, if others can have it there."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Callable, Dict, Iterator, Optional
from unittest.mock import Mock

import pytest
from doubles.git_server import PASSWORD, Server, git
from IPython.core.inputtransformer2 import TransformerManager

import colab_magics
from colab_magics._version import __version__
from colab_magics.core import origin
from colab_magics.core.host import Context, Host
from colab_magics.core.origin import Source, newest, portable_source, repository, requirement
from colab_magics.record import cell, record
from colab_magics.record.merge import forget

pytestmark = pytest.mark.once

COMMIT = "0123456789abcdef0123456789abcdef01234567"
#: Makes the installed package one that came from there: ``came(url, dir_info={})``.
Came = Callable[..., None]


@pytest.fixture
def came(
    distribution: Callable[..., Path], site: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Came]:
    """This package seems installed, with a ``direct_url.json``, in no checkout."""
    monkeypatch.setattr(origin, "_checkout", lambda: None)

    def add(url: str = "", **info: Any) -> None:
        shutil.rmtree(site, ignore_errors=True)
        site.mkdir()
        files = {"direct_url.json": json.dumps({"url": url, **info})} if url else {}
        distribution("colab-magics", "9.0", files=files)

    origin._find_published.cache_clear()
    yield add
    origin._find_published.cache_clear()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Git's own server, on loopback."""
    found = Server(tmp_path / "server")
    yield found
    found.close()


class _In(Context):
    """What a kernel knows of a notebook in a folder."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "nb.ipynb"

    def notebook(self) -> Optional[Path]:
        return self.file


def clone(server: Server, name: str = "tools") -> Path:
    """A repository of this package, and a clone of it as a user makes it."""
    url = server.make(name, **{"pyproject.toml": "[project]"})
    if not name.startswith("private"):
        git(server.folder, "clone", "-q", url, f"{name}-clone")
        return server.folder / f"{name}-clone"
    shutil.copytree(server.folder / name, server.folder / f"{name}-clone")
    git(server.folder / f"{name}-clone", "remote", "set-url", "origin", url)
    return server.folder / f"{name}-clone"


def local(folder: Path, editable: bool = True) -> Dict[str, Any]:
    """What is noted of a folder that was installed."""
    return {"url": folder.as_uri(), "dir_info": {"editable": True} if editable else {}}


# ---------------------------------------------------------------------- an index, an address
def test_from_an_index_it_is_the_release(came: Came) -> None:
    """Only what came from an index is named, and so is a newer one of it."""
    came()
    assert portable_source() == Source(f"colab-magics~={__version__}")
    assert (requirement(), newest()) == (f"colab-magics=={__version__}", "colab-magics")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/r.git", "git+https://example.org/r.git"),
        ("https://me:secret@example.org/r.git", "git+https://example.org/r.git"),
        ("ssh://git@example.org/r.git", "git+ssh://git@example.org/r.git"),
    ],
)
def test_from_a_git_address_it_is_that_at_its_commit(came: Came, url: str, expected: str) -> None:
    """Without a password; a newer one comes from the same address."""
    came(url, vcs_info={"vcs": "git", "commit_id": COMMIT})
    assert portable_source() == Source(f"{expected}@{COMMIT}")
    assert (requirement(), newest()) == (f"colab-magics @ {expected}@{COMMIT}", expected)


def test_from_an_archive_it_is_its_address(came: Came) -> None:
    """A wheel on a server is installed from there again."""
    url = "https://example.org/colab_magics-9.0-py3-none-any.whl"
    came(url, archive_info={})
    assert portable_source() == Source(url)


@pytest.mark.parametrize("text", ["{}", '{"url": "file:"}', '{"url": "file:."}', "no json"])
def test_what_came_from_nowhere_has_no_name(
    came: Came, site: Path, server: Server, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is no index's own would be whatever a stranger registers there; and what the
    kernel stands in is somebody's project.
    """
    monkeypatch.chdir(clone(server))
    came("file:///nowhere")
    (site / "colab_magics-9.0.dist-info/direct_url.json").write_text(text)
    assert portable_source(Host(start=Path.cwd())) == Source()
    assert newest() == (f"git+{repository()}" if repository() else "")
    assert "colab-magics==" not in requirement()


# ---------------------------------------------------------------------- a clone on disk
@pytest.mark.parametrize("editable", [True, False])
def test_from_a_clone_it_is_its_origin_at_its_commit(
    came: Came, server: Server, editable: bool
) -> None:
    """Also where the server has gone on since, so that no branch of it ends there."""
    folder = clone(server)
    came(**local(folder, editable))
    commit = git(folder, "rev-parse", "HEAD")
    server.commit("tools", README="newer")
    assert portable_source() == Source(f"git+{server.at}/tools.git@{commit}")
    asked = len(server.asked)
    assert portable_source().text and len(server.asked) == asked  # once in a kernel's life


def test_from_a_server_of_plain_files(came: Came, server: Server) -> None:
    """Which cannot send one commit: it is believed where it lists that, after few questions."""
    folder = clone(server)
    git(server.folder / "tools.git", "update-server-info")
    handler = partial(_Quiet, directory=str(server.folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as plain:
        Thread(target=plain.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{plain.server_port}/tools.git"
        git(folder, "remote", "set-url", "origin", url)
        came(**local(folder))
        commit = git(folder, "rev-parse", "HEAD")
        _Quiet.asked = 0
        assert portable_source() == Source(f"git+{url}@{commit}")
        assert _Quiet.asked < 20
        git(folder, "commit", "-q", "--allow-empty", "-m", "mine")
        origin._find_published.cache_clear()
        assert portable_source() == Source()
        plain.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files and counts the requests."""

    asked = 0

    def log_message(self, *args: Any) -> None:
        _Quiet.asked += 1


def test_a_commit_that_is_not_pushed_is_not_named(came: Came, server: Server) -> None:
    """Another machine could not have it."""
    folder = clone(server)
    came(**local(folder))
    git(folder, "commit", "-q", "--allow-empty", "-m", "mine")
    assert portable_source() == Source()


def test_what_needs_a_login_is_not_named(
    came: Came, server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is asked as a stranger: no login of this user makes it look public."""
    folder = clone(server, "private")
    came(**local(folder))
    (home / ".netrc").write_text(f"machine 127.0.0.1 login me password {PASSWORD}\n")
    helper = f"!printf 'username=me\\npassword={PASSWORD}\\n'"
    git(folder, "config", "credential.helper", helper)
    (home / ".gitconfig").write_text(f'[credential]\n\thelper = "{helper}"\n')
    monkeypatch.setenv("GIT_ASKPASS", "/bin/echo")
    assert portable_source() == Source()
    assert server.asked and not server.sent


@pytest.mark.parametrize(
    "url",
    [
        "http://me:secret@127.0.0.1/tools.git",
        "http://me@127.0.0.1/tools.git",
        "git@example.org:o/tools.git",
        "ssh://git@example.org/o/tools.git",
        "file:///{}",
        "ext::sh -c touch% {}/ran",
        "--upload-pack=touch {}/ran",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/$X",
        "http://127.0.0.1/a?x=1",
        "",
    ],
)
def test_only_a_plain_address_is_asked(
    came: Came, server: Server, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a clone has as its origin is no option of git's, no program, and no login."""
    folder = clone(server)
    came(**local(folder))
    git(folder, "config", "remote.origin.url", url.format(tmp_path))
    asked = []
    real = origin._ask_git

    def ask(folder: Path, *words: str, **variables: str) -> str:
        asked.append(words[0])
        return real(folder, *words, **variables)

    monkeypatch.setattr(origin, "_ask_git", ask)
    assert portable_source() == Source()
    assert asked == ["rev-parse", "config"] and not (tmp_path / "ran").exists()


def test_no_program_of_the_clone_is_run(came: Came, server: Server, tmp_path: Path) -> None:
    """Hooks, monitors, helpers and other addresses that its settings name stay unused."""
    folder = clone(server)
    came(**local(folder))
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o700)
    hooks = folder / ".git/hooks"
    shutil.rmtree(hooks, ignore_errors=True)
    hooks.mkdir()
    for name in ("reference-transaction", "post-checkout", "post-index-change"):
        shutil.copy(program, hooks / name)
    for key in ("core.fsmonitor", "core.gitProxy", "core.sshCommand", "core.pager", "core.askPass"):
        git(folder, "config", key, str(program))
    git(folder, "config", "credential.helper", f"!{program}")
    git(folder, "config", f"url.ext::{program} x.insteadOf", server.at)
    (tmp_path / "ran").unlink(missing_ok=True)
    assert portable_source().text.startswith(f"git+{server.at}/tools.git@")
    assert not (tmp_path / "ran").exists()


def test_a_server_that_hangs_is_given_up(
    came: Came, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell is written without it."""
    folder = clone(server)
    came(**local(folder))
    server.stall = 10
    monkeypatch.setattr(origin, "LIMIT", 0.5)
    assert portable_source() == Source()
    assert server.stalled.is_set()


def test_a_folder_within_another_project_is_no_clone(came: Came, server: Server) -> None:
    """The origin of a project is not what installs a copy that lies somewhere in it."""
    folder = clone(server) / "vendor"
    folder.mkdir()
    came(**local(folder))
    assert portable_source() == Source()


def test_a_clone_on_this_machine_is_no_address(came: Came, server: Server, tmp_path: Path) -> None:
    """From ``git+file:`` it is the origin of that clone, at the commit that was installed."""
    folder = clone(server)
    commit = git(folder, "rev-parse", "HEAD")
    git(folder, "commit", "-q", "--allow-empty", "-m", "mine")
    came(folder.as_uri(), vcs_info={"vcs": "git", "commit_id": commit})
    assert portable_source() == Source(f"git+{server.at}/tools.git@{commit}")
    came(
        folder.as_uri(), vcs_info={"vcs": "git", "commit_id": f"--upload-pack=touch {tmp_path}/ran"}
    )
    assert portable_source() == Source() and not (tmp_path / "ran").exists()


# ---------------------------------------------------------------------- a path
@pytest.mark.parametrize(
    ("folder", "start", "notebook", "expected"),
    [
        ("work/colab-magics", "work", "work", "./colab-magics"),
        ("work/a/b", "work", None, "./a/b"),
        ("work", "work", None, "./"),
        ("work", "work/notebooks", None, "../"),
        ("work", "work/a/b", None, "../../"),
        ("work/my tools", "work", None, "./my tools"),
        ("work/books/tools", "work", "work/books", "./books/tools"),
        ("work/books/tools", "other", "work/books", "../work/books/tools"),
        ("elsewhere", "work", "work", ""),
        ("workspace", "work", "work", ""),
    ],
)
def test_a_path_counts_from_the_start_directory(
    came: Came, tmp_path: Path, folder: str, start: str, notebook: Optional[str], expected: str
) -> None:
    """Where it lies in the notebook's folder or the start directory, or these in it.

    It looks like a path, so that pip takes it for no name of an index.
    """
    for name in (folder, start, notebook or start):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / "pyproject.toml").write_text("")
    came(**local(tmp_path / folder))
    context = _In(tmp_path / notebook) if notebook else None
    assert portable_source(Host(start=tmp_path / start, context=context)) == Source(expected)


def test_a_wheel_beside_the_notebook(came: Came, tmp_path: Path) -> None:
    """A file is named as a folder is; one that is gone is not."""
    wheel = tmp_path / "colab_magics-9.0-py3-none-any.whl"
    came(wheel.as_uri(), archive_info={})
    assert portable_source(Host(start=tmp_path)) == Source()
    wheel.write_bytes(b"")
    assert portable_source(Host(start=tmp_path)) == Source(f"./{wheel.name}")


def test_on_colab_only_the_drive_survives(
    came: Came, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line mounts it first; a folder in its place that is not mounted is wiped."""
    monkeypatch.setenv("COLAB_RELEASE_TAG", "1")
    root = tmp_path / "drive/MyDrive"
    tools = root / "Colab Notebooks/tools"
    tools.mkdir(parents=True)
    (tools / "pyproject.toml").write_text("")
    came(**local(tools))
    host = Host(start=tmp_path)
    host.places["drive"] = lambda: root
    assert portable_source(host) == Source()
    monkeypatch.setattr(Path, "is_mount", lambda path: path == root.parent)
    assert portable_source(host) == Source(str(tools), str(root.parent))
    assert cell.bootstrap_lines(host)[3:] == (
        f"    from google.colab import drive; drive.mount('{root.parent}')",
        f'    %pip install -q "{tools}"',
    )


@pytest.mark.parametrize("at", ["scratch_folder", "git"])
def test_where_nothing_can_be_asked_nothing_is_named(
    came: Came, server: Server, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """A full disk, or no git, keeps nobody from a setup cell."""
    came(**local(clone(server)))

    def full(prefix: str) -> Path:
        raise OSError(28, "No space left on device")

    if at == "git":
        monkeypatch.setenv("PATH", "")
    else:
        monkeypatch.setattr("colab_magics.core.folders.scratch_folder", full)
    assert portable_source() == Source()


# ---------------------------------------------------------------------- as lines
@pytest.mark.parametrize(
    "source",
    [
        Source("colab-magics~=0.1.0"),
        Source(f"git+https://example.org/tools.git@{COMMIT}"),
        Source("https://example.org/tools.zip"),
        Source("./colab-magics"),
        Source("./"),
        Source("../../"),
        Source("./my tools"),
        Source("/content/drive/MyDrive/Colab Notebooks/tools", "/content/drive"),
        Source("$"),
        Source(),
    ],
)
def test_each_form_is_known_as_ours(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell with our lines alone may be replaced, and each of them is code that IPython reads."""
    monkeypatch.setattr(cell, "portable_source", lambda host: source)
    lines = cell.bootstrap_lines()
    assert len(lines) == (1 if source.text in ("", "$") else 5 if source.mount else 4)
    others = cell.others_than_head(lines)
    assert all(line.startswith("# colab_magics came from") for line in others)
    compile(TransformerManager().transform_cell("\n".join(lines)), "head", "exec")


@pytest.mark.parametrize(
    "line",
    [
        "%pip install -q ./tools",
        "%pip install -q git+https://example.org/tools.git",
        "    %pip install -q tools",
        "    %pip install -q ./tools numpy",
        "    %pip install ./tools",
        "    from google.colab import drive; drive.mount('/content/drive'); x()",
    ],
)
def test_a_line_of_the_user_is_not_ours(line: str) -> None:
    """It is never replaced with ours."""
    assert cell.others_than_head([line]) == [line]
    assert not cell.is_replaceable(f"if 1:\n{line}\n%setup write")


def test_nobody_is_asked_for_a_cell_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """What installs us is looked for where a setup cell is new; a line more, or fewer, asks not."""
    monkeypatch.setattr(cell, "portable_source", Mock(side_effect=AssertionError))
    text = "# colab_magics:setup v1\n%pin a==1"
    writer = Mock(read=lambda: text)
    step = cell.parse("%pin b==1")[0].step
    assert step is not None and record.add(writer, [(step, "")], Host()).changes
    assert record.edit(writer, lambda lines: forget(lines or [], [])).changes
    assert cell.is_replaceable("%load_ext colab_magics\n%setup write")


# ---------------------------------------------------------------------- this project's address
def test_the_address_stands_once() -> None:
    """``Repository`` of the metadata is that of the project, and no text has it besides."""
    root = Path(colab_magics.__file__).parent.parent
    project = root / "pyproject.toml"
    if project.is_file():
        assert f'Repository = "{repository()}"' in project.read_text(encoding="utf-8").split("\n")
    for path in _sources():
        assert repository() not in path.read_text(encoding="utf-8"), path


def test_no_text_installs_us_by_a_bare_name() -> None:
    """Whoever registers the name would run code wherever the advice is followed."""
    advice = re.compile(r"(pip install|%pin|uv add)( -\S+)* [\"']?colab[-_.]magics(?!\s*@)\b")
    for path in _sources():
        assert not advice.search(path.read_text(encoding="utf-8")), path


def _sources() -> Iterator[Path]:
    folder = Path(colab_magics.__file__).parent
    for kind in ("*.py", "*.js"):
        yield from folder.rglob(kind)

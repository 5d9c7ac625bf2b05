"""A canary stands in no message, no output and no process's arguments."""

from __future__ import annotations

import ast
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Iterator, List
from urllib.parse import quote

import pytest
from doubles.far import configure, folder
from doubles.git_server import PASSWORD, Server, git
from shell.conftest import bare, run
from support.cells import Cells

from colab_magics.core import errors, process
from colab_magics.core.redact import holds_secret, redact, register_secret
from colab_magics.core.secret_scan import find
from colab_magics.extension.session import get_session
from colab_magics.pin.git_login import without_logins
from colab_magics.pin.job import Job
from colab_magics.pin.options import authenticated
from colab_magics.pin.pip import Pip
from colab_magics.pin.requirements import carries_secret
from colab_magics.pin.uv import Uv

__all__ = ["bare", "run"]

CANARY = "canary-3e9a11f0"

#: URLs with a password in every spelling, ``{}`` being a part of it.
URLS = [
    "https://user:{}@host/path",
    "https://{}@host/path",
    "https://:{}@host/",
    "https://user:{}@host",
    "HTTPS://USER:{}@HOST/",
    "git+ssh://git:{}@host/x",
    "git+https://{}@host/x@v1.2",
    "git+https://user:{}@host:8443/x@v1.2#egg=x",
    "https://user:p@{}@host/",
    "https://user:{}@ss@host/",
    "https://user:p@@{}@host/",
    "https://me@example.org:{}@host/",
    "https://user:pa/{}@host/",
    "https://user:{}/ss@host/",
    "https://user:pa//{}@host/",
    "https://user:a/b/{}/c@host/",
    "https://user:p?{}@host/",
    "https://user:p#{}@host/",
    "https://user:p%40{}@host/",
    "https://user:p:{}@[::1]:8443/",
    "//user:{}@host/",
    "//{}@host/",
    "user:{}@host/path",
    "user:{}@host:3128",
    "http://a/,https://user:{}@host/",
    "('https://a.b/c','https://user:{}@host/')",
    "https://a:1@b/,https://user:{}@host/",
    "https://user:x@b/,https://user:pa/{}@host/",
    "https://login/?next=https%3A%2F%2Fuser%3A{}%40host%2Fx",
    "https://login/?next=https%3a%2f%2f{}%40host",
    "redirect=//user:{}@host//user:{}@host",
    "ftp://user:{}@host;type=i",
    "socks5h://user:{}@host:1080",
    "https://üser:pä{}@host/",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("around", ["{}", "Cloning {} to x", "a\n{}\nb", "'{}'", "<{}>", '"{}", '])
def test_no_password_of_a_url_is_said(url: str, around: str) -> None:
    """Whatever the password holds and wherever it stands, nothing of it is left."""
    said = redact(around.format(url.replace("{}", CANARY)))
    assert CANARY not in said and "****" in said
    assert said.startswith(around.partition("{}")[0])


@pytest.mark.parametrize("url", [one for one in URLS if "://" in one and "%2" not in one.lower()])
def test_no_requirement_with_a_password_is_recorded(url: str) -> None:
    """What `scrub` takes out of a URL makes a requirement one that is not recorded."""
    assert carries_secret(f"x @ {url.replace('{}', CANARY)}")


@pytest.mark.parametrize(
    "text",
    [
        "x @ git+https://github.com/me/x@v1.2",
        "x @ git+https://host:8443/me/x@1a2b3c4",
        "x @ git+http://registry:5000/me/x@v1",
        "https://[::1]:8000/a@b",
        "https://unpkg.com/@scope/name@1.2.3/file.js",
        "mail me@example.org, or git@github.com:me/x.git",
        "mailto:me@example.org",
        "numpy==2.1.3 @ file:///wheels/numpy.whl",
        "drive:data@v1/x.csv",
        "100 % @ 12:30:45",
        "a // b @ c",
    ],
)
def test_other_texts_are_left_as_they_are(text: str) -> None:
    """A ref, a port, a scope and an address of mail are no passwords."""
    assert redact(text) == text and not carries_secret(text)


@pytest.mark.parametrize(
    "piece", ["//a:b", "a:", "//", "//a@", "%2F%2F", "@", "x", "a:b@", "//a:b/c@", "%40"]
)
def test_a_long_text_takes_no_longer_for_what_it_holds(piece: str) -> None:
    """Four times the text takes less than eight times the time."""

    def seconds(count: int) -> float:
        text = piece * count + "@"
        begun = time.process_time()
        redact(text)
        return time.process_time() - begun

    seconds(1000)
    least = min(seconds(5_000) for _ in range(3))
    assert min(seconds(20_000) for _ in range(3)) < max(8 * least, 0.05)


#: A cell for each way in which a program is started.
CELLS = [
    "%github clone http://127.0.0.1:9/me/x.git",
    "%pin nosuch-package-9e1==1.0",
    "%pin --dry-run nosuch-package-9e1==1.0",
    "%pin --python 3.6 nosuch-package-9e1==1.0",
    "%shell true",
    "%%shell\ntrue\n",
    "%shell --background aside true",
    "%apt nosuch-package-9e1",
    "%fetch drive:x.zst there --unpack",
    "%fetch drive:x.7z there --unpack",
    "%drive mount far:",
    "%gpu",
    "%jobs",
]


@pytest.fixture
def verbose(run: Cells, home: Path, monkeypatch: pytest.MonkeyPatch) -> Cells:
    """A shell that shows variables in its tracebacks; a canary comes first in its environment."""
    monkeypatch.setenv("AAA_TOKEN", CANARY)
    monkeypatch.setenv("A" * 8, CANARY)
    files = home / "drive"
    files.mkdir()
    (files / "x.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    (files / "x.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    get_session(run.shell).host.places["drive"] = lambda: files
    if shutil.which("rclone"):
        configure(home / ".config/rclone/rclone.conf", far=folder(home / "far"))
    run("%xmode Verbose")
    return run


@pytest.mark.parametrize("cell", CELLS)
def test_an_environment_that_no_program_takes_is_not_shown(
    verbose: Cells, monkeypatch: pytest.MonkeyPatch, cell: str
) -> None:
    """Where a program cannot be started, no variable is shown, also not by ``%xmode Verbose``."""
    monkeypatch.setenv("HUGE", "x" * 200_000)
    reply = verbose.attempt(cell)
    assert CANARY not in reply.shown and CANARY not in str(reply.error)
    assert "Traceback" not in reply.shown, reply.shown[-3000:]


@pytest.mark.parametrize("cell", [one for one in CELLS if not one.startswith("%drive mount")])
def test_ctrl_c_shows_no_environment(
    verbose: Cells, monkeypatch: pytest.MonkeyPatch, cell: str
) -> None:
    """What is interrupted while a program runs shows no variable in its traceback."""

    def interrupted(*words: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(process._Output, "pass_on", interrupted)
    monkeypatch.setattr(process, "_stop", lambda started, lines, holds: process._finish(started))
    assert CANARY not in verbose.attempt(cell).shown


def test_programs_are_started_in_one_place() -> None:
    """Nothing but ``process.start`` calls what starts programs, so that no error escapes it."""
    starts = {"Popen", "run", "call", "check_call", "check_output", "getoutput", "system", "popen"}
    found = []
    for path in Path(process.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
                continue
            if called.value.id in ("subprocess", "os") and called.attr in starts:
                found.append(f"{path.name}:{called.attr}")
    assert found == ["process.py:Popen"]


# ---------------------------------------------------------------------- arguments of processes
@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A git server that looks, at each request, into the arguments of all processes."""
    monkeypatch.setattr("colab_magics.core.redact._SECRETS", set())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    found, seen = Server(tmp_path / "served"), []  # type: Server, List[str]

    def look() -> None:
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has ended meanwhile
                seen.append(entry.read_bytes().decode("utf-8", "replace"))

    found.looks = look
    yield found
    found.close()
    assert not [words for words in seen if PASSWORD in words]


BACKEND = """
import os
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = os.path.join(folder, "mine-1.0.dist-info")
    os.makedirs(info)
    with open(os.path.join(info, "METADATA"), "w") as out:
        out.write("Metadata-Version: 2.1\\nName: mine\\nVersion: 1.0\\n")
    return "mine-1.0.dist-info"
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@pytest.mark.parametrize("installer", [Uv, Pip])
@pytest.mark.parametrize("line", ["mine @ git+{}", "mine @ git+{}@main"])
def test_an_installer_is_given_no_password_of_git(
    server: Server, installer: Any, line: str
) -> None:
    """A private repository of a requirement is read, and its password is in no arguments."""
    url = server.make("private-mine", backend__py="", **{"x": "1"})
    (server.folder / "private-mine" / "backend.py").write_text(BACKEND)
    (server.folder / "private-mine" / "pyproject.toml").write_text(PROJECT)
    server.commit("private-mine")
    said: List[str] = []
    line_options = {"no-deps": "true"}
    job = Job(lambda text: said.append(str(text)), (), line_options, installer=installer())
    text = line.format(url.replace("://", f"://me:{PASSWORD}@"))
    try:
        job.rehearse([text])
    except errors.InstallFailed as error:
        assert installer is Pip, error
        said += [error.message, error.hint, error.details, error.reason]
    assert PASSWORD in server.sent
    assert PASSWORD not in "".join(said)


def test_each_login_goes_to_its_own_server() -> None:
    """A line without one stays as it is; of others the name, password and host are known."""
    lines = ["numpy==2", "a @ git+https://github.com/me/a@v1", "b @ git+ssh://git@host/b@v1"]
    assert without_logins(lines) == (lines, {})
    lines = [f"-e git+https://me:{CANARY}%40@Host:8443/a@v1#egg=a", f"b @ GIT+HTTP://{CANARY}@h/b"]
    bare, logins = without_logins(lines)
    assert bare == ["-e git+https://Host:8443/a@v1#egg=a", "b @ GIT+HTTP://h/b"]
    assert logins == {"https://host:8443": ("me", f"{CANARY}@"), "http://h": (CANARY, "")}


@pytest.mark.parametrize(
    "text",
    [
        "x @ git+ssh://me:{}@127.0.0.1/x",
        "x @ hg+https://me:{}@127.0.0.1/x",
        "x @ svn+https://me:{}@127.0.0.1/x",
        "-e bzr+http://{}@127.0.0.1/x#egg=x",
        "x @ git+file://me:{}@127.0.0.1/x",
        "x @ GIT+SSH://me:{}@127.0.0.1/x",
        "a @ git+https://me:{}@host/a\nb @ git+https://you:{}@host/b",
    ],
)
def test_other_passwords_are_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """What no askpass can be given to is not handed to an installer at all."""
    monkeypatch.setattr(process, "start", lambda *words, **named: pytest.fail("started"))
    with pytest.raises(errors.ColabMagicsError) as raised:
        lines = text.replace("{}", PASSWORD).splitlines()
        Job(lambda text: None, (), installer=Uv()).install(lines)
    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://me:{}@{at}/private-x.git",
        "http://{}@{at}/private-x.git",
        "http://{at}/private-x.git?private_token={}",
        "http://me:pa/{}@{at}/x.git",
        "ssh://git:{}@{at}/x.git",
        "git://me:{}@{at}/x.git",
        "HTTP://me:{}@{at}/x.git",
        "ghp_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2@{at}:x",
        "http://{at}/ghp_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2/x.git",
    ],
)
def test_a_clone_is_given_no_password(
    run: Cells, server: Server, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """An address that holds one is refused before git is started, and not repeated."""
    monkeypatch.setattr(process, "start", lambda *words, **named: pytest.fail("started"))
    text = url.replace("{}", PASSWORD).replace("{at}", server.at.partition("//")[2])
    reply = run.attempt(f"%github clone {text}")
    assert type(reply.error).__name__ == "UsageError" and not server.asked
    assert PASSWORD not in reply.shown + str(reply.error) and "ghp_" not in reply.shown


def test_a_clone_whose_origin_holds_a_password(run: Cells, server: Server) -> None:
    """One that a person has made with a token in its address is left alone: git would show it."""
    url = server.make("x", a="1")
    run(f"%github clone {url}")
    config = Path("x/.git/config")
    config.write_text(config.read_text().replace("://", f"://me:{PASSWORD}@"))
    asked = len(server.asked)
    reply = run.attempt(f"%github clone {url} --update")
    assert isinstance(reply.error, errors.SourceError) and len(server.asked) == asked
    assert PASSWORD not in reply.shown + str(reply.error)


@pytest.mark.parametrize("deep", [False, True])
def test_a_submodule_whose_address_holds_a_password(run: Cells, server: Server, deep: bool) -> None:
    """Also where a submodule of a submodule has it, nothing of it reaches git's arguments."""
    inner, url = server.make("inner", a="1"), server.make("outer", a="1")
    git(server.folder / "outer", "submodule", "add", "-q", inner, "inner")
    modules = server.folder / "outer/.gitmodules"
    modules.write_text(modules.read_text().replace("://", f"://me:{PASSWORD}@"))
    server.commit("outer")
    if deep:
        middle, url = url, server.make("top", a="1")
        git(server.folder / "top", "submodule", "add", "-q", middle, "middle")
        server.commit("top")
    asked = len(server.asked)
    reply = run.attempt(f"%github clone {url} --submodules")
    assert isinstance(reply.error, errors.SourceError) and len(server.asked) > asked
    assert PASSWORD not in reply.shown + str(reply.error)
    assert not [path for path in server.asked[asked:] if "inner" in path]
    assert list(Path().iterdir()) == []


#: Passwords in a URL that a person typed, and whether each is one or stands for one.
TYPED = {
    "p%40sswordlong": True,
    "pa$sword99": True,
    "50%25off": True,
    "{password}": False,
    "x{password}": False,
    "$PASSWORD": False,
    "${PASSWORD}": False,
    "%(password)s": False,
    "%PASSWORD%": False,
    "****": False,
}


@pytest.mark.parametrize(("password", "is_secret"), TYPED.items())
def test_a_password_in_a_url_is_told_from_its_placeholder(password: str, is_secret: bool) -> None:
    """An escape or a dollar in a password does not make it a placeholder."""
    assert bool(find(f"postgresql://bob:{password}@db.example/x")) is is_secret


@pytest.mark.parametrize(
    "write", [str, quote, lambda text: "".join(f"%{ord(c):02x}" for c in text)]
)
def test_a_known_secret_is_not_recorded(run: Cells, write: Callable[[str], str]) -> None:
    """A secret that was read in this kernel stands in no line, however a URL writes it."""
    secret = "aZ+bc/9fQ2x7Lk8=="
    run.shell.user_ns.update(address=f"https://h.test/?s={write(secret)}")
    register_secret(secret)
    run('%env_persist "ADDRESS={address}"')
    session = get_session(run.shell)
    assert [*session.pending.entries, *session.cell_entries] == []


def test_an_index_that_answers_with_its_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password of --index-auth alone is hidden too: an index may put it into a version."""
    monkeypatch.setattr("colab_magics.core.redact._SECRETS", set())
    monkeypatch.setenv("INDEX_LOGIN", f"somebody:{CANARY}")
    authenticated({"index-url": "https://h.test/simple", "index-auth": "INDEX_LOGIN"})
    assert CANARY not in redact(f"demo 1.0+{CANARY} installed")
    assert holds_secret(f'version = "1.0+{CANARY}"')

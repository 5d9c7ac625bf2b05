"""The login to Google Drive, against a double of Google's that is reached by Google's own names."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from doubles.certificate import self_signed
from doubles.google_drive import CLIENT_ID, CLIENT_SECRET, TOKEN, GoogleDrive, unavailable

from colab_magics.__main__ import main
from colab_magics.core.display import Link, Report
from colab_magics.core.errors import DriveError
from colab_magics.core.host import Host
from colab_magics.core.meter import Meter
from colab_magics.core.redact import redact
from colab_magics.drive.transfer import login as logins
from colab_magics.drive.transfer import oauth, retry, service_account
from colab_magics.drive.transfer.api import Api
from colab_magics.drive.transfer.copy import Copy
from colab_magics.drive.transfer.login import (
    Login,
    load,
    login,
    login_as_service,
    logout,
    whoami,
)
from colab_magics.drive.transfer.places import locate_here, locate_on_drive, open_drive
from colab_magics.drive.transfer.rest import ROOT
from colab_magics.drive.transfer.sync.plan import Limits
from colab_magics.drive.transfer.sync.run import Ends, Sync

pytestmark = pytest.mark.once

HOSTS = ("www.googleapis.com", "oauth2.googleapis.com", "accounts.google.com")


@pytest.fixture
def drive(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleDrive]:
    """Whoever asks for Google gets this; one's own configuration is empty."""
    certificate, key = self_signed(tmp_path, *HOSTS)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.delenv(logins.VARIABLE, raising=False)
    monkeypatch.setattr(logins, "_ACCESS", {})
    monkeypatch.setattr(retry, "PAUSE", 0.001)
    with GoogleDrive((certificate, key)) as made:
        monkeypatch.setenv("HTTPS_PROXY", made.proxy.url)
        yield made


@pytest.fixture
def client(tmp_path: Path) -> str:
    """The file that Google's console gives; its addresses are a stranger's."""
    path = tmp_path / "client.json"
    values = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    values.update(token_uri="https://stranger.example/token", auth_uri="https://stranger.example/")
    path.write_text(json.dumps({"installed": values}))
    return str(path)


class Person(Host):
    """A host with somebody before it, who opens the page and then types."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, act: Callable[[str], str]) -> None:
        super().__init__()
        self.shown: List[str] = []
        self.url = ""
        self._act = act
        monkeypatch.setattr("getpass.getpass", self._type)

    @property
    def person(self) -> bool:
        return True

    def progress(self, message: Any) -> None:
        """See what is shown."""
        self.shown.append(str(message))
        if isinstance(message, Report):
            self.url = next(line for line in message.lines if isinstance(line, Link))

    def _type(self, prompt: str) -> str:
        return self._act(self.url)


def allow(url: str) -> str:
    """Open the page in a browser on this machine, and press Enter."""
    answer = requests.get(url)
    assert answer.status_code == 200 and "Enter" in answer.text
    return ""


def paste(url: str) -> str:
    """Open the page elsewhere, where the next one cannot be opened; paste its address."""
    answer = requests.get(url, allow_redirects=False)
    assert answer.status_code == 302
    return f" {answer.headers['Location']} "


def find_tokens() -> Any:
    """What gives access tokens; None where nobody is logged in."""
    stored = load()
    return stored.token if stored else None


def code_of(error: Any) -> str:
    """The code of the error that was raised."""
    assert isinstance(error.value, DriveError)
    return error.value.code


@pytest.mark.parametrize("act", [allow, paste])
def test_login_logout(
    drive: GoogleDrive, client: str, monkeypatch: pytest.MonkeyPatch, act: Callable[[str], str]
) -> None:
    """Logged in by the redirect, or by the pasted address; logged out, Google has forgotten it."""
    host = Person(monkeypatch, act)
    report = login(host, client, host.progress)
    assert "ada@example.com" in str(report)
    stored = load()
    assert stored is not None and stored.account == "ada@example.com"
    assert stored.refresh_token in drive.oauth.refresh
    assert drive.oauth.exchanges == 1 and drive.oauth.refreshes == 0
    drive.files.limit = 15 * 10**9
    assert "15.0 GB" in str(whoami()) and "ada@example.com" in str(whoami())
    assert drive.oauth.refreshes == 0
    logout()
    assert load() is None and find_tokens() is None and not drive.oauth.refresh
    assert not logins._ACCESS
    assert "login" in str(whoami())
    assert not any("stranger" in name for name in drive.proxy.hosts)


def test_only_the_user_can_read_it(
    drive: GoogleDrive, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the umask, the file is 0600 in a folder that is 0700."""
    before = os.umask(0)
    try:
        host = Person(monkeypatch, allow)
        login(host, client, host.progress)
    finally:
        os.umask(before)
    place = logins._place()
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_a_token_is_renewed(
    drive: GoogleDrive, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One POST when it has run out or was refused, none else; a server that is down is tried again;
    several processes share the login.
    """
    host = Person(monkeypatch, allow)
    login(host, client, host.progress)
    logins._ACCESS.clear()  # another process
    tokens = find_tokens()
    assert tokens is not None
    assert tokens(False) == tokens(False) and drive.oauth.refreshes == 1
    drive.oauth.expire()
    drive.faults.plan(unavailable(), "token")
    Api(tokens, threading.Event()).call("GET", "/drive/v3/files")
    assert drive.oauth.refreshes == 2 and drive.faults.pending == 0
    drive.oauth.lifetime = 60  # shorter than the margin: each use renews
    tokens(True)
    tokens(False)
    assert drive.oauth.refreshes == 4


def test_the_login_server_is_down(
    drive: GoogleDrive, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is sent, that passes, and is no login that has ended."""
    host = Person(monkeypatch, allow)
    login(host, client, host.progress)
    tokens = find_tokens()
    assert tokens is not None
    api = Api(tokens, threading.Event())
    api.call("GET", "/drive/v3/files")
    for options in ({}, {"data": b"a file"}):
        drive.oauth.expire()
        drive.faults.plan(unavailable(), "token", times=5)
        path = "/upload" * bool(options) + "/drive/v3/files"
        params = {"uploadType": "media"} if options else None
        assert api.call("POST", path, params, **options).status == 200
    assert drive.faults.pending == 0 and drive.oauth.refreshes == 2


def test_a_login_that_has_ended(
    drive: GoogleDrive, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the seven days of an app in testing it is one error that says so; the next login needs
    no file.
    """
    drive.oauth.testing = True
    host = Person(monkeypatch, allow)
    assert "7 d" in str(login(host, client, host.progress))
    drive.oauth.revoke()
    with pytest.raises(DriveError) as error:
        whoami()
    assert code_of(error) == "login" and "seven days" in error.value.hint
    login(host, "", host.progress)
    assert "ada@example.com" in str(whoami())


def test_nobody_is_there(drive: GoogleDrive, client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a person it is an error at once: nothing is opened, asked or waited for."""
    monkeypatch.setattr("getpass.getpass", lambda prompt: pytest.fail("it asks"))
    with open(os.devnull) as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        with pytest.raises(DriveError) as error:
            login(Host(), client, lambda message: None)
    assert code_of(error) == "no-person"
    assert not drive.requests and load() is None


def forged(url: str) -> str:
    """Another login's answer."""
    redirect = parse_qs(urlsplit(url).query)["redirect_uri"][0]
    assert requests.get(f"{redirect}?code=evil&state=guess").status_code == 404
    return f"{redirect}?code=evil&state=guess"


def refuse(url: str) -> str:
    """Press "Cancel" on Google's page."""
    assert "no permission" in requests.get(url).text
    return ""


@pytest.mark.parametrize(
    ("act", "code", "changes"),
    [
        (refuse, "no-permission", {"consent": False}),
        (forged, "wrong-address", {}),
        (lambda url: "http://[::1", "wrong-address", {}),
        (lambda url: "", "wrong-address", {}),
        (lambda url: url, "wrong-address", {}),
        (lambda url: paste(url).replace("code=", "code=x"), "login", {}),
        (allow, "scope", {"refused_scopes": {oauth.SCOPE}}),
    ],
)
def test_what_goes_wrong(
    drive: GoogleDrive,
    client: str,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[str], str],
    code: str,
    changes: Dict[str, Any],
) -> None:
    """Each is an error with its code, and nothing is stored."""
    for name, value in changes.items():
        setattr(drive.oauth, name, value)
    host = Person(monkeypatch, act)
    with pytest.raises(DriveError) as error:
        login(host, client, host.progress)
    assert code_of(error) == code and error.value.hint
    assert load() is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "bad-client"),
        ("[]", "bad-client"),
        ('{"installed": {"client_id": "x y", "client_secret": 1}}', "bad-client"),
        ('{"web": {"client_id": "x", "client_secret": "y"}}', "web-client"),
        ('{"type": "service_account"}', "service-account"),
        (None, "no-file"),
        ("", "no-client"),
    ],
)
def test_a_client_that_is_none(drive: GoogleDrive, home: Path, text: Any, code: str) -> None:
    """The error says which kind of client is needed; no client at all says how to make it."""
    path = home / "client.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DriveError) as error:
        logins._find_client(Host(), str(path) if text != "" else "")
    assert code_of(error) == code


def test_a_client_of_the_environment(
    drive: GoogleDrive, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable names the file, or holds what is in it."""
    for value in (client, Path(client).read_text()):
        monkeypatch.setenv(logins.VARIABLE, value)
        assert logins._find_client(Host(), "").id == CLIENT_ID


def test_a_file_that_is_damaged(drive: GoogleDrive) -> None:
    """It is one error, and a new login mends it."""
    place = logins._place()
    place.parent.mkdir(0o700, parents=True)
    for text in ("{", "[]", '{"kind": 1, "account": ""}', '{"other": ""}'):
        place.write_text(text)
        place.chmod(0o600)
        with pytest.raises(DriveError) as error:
            find_tokens()
        assert code_of(error) == "login"


SCRIPT = """\
import sys, threading
from contextlib import suppress
from pathlib import Path
from colab_magics.drive.transfer import login
from colab_magics.drive.transfer.api import Api
from colab_magics.core.redact import redact
stored = login.load()
print(stored, login.whoami())
token = stored.token()
print(redact(f"{token} {stored.refresh_token} {stored.client_secret}"))
for path in Path("/proc").glob("[0-9]*/[ce][mn][dv]*"):
    with suppress(OSError):
        print(path, path.read_bytes(), file=sys.stderr)
Api(lambda renew: token, threading.Event()).call("GET", "/drive/v3/nothing")
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="elsewhere: asks /proc")
def test_no_secret_is_shown(
    drive: GoogleDrive, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither tokens nor code, verifier or the client's secret are in a message, a representation,
    a traceback, or the arguments and environment of any process.
    """
    pasted: List[str] = []
    host = Person(monkeypatch, lambda url: pasted.append(paste(url)) or pasted[-1])
    report = login(host, client, host.progress)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and "ada@example.com" in done.stdout and "****" in done.stdout
    assert "DriveError" in done.stderr and "/cmdline" in done.stderr and "/environ" in done.stderr
    text = done.stdout + done.stderr + str(report) + "".join(host.shown) + repr(load())
    codes = [parse_qs(urlsplit(address).query)["code"][0] for address in pasted]
    secrets = {*codes, *drive.oauth.access, *drive.oauth.refresh, CLIENT_SECRET} - {TOKEN}
    assert len(secrets) == 5  # an access token of each process
    addresses = "".join(f"{request.path}{request.query}" for request in drive.requests)
    assert not [secret for secret in secrets if secret in text + addresses]


ROBOT = "robot@project.iam.gserviceaccount.com"


@pytest.fixture
def key(drive: GoogleDrive, tmp_path: Path) -> str:
    """The file that Google's console gives for a service account; its address is a stranger's."""
    pytest.importorskip("google.auth", reason="elsewhere: for Python 3.10 and later")
    folder = tmp_path / "service"
    folder.mkdir()
    certificate, private = self_signed(folder)
    drive.oauth.service_accounts[ROBOT] = certificate.read_bytes()
    values = {"type": "service_account", "client_email": ROBOT, "private_key": private.read_text()}
    values.update(token_uri="https://stranger.example/token", private_key_id="1")
    path = folder / "key.json"
    path.write_text(json.dumps(values))
    return str(path)


@pytest.mark.parametrize("way", ["file", "variable", "JSON", "secret"])
def test_a_service_account_logs_in(
    drive: GoogleDrive, key: str, monkeypatch: pytest.MonkeyPatch, home: Path, way: str
) -> None:
    """Nobody has to be there; the key is in a file for the user alone, and in nothing shown."""
    name = key
    if way == "secret":
        name, place = "ROBOT_KEY", home / "work/.env"
        place.write_text(f"ROBOT_KEY='{Path(key).read_text()}'")
        place.chmod(0o600)
    elif way != "file":
        name = service_account.VARIABLE
        monkeypatch.setenv(name, key if way == "variable" else Path(key).read_text())
    monkeypatch.setattr("getpass.getpass", lambda prompt: pytest.fail("it asks"))
    shown = str(login_as_service(Host(), name))
    stored = load()
    assert stored is not None and ROBOT in shown and "PRIVATE" not in shown + repr(stored)
    assert "PRIVATE" not in redact(f"the key is {stored.private_key}.")
    assert stat.S_IMODE(logins._place().stat().st_mode) == 0o600
    Path(key).unlink()
    logins._ACCESS.clear()  # another process
    monkeypatch.delenv(service_account.VARIABLE, raising=False)
    tokens = find_tokens()
    assert tokens is not None
    drive.faults.plan(unavailable(), "token")
    api = Api(tokens, threading.Event())
    api.call("GET", "/drive/v3/files")
    assert drive.oauth.signed == 2 and drive.faults.pending == 0
    drive.oauth.expire()
    api.call("GET", "/drive/v3/files")
    assert ROBOT in str(whoami()) and drive.oauth.signed == 3
    logout()
    assert load() is None and not any("stranger" in name for name in drive.proxy.hosts)


def test_a_service_account_that_is_refused(drive: GoogleDrive, key: str) -> None:
    """Deleted, or with another key: one error, and nothing is stored."""
    drive.oauth.service_accounts.clear()
    with pytest.raises(DriveError) as error:
        login_as_service(Host(), key)
    assert code_of(error) == "login" and load() is None
    values = json.loads(Path(key).read_text())
    for changes in ({"private_key": "none"}, {"private_key": 1}, {"type": "authorized_user"}):
        Path(key).write_text(json.dumps({**values, **changes}))
        with pytest.raises(DriveError) as error:
            login_as_service(Host(), key)
        assert code_of(error) == "bad-key"
    for name, code in ((f"{key}x", "no-file"), (json.dumps(values), "literal-key")):
        with pytest.raises(DriveError) as error:
            login_as_service(Host(), name)
        assert code_of(error) == code and "PRIVATE" not in str(error.value)


def test_google_auth_is_not_installed(
    drive: GoogleDrive, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One error, with the line that installs it."""
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(DriveError) as error:
        login_as_service(Host(), key)
    assert code_of(error) == "no-google-auth" and "pip install google-auth" in error.value.hint


def test_what_a_service_account_sees(drive: GoogleDrive, key: str, home: Path) -> None:
    """What was shared with it and its shared drives are at the top of ``drive:``; both ways."""
    shared, team = drive.add_folder("shared"), drive.add_shared_drive("team")
    drive.add_file("x", b"x", shared)
    drive.share(shared)
    assert main(["drive", "login", "--service-account", key]) == 0
    host, meter = Host(start=Path.cwd()), Meter()
    store = open_drive(host, meter, 2).store
    assert {entry.name for entry in store.list(ROOT)} == {"shared", "team"}
    Copy(locate_here("back/", host), meter).run([locate_on_drive("drive:shared", store)], print)
    assert Path("back/shared/x").read_bytes() == b"x"
    sources = [locate_here("back/shared", host)]
    assert Copy(locate_on_drive("drive:team", store), meter).run(sources, print).copied == 1
    assert drive.tree(team) == {"shared/x": b"x"}
    for name in ("drive:", "drive:team"):
        ends = Ends(locate_here(f"p{name[6:]}", host), locate_on_drive(name, store))
        Sync(ends, Limits(), meter, print).run()
        assert Sync(ends, Limits(), meter, print).run().copied == 0
    assert Path("p/team/shared/x").read_bytes() == Path("pteam/shared/x").read_bytes() == b"x"


def test_colab_logs_in(drive: GoogleDrive, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Colab's page its own login serves, and no token is stored."""
    pytest.importorskip("google.auth", reason="elsewhere: for Python 3.10 and later")
    import google.auth

    class Credentials:
        token = ""

        def refresh(self, request: object) -> None:
            self.token = drive.oauth.issue()

    logins_of: List[str] = []
    auth = type(sys)("google.colab.auth")
    auth.authenticate_user = lambda: logins_of.append("user")  # type: ignore[attr-defined]
    colab = type(sys)("google.colab")
    colab.auth = auth  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setattr(google.auth, "default", lambda scopes: (Credentials(), "project"))
    monkeypatch.setattr(logins, "find_spec", lambda name: name)
    monkeypatch.setattr(Host, "colab_page", True)
    login(Host(), "", lambda message: None)
    assert logins_of == ["user"] and load() == Login("colab", "ada@example.com")
    drive.oauth.expire()
    tokens = find_tokens()
    assert tokens is not None
    Api(tokens, threading.Event()).call("GET", "/drive/v3/files")
    logout()
    assert load() is None

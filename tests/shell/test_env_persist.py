"""``%env_persist`` in a shell: variables that are remembered, and secrets that are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Iterator

import pytest
from IPython.core.error import UsageError
from support.cells import Cells

from colab_magics.core.redact import forget_secrets

#: Put together here, so that nothing in this file looks like a token to those who scan it.
TOKEN = "hf" + "_" + "Zq3Xv7Lm9Tb2Kc5Wd8Rf1Hg4Jp6Ns0Yt7U"
NAMES = ("COLOUR", "SIZE", "FOLDERS", "PLACE")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts without these variables, and leaves none; no secret is known."""
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    forget_secrets()
    yield
    forget_secrets()
    for name in NAMES:
        os.environ.pop(name, None)


def first(shown: str) -> str:
    """The line with the outcome; below it stands where the setup cell is."""
    return shown.split("\n")[0]


# ---------------------------------------------------------------------- setting
def test_set_and_remembered(run: Cells) -> None:
    """Set here and for programs that are started; remembered as typed; the second time is none."""
    assert first(run("%env_persist COLOUR=blue")) == "COLOUR=blue set"
    command = [sys.executable, "-c", "import os; print(os.environ['COLOUR'])"]
    assert subprocess.run(command, stdout=subprocess.PIPE).stdout.strip() == b"blue"
    assert run.steps() == ["%env_persist COLOUR=blue"]
    assert first(run("%env_persist COLOUR=blue")) == "COLOUR=blue already set"
    assert run.steps() == ["%env_persist COLOUR=blue"]


def test_one_line_for_all(run: Cells) -> None:
    """Several stand on one line, each once, with the value that it was given last."""
    run("%env_persist COLOUR=blue SIZE=1")
    assert first(run("%env_persist COLOUR=red")) == "COLOUR=red set"
    assert run.steps() == ["%env_persist COLOUR=red SIZE=1"]
    assert first(run("%env_persist COLOUR=red SIZE=2")) == "SIZE=2 set"


@pytest.mark.parametrize("value", ["good morning", "a#b", "it's", "x=y=z", "", "ä → ö"])
def test_values_of_any_shape(run: Cells, value: str) -> None:
    """What a line says in quotes is set as it is, and the line that is remembered says the same."""
    run(f'%env_persist "COLOUR={value}"')
    assert os.environ["COLOUR"] == value
    (line,) = run.steps()
    os.environ["COLOUR"] = "other"
    run(line)
    assert os.environ["COLOUR"] == value and run.steps() == [line]


def test_home_is_that_of_the_machine(run: Cells, home: Path) -> None:
    """``~/`` at the start of a value is home, and stands in the line as it was typed."""
    run("%env_persist PLACE=~/models COLOUR=a~/b")
    assert os.environ["PLACE"] == str(home / "models") and os.environ["COLOUR"] == "a~/b"
    assert run.steps() == ["%env_persist PLACE=~/models COLOUR=a~/b"]


# ---------------------------------------------------------------------- lists of folders
def test_put_into_a_list(run: Cells, home: Path) -> None:
    """First or last, once however often it is run, and what stood there stays."""
    os.environ["FOLDERS"] = "/one"
    assert first(run("%env_persist --prepend FOLDERS=~/bin")) == "~/bin in FOLDERS put first"
    assert first(run("%env_persist --append FOLDERS=/z")) == "/z in FOLDERS put last"
    assert os.environ["FOLDERS"] == os.pathsep.join([str(home / "bin"), "/one", "/z"])
    assert first(run("%env_persist --prepend FOLDERS=~/bin")) == "~/bin in FOLDERS already"
    assert run.steps() == [
        "%env_persist --prepend FOLDERS=~/bin",
        "%env_persist --append FOLDERS=/z",
    ]


def test_folders_are_read_as_by_other_magics(run: Cells, home: Path) -> None:
    """A relative one counts from where the kernel is; ``drive:`` is the drive."""
    work = Path.cwd()
    (work / "deep").mkdir()
    os.chdir("deep")
    run("%env_persist --append FOLDERS=tools")
    assert os.environ["FOLDERS"] == str(work / "deep" / "tools")
    assert run.steps() == ["%env_persist --append FOLDERS=deep/tools"]
    assert "no drive is there" in str(run.attempt("%env_persist --append FOLDERS=drive:t").error)
    run("%drive mount")
    run("%env_persist --append FOLDERS=drive:tools")
    assert os.environ["FOLDERS"].split(os.pathsep)[1].endswith("tools")
    assert os.environ["FOLDERS"].split(os.pathsep)[1].startswith(str(home))
    reply = run.attempt(f"%env_persist --append FOLDERS=/a{os.pathsep}/b")
    assert type(reply.error).__name__ == "UsageError" and "more than one" in str(reply.error)


# ---------------------------------------------------------------------- taking out
def test_unset(run: Cells) -> None:
    """Out of the environment and of what is remembered; others on the line stay."""
    run("%env_persist COLOUR=blue SIZE=1")
    assert (
        first(run("%env_persist --unset COLOUR --dry-run"))
        == "Nothing was changed. Would remove COLOUR"
    )
    assert "COLOUR" in os.environ
    assert run("%env_persist --unset COLOUR").split("\n")[:2] == [
        "COLOUR removed",
        "forgotten: %env_persist COLOUR=blue",
    ]
    assert "COLOUR" not in os.environ and run.steps() == ["%env_persist SIZE=1"]
    assert first(run("%env_persist --unset COLOUR")) == "COLOUR was not set"


def test_unset_leaves_the_rest_of_a_list(run: Cells) -> None:
    """Of a list only what was put in is taken out: programs are still found by ``PATH``."""
    os.environ["FOLDERS"] = "/one"
    run("%env_persist --prepend FOLDERS=/two\n%env_persist --append FOLDERS=/three")
    run("%env_persist --unset FOLDERS")
    assert os.environ["FOLDERS"] == "/one" and run.steps() == []
    before = os.environ["PATH"]
    assert "no program is found" in str(run.attempt("%env_persist --unset PATH").error)
    assert os.environ["PATH"] == before


# ---------------------------------------------------------------------- secrets
@pytest.mark.parametrize(
    "line",
    [
        f"COLOUR={TOKEN}",
        f"SIZE=1 COLOUR={TOKEN}",
        "WANDB_API_KEY=hunter-two-7f3a",
        "DB_PASSWORD='hunter-two-7f3a x'",
        "DB=postgres://me:hunter-two-7f3a@db.example.org/x",
        "--prepend API_TOKEN=hunter-two-7f3a",
        "--prepend=API_TOKEN=hunter-two-7f3a",
        "--unset API_TOKEN=hunter-two-7f3a",
        f"COLOUR {TOKEN}",
        f"--{TOKEN}",
        "API_TOKEN='hunter-two-7f3a",
    ],
)
def test_a_secret_is_refused(run: Cells, line: str) -> None:
    """Nothing of the line is set, remembered or shown, and what to do instead is said."""
    before = dict(os.environ)
    reply = run.attempt(f"%env_persist {line}")
    assert type(reply.error).__name__ == "UsageError"
    shown = reply.shown + str(reply.error)
    assert "7f3a" not in shown and TOKEN[3:] not in shown
    assert dict(os.environ) == before and run.steps() == []
    if "not closed" not in shown:
        assert "%secret set" in shown and "Delete it from the cell" in shown


@pytest.mark.parametrize("line", ["TOKENIZERS_PARALLELISM=false", "MAX_TOKENS=512", "KEY_FILE=~/k"])
def test_what_only_sounds_like_one_is_set(
    run: Cells, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings of a tokenizer, and where a secret is, are no secrets."""
    monkeypatch.setenv(line.partition("=")[0], "other")
    run(f"%env_persist {line}")
    assert run.steps() == [f"%env_persist {line}"]


# ---------------------------------------------------------------------- what to know
@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("PATH=/x", "To add to it: --prepend PATH=FOLDER"),
        ("--prepend LD_LIBRARY_PATH=/x", "this kernel does not see the change"),
        ("CUDA_VISIBLE_DEVICES=0", "torch is imported already"),
        ("COLOUR=blue", ""),
    ],
)
def test_what_comes_too_late_is_said(
    run: Cells, line: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set all the same, with a word on what will not see it; the second time nothing is said."""
    for name in ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, os.environ.get(name, "7"))
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    shown = run(f"%env_persist {line}").split("\n")
    assert hint in shown[1] if hint else "Setup cell" in shown[1]
    assert run(f"%env_persist {line}").count("\n") == 0


@pytest.mark.parametrize(("mode", "place"), [("prepend", 0), ("append", -1)])
def test_a_folder_for_imports_is_one_of_this_kernel_too(
    run: Cells, mode: str, place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in sys.path at that end, once; --unset takes it out of both lists."""
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    line = f"%env_persist --{mode} PYTHONPATH={tmp_path}"
    run(line)
    run(line)
    assert sys.path[place] == str(tmp_path) and sys.path.count(str(tmp_path)) == 1
    sys.path.remove(str(tmp_path))
    assert "put" in run(line) and str(tmp_path) in sys.path
    run("%env_persist --unset PYTHONPATH")
    assert str(tmp_path) not in [*sys.path, os.environ.get("PYTHONPATH")]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("PLACE=$HOME/x", "For home write PLACE=~/x"),
        ("PLACE=${HOME}", "For home write PLACE=~"),
        ("--prepend FOLDERS=$HOME/bin", "For home write FOLDERS=~/bin"),
        ("COLOUR=a$b", "write in a cell: os.environ['COLOUR'] = 'a$b'"),
        ("""'COLOUR={"a": [1, 2]}'""", """os.environ['COLOUR'] = '{"a": [1, 2]}'"""),
    ],
)
def test_what_no_line_can_say(run: Cells, line: str, hint: str) -> None:
    """A value that IPython would expand is set and not remembered, with what to write instead."""
    shown = run(f"%env_persist {line}").split("\n")
    assert shown[1].endswith(hint) and "not recorded" in shown[2]
    name, _, value = line.replace("--prepend ", "").strip("'").partition("=")
    assert value in os.environ[name]
    assert run.steps() == []


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("COLOUR", "no-entry", "'COLOUR' is not NAME=VALUE"),
        ("1X=2", "no-entry", "'1X' is not NAME=VALUE"),
        ("=x", "no-entry", "'' is not NAME=VALUE"),
        ("--prepend", "no-folder", "--prepend: no folder is named"),
        ("--append FOLDERS=", "no-folder", "--append: no folder is named"),
        ("--prepend --append A=b", "usage", "not allowed with"),
        ("--unset", "no-name", "--unset takes names"),
        ("--unste X", "unknown-option", "Did you mean --unset?"),
        ("FOLDERS=/x:$FOLDERS", "old-value", "--prepend FOLDERS=FOLDER"),
    ],
)
def test_bad_lines(run: Cells, line: str, code: str, text: str) -> None:
    """A line that means nothing is refused in one line, with what to type."""
    error = run.attempt(f"%env_persist {line}").error
    assert type(error) is UsageError and getattr(error, "code", "") == code
    assert text in str(error)
    assert run.steps() == []


def test_bare_shows_how_they_stand(run: Cells) -> None:
    """Alone it shows each variable with ok or differs, and changes nothing."""
    assert "sets no variables yet" in run("%env_persist")
    run("%env_persist COLOUR=blue SIZE=1")
    os.environ["SIZE"] = "2"
    rows = [line.split() for line in run("%env_persist").split("\n")[1:]]
    assert rows == [["ok", "COLOUR=blue"], ["differs", "SIZE=1", "SIZE", "has", "another", "value"]]
    assert os.environ["SIZE"] == "2"

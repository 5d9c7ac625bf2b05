"""A wrong word gets the line as it was meant, and nothing else is done."""

from __future__ import annotations

import builtins
import os
from types import SimpleNamespace
from typing import Any, List

import pytest
from IPython.core.error import UsageError
from support.cells import Cells

from colab_magics.core.errors import ColabMagicsError, SourceError

from .conftest import Distribution

VSCODE = {
    "content": {"allow_stdin": True},
    "metadata": {"cellId": "vscode-notebook-cell:/home/me/nb.ipynb#W0"},
}


@pytest.fixture
def asked(run: Cells, monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """Somebody is there, and declines whatever is asked; the questions."""
    questions: List[str] = []
    monkeypatch.setattr(builtins, "input", lambda text="": questions.append(text) or "n")
    run.shell.kernel = SimpleNamespace(get_parent=lambda channel: VSCODE)
    return questions


@pytest.mark.parametrize(
    ("line", "code", "meant"),
    [
        ("%gpu requre T4 --dry-run", "unknown-command", "%gpu require T4 --dry-run"),
        ("%gpu status", "unknown-command", "%gpu"),
        ("%session stp a.ipynb", "unknown-command", "%session stop a.ipynb"),
        ("%session kill a.ipynb", "unknown-command", "%session stop a.ipynb"),
        ("%github clon o/n  # why", "unknown-command", "%github clone o/n # why"),
        ("%setup chek", "unknown-command", "%setup check"),
        ("%setup --dryrun", "unknown-option", "%setup --dry-run"),
        ("%drive umount", "unknown-command", "%drive unmount"),
        ("%secret get X", "unknown-command", "%secret X"),
        ("%secret lst", "unknown-command", "%secret list"),
        ("%jobs lgo x", "no-job", "%jobs log x"),
        ("%jobs rm x", "no-job", "%jobs remove x"),
        ("%fetch htp://h.example/x data/", "unknown-scheme", "%fetch http://h.example/x data/"),
        ("%fetch h.example/x", "usage", "%fetch https://h.example/x"),
        ("%pin lok --check", "unknown-command", "%pin lock --check"),
        ("%pin environment", "unknown-command", "%pin environments"),
        ("%pin upgrade six", "unknown-command", "%pin --upgrade six"),
        ("%pin numpy 2.2.6 -q", "not-a-requirement", "%pin numpy==2.2.6 -q"),
        ("%pin numpy=2.2.6", "not-a-requirement", "%pin numpy==2.2.6"),
        ("%pin torch  =  1.5", "not-a-requirement", "%pin torch==1.5"),
        (
            "%pin a @ https://h.example/a.whl",
            "not-a-requirement",
            "%pin 'a @ https://h.example/a.whl'",
        ),
        ("%%pin\nnumpy = 2", "not-a-requirement", ""),
    ],
)
@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.once
def test_the_line_as_it_was_meant(run: Cells, line: str, code: str, meant: str) -> None:
    """A usage error with its code; its second line is what to type, with all that was typed."""
    error: Any = run.attempt(line).error
    assert type(error) is UsageError and error.code == code
    lines = str(error).split("\n")
    assert len(lines) == 2 and lines[1].startswith(f"Type: {meant}" if meant else "Write ")
    assert not meant or lines[1] == f"Type: {meant}"
    assert run.steps() == []


@pytest.mark.parametrize(
    "line",
    [
        "%github clon o/n --token hunter-2",
        "%github clon o/n --token hunter2",
        "%github clon o/n --tokn=hunter2",
        f"%github clon o/n --token ghp_{'a' * 36}",
        "%github clon https://me:hunter-2@h.example/n",
        "%github clon o/n --token {key}",
        "%fetch h.example/a.csv --token hunter2",
        "%fetch https://h.example/a.csv?key=hunter2 data --updte",
        "%fetch h.example/a.csv?key={key} data",
        "%fetch https://h.example/{key}.csv data --updte",
        "%pin numpy=2.2.6 --index-auth hunter2",
        "%secret set HF_TOKEN $key --too file",
        "%secret sett HF_TOKEN hunter2",
        "%secret add HF_TOKEN hunter2",
        "%secret HF_TOKEN hunter2 --form file",
    ],
)
@pytest.mark.once
def test_no_secret_is_repeated(run: Cells, line: str) -> None:
    """A line that may hold a secret is not shown again; what is meant is still named."""
    run.shell.user_ns["key"] = "hunter2"
    error = run.attempt(line).error
    assert type(error) is UsageError and "Did you mean" in str(error)
    assert "hunter" not in str(error) and "ghp_" not in str(error)


@pytest.mark.once
def test_a_line_that_names_a_secret_is_repeated(
    run: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a variable that is set is none; a long line may go on below."""
    monkeypatch.setenv("KEY_2", "hunter2")
    error = run.attempt("%github clon o/n \\\n  --token KEY_2").error
    assert str(error).endswith("Type: %github clone o/n --token KEY_2")
    error = run.attempt("%secret sett KEY_2 --to file").error
    assert str(error).endswith("Type: %secret set KEY_2 --to file")


# ---------------------------------------------------------------------- packages
@pytest.mark.usefixtures("nothing_starts")
def test_a_word_near_a_command_asks_first(run: Cells, asked: List[str]) -> None:
    """A person who does not mean the package gets no package of a stranger."""
    error: Any = run.attempt("%pin environment").error
    assert error.code == "unknown-command" and len(asked) == 1
    error = run.attempt("%pin reqests==2.0").error
    assert error.code == "declined" and "Type: %pin requests==2.0" in str(error)
    assert len(asked) == 2 and run.steps() == []


def test_what_is_meant_is_not_asked(
    run: Cells, asked: List[str], distribution: Distribution
) -> None:
    """What is installed, what a setup cell says, and what stands behind ``--``, asks nothing."""
    distribution("undoo", "1.0")
    run("%pin undoo")
    assert run.steps() == ["%pin undoo==1.0"]
    distribution("undo", "1.0")
    run("%pin -- undo")
    assert run.steps() == ["%pin undoo==1.0 undo==1.0"]
    run("# colab_magics:setup v1\n%reload_ext colab_magics\n%pin undoo==1.0")
    assert asked == []


def test_a_name_near_another_is_installed_where_nobody_is(
    run: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are such packages: no run stops for one; a line says what may be wrong."""
    applied: List[Any] = []
    from colab_magics.pin.magic import PinMagic

    monkeypatch.setattr(PinMagic, "apply_step", lambda self, step, call: applied.append(step))
    assert "%pin undo" in run("%pin reqests")
    assert "undo" not in run("%pin fastapi") and len(applied) == 2


# ---------------------------------------------------------------------- secrets
@pytest.mark.once
def test_a_secret_that_is_kept_under_a_name_that_is_near(
    run: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named where nobody is asked; a number makes another secret."""
    monkeypatch.setenv("HF_TOKEN", "hunter-2")
    error: Any = run.attempt("%secret HF_TOKN").error
    assert isinstance(error, SourceError) and error.code == "secret-missing"
    assert error.hint == "Type: %secret HF_TOKEN"
    monkeypatch.setenv("DB_TOKEN_1", "hunter-2")
    error = run.attempt("%secret DB_TOKEN_2").error
    assert isinstance(error, ColabMagicsError) and error.slip is None


@pytest.mark.once
@pytest.mark.usefixtures("asked")
def test_a_person_may_have_two_secrets_of_names_that_are_near(
    run: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question names the other one, unless a setup cell asks; no answer: it was meant."""
    questions: List[str] = []
    answers = iter(["", "hunter-3"])
    monkeypatch.setattr(
        "colab_magics.secret.places.ask",
        lambda host, text, hidden: questions.append(text) or next(answers),
    )
    monkeypatch.delenv("CD_TOKEN", raising=False)
    monkeypatch.setenv("CI_TOKEN", "hunter-2")
    error: Any = run.attempt("%secret CD_TOKEN").error
    assert error.code == "secret-missing" and error.hint == "Type: %secret CI_TOKEN"
    run("# colab_magics:setup v1\n%reload_ext colab_magics\n%secret CD_TOKEN")
    assert os.environ["CD_TOKEN"] == "hunter-3"
    assert ["CI_TOKEN" in question for question in questions] == [True, False]

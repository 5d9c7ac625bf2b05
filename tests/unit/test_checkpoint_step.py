"""The line of ``%checkpoint``: what it means, and which lines are refused."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import pytest
from IPython.core.error import UsageError

from colab_magics.checkpoint.step import CheckpointStep, parse_size
from colab_magics.core.host import Host
from colab_magics.core.steps import parse
from colab_magics.record.cell import parse as parse_cell
from colab_magics.record.merge import merge

pytestmark = pytest.mark.once


def step(*words: str) -> CheckpointStep:
    """The step of a line."""
    result = parse("checkpoint", words)
    assert isinstance(result, CheckpointStep)
    return result


@pytest.mark.parametrize(
    ("words", "has_variables"),
    [
        ((), True),
        (("data",), False),
        (("data", "--variables"), True),
        (("data", "--only", "x"), True),
        (("--except", "x"), True),
    ],
)
def test_what_a_line_keeps(words: Tuple[str, ...], has_variables: bool) -> None:
    """Variables, unless it names paths and no variables."""
    assert step(*words).has_variables == has_variables


@pytest.mark.parametrize("command", ["now", "list", "restore", "verify", "forget"])
def test_a_command_is_not_recorded(command: str) -> None:
    """Each does something once; a folder of its name is written so that it is none."""
    assert parse("checkpoint", [command]) is None
    assert step(f"./{command}").spelled(Host().spell_typed).arguments() == (f"./{command}",)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["restor"], "unknown-command"),
        (["ls"], "unknown-command"),
        (["data", "--every", "5"], "not-a-time"),
        (["--every", "0s"], "usage"),
        (["--keep", "0"], "usage"),
        (["--only", "a b"], "usage"),
        (["--only", "x", "--except", "y"], "usage"),
        (["--variables", "--only", "x"], "usage"),
        (["--max", "5"], "no-size"),
        (["--max", "0GB"], "no-size"),
        (["--evry", "5m"], "unknown-option"),
    ],
)
def test_a_wrong_line_is_refused(words: List[str], code: str) -> None:
    """By a code of its kind, before anything is done."""
    with pytest.raises(UsageError) as error:
        parse("checkpoint", words)
    assert getattr(error.value, "code", "") == code


def test_sizes() -> None:
    """Decimal units, as disks are sold; letters of either case."""
    assert [parse_size(x) for x in ("1kb", "1.5MB", "2 gb", "1TB")] == [
        10**3,
        15 * 10**5,
        2 * 10**9,
        10**12,
    ]


def test_a_notebook_has_one_line(tmp_path: Path) -> None:
    """A later line takes the place of the earlier one, and stands above the folder."""
    lines = parse_cell("%checkpoint data --every 5m\n%cd_persist work")
    (first, second), changes = merge(lines, [(step("--only", "x"), "")])
    assert first.text == "%checkpoint --only x" and second.text == "%cd_persist work"
    assert changes == ("%checkpoint data --every 5m -> %checkpoint --only x",)


def test_paths_mean_the_same_on_another_machine(tmp_path: Path) -> None:
    """They are recorded from where the kernel started; the settings have them as they are here."""
    host = Host(start=tmp_path)
    made = step(str(tmp_path / "data"), "--to", str(tmp_path / "kept")).spelled(host.spell_typed)
    assert (made.paths, made.to) == (("data",), "kept")
    settings = made.settings(host)
    assert settings.folder == tmp_path / "kept"
    assert settings.roots == (("data", tmp_path / "data"),)
    assert (settings.every, settings.keep, settings.limit) == (900, 5, None)
    assert not settings.has_variables


def test_variables_are_chosen() -> None:
    """``--only`` takes those alone, ``--except`` all others."""
    names = ["x", "y", "z"]
    host = Host(start=Path("/"))
    for words, chosen in ((("--only", "y,q"), ["y"]), (("--except", "y"), ["x", "z"])):
        assert step(*words, "--to", "a").settings(host).choose(names) == chosen

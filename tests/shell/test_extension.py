"""Loading, unloading and reloading the extension."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List

import IPython
import pytest
from IPython.core.error import UsageError
from support.cells import Cells, new_shell

from colab_magics.core.registry import load
from colab_magics.extension.registration import MAGICS
from colab_magics.extension.session import get_session
from colab_magics.secret.stores import choose_store

from .conftest import Distribution

NAMES = sorted(MAGICS)


def state(shell: Any) -> Dict[str, Any]:
    """All that an extension may add to a shell."""
    completers = shell.strdispatchers["complete_command"]
    return {
        "magics": {kind: sorted(found) for kind, found in shell.magics_manager.magics.items()},
        "events": {name: list(found) for name, found in shell.events.callbacks.items()},
        "cleanup": list(shell.input_transformers_cleanup),
        "post": list(shell.input_transformers_post),
        "ast": list(shell.ast_transformers),
        "completers": {name: list(found) for name, found in completers.strs.items()},
        "matchers": list(getattr(shell.Completer, "custom_matchers", ())),
        # The session stays: it outlives reloading, and goes with its shell.
        "attributes": {name for name in vars(shell) if "colab" in name and "session" not in name},
        "names": {name for name in shell.user_ns if "colab" in name},
    }


def offered(shell: Any, line: str) -> List[str]:
    """The lines that Tab makes of a half-typed one, as front ends ask for them."""
    from IPython.core.completer import provisionalcompleter

    with provisionalcompleter():
        found = list(shell.Completer.completions(line, len(line)))
    return [line[: one.start] + one.text + line[one.end :] for one in found]


def test_unloading_takes_back_everything(bare: Cells) -> None:
    """After unloading, the shell has the magics, events, transformers and completers it had."""
    before = state(bare.shell)
    bare("%load_ext colab_magics")
    assert state(bare.shell) != before
    bare("%unload_ext colab_magics")
    assert state(bare.shell) == before


def test_reloading_adds_nothing_twice(run: Cells) -> None:
    """Reloading leaves as many magics, events, transformers and completers as loading."""

    def sizes() -> Dict[str, Any]:
        found = state(run.shell)
        return {
            kind: {name: len(each) for name, each in values.items()}
            if isinstance(values, dict)
            else len(values)
            for kind, values in found.items()
        }

    before = sizes()
    run("%reload_ext colab_magics")
    run("%reload_ext colab_magics")
    assert sizes() == before


def test_reloading_makes_no_hook_twice(run: Cells) -> None:
    """A magic that is made anew finds its hooks of before: they are told of each cell once."""
    run("%gpu")
    before = list(get_session(run.shell).hooks)
    run("%reload_ext colab_magics")
    run("%gpu")
    assert get_session(run.shell).hooks == before and len({*map(type, before)}) == len(before)


def test_loading_adds_every_magic(bare: Cells) -> None:
    """Loading adds each magic as a line and a cell magic, and shadows none that was there."""
    before = state(bare.shell)["magics"]
    bare("%load_ext colab_magics")
    after = state(bare.shell)["magics"]
    for kind in ("line", "cell"):
        assert sorted(set(after[kind]) - set(before[kind])) == NAMES
        assert set(before[kind]) <= set(after[kind])


def test_magic_of_someone_else_survives_unloading(run: Cells) -> None:
    """A user's own magic, registered over ours while it was loaded, stays after unloading."""
    run("from IPython.core.magic import register_line_magic")
    run("@register_line_magic\ndef pin(line):\n    print('mine', line)")
    run("%unload_ext colab_magics")
    assert run("%pin x") == "mine x"


def test_pending_lines_survive_a_reload(run: Cells, home: Path) -> None:
    """What is remembered and not in a notebook yet is still remembered after a reload."""
    (home / "work" / "data").mkdir()
    run("%cd_persist data")
    assert run.steps() == ["%cd_persist data"]
    run("%reload_ext colab_magics")
    assert run.steps() == ["%cd_persist data"]
    assert "%cd_persist data" in run("%setup")


@pytest.mark.parametrize("cell", ["%%pin demo-thing==1.0", "\n%%pin demo-thing==1.0\n\n"])
def test_cell_magic_alone_reaches_the_magic(
    run: Cells, distribution: Distribution, cell: str, nothing_starts: None
) -> None:
    """``%%pin x==1`` alone in a cell is a pin, where IPython would complain of an empty body."""
    distribution("demo-thing", "1.0")
    assert "already installed" in run(cell)
    assert run.steps() == ["%pin demo-thing==1.0"]


def test_cell_magic_with_a_body_reads_the_body(
    run: Cells, distribution: Distribution, nothing_starts: None
) -> None:
    """Each line of a ``%%pin`` body is a requirement; its comments are not."""
    distribution("demo-thing", "1.0")
    distribution("other-thing", "2.0")
    shown = run("%%pin\ndemo-thing==1.0  # why\n# no\n\nother-thing>=1\n")
    assert "2 packages are already installed" in shown
    assert run.steps() == ["%pin demo-thing==1.0 other-thing>=1"]


def test_cell_magic_of_others_is_left_alone(run: Cells) -> None:
    """An empty cell magic that is not ours is refused by IPython as it always was."""
    assert "cell body is empty" in run.attempt("%%capture").shown


@pytest.mark.parametrize("name", NAMES)
def test_help_has_examples(run: Cells, name: str) -> None:
    """``%pin?`` and ``%pin --help`` show the magic's help, with examples to copy."""
    for cell in (f"%{name}?", f"%{name} --help", f"%{name} -h"):
        shown = run(cell)
        assert "Examples" in shown and "``" not in shown and "---" not in shown
        assert shown.count(f"%{name}") > 2
    assert run.steps() == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%drive mo", "%drive mount"),
        ("%drive mount --provider fo", "%drive mount --provider folder"),
        ("drive unm", "drive unmount"),
        ("%gpu req", "%gpu require"),
        ("%setup w", "%setup write"),
        ("%setup check --s", "%setup check --strict"),
        ("%pin --d", "%pin --dry-run"),
        ("%env_persist --p", "%env_persist --prepend"),
        ("%env_persist IPYTHOND", "%env_persist IPYTHONDIR="),
        ("%env_persist --unset IPYTHOND", "%env_persist --unset IPYTHONDIR"),
    ],
)
def test_tab_offers_what_fits(run: Cells, line: str, expected: str) -> None:
    """Tab after a magic completes the word that was begun."""
    assert expected in offered(run.shell, line)
    run("%unload_ext colab_magics")
    assert expected not in offered(run.shell, line)


def test_tab_offers_folders_of_the_current_one(run: Cells) -> None:
    """They count from where the kernel is, as what is typed does."""
    os.makedirs("deep/data/inner")
    os.chdir("deep")
    for line, expected in (("da", "data/"), ("data/in", "data/inner/"), ("../de", "../deep/")):
        assert f"%cd_persist {expected}" in offered(run.shell, f"%cd_persist {line}")


def test_tab_after_a_bare_name_offers_all(run: Cells) -> None:
    """Tab after the name alone offers what can follow: folders, places, commands."""
    os.makedirs("data")
    for name, expected in (
        ("cd_persist", {"data/", "drive:", "~/"}),
        ("drive", {"mount", "unmount"}),
        ("setup", {"write", "check", "forget", "auto", "help"}),
    ):
        lines = {f"%{name} {word}" for word in expected}
        assert lines <= set(offered(run.shell, f"%{name} "))


@pytest.mark.parametrize("name", list(MAGICS))
def test_help_and_tab_have_each_command(run: Cells, name: str) -> None:
    """``--help`` prints examples, and usage and options of each command; Tab offers them."""
    tree = load(MAGICS[name]).parser()
    shown = run(f"%{name} --help")
    for command, parser in tree.commands.items():
        assert f"\n%{name} {command}" in shown
        assert f"%{name} {command}" in offered(run.shell, f"%{name} {command[:2]}")
        for option in (text for action in parser._actions for text in action.option_strings[:1]):
            assert option in shown


@pytest.mark.parametrize("name", sorted(MAGICS.keys() - {"secret"}))  # to it, it may be a secret
def test_a_wrong_option_is_refused(run: Cells, name: str) -> None:
    """An option that a magic lacks is a usage error with its code, and nothing is done."""
    error = run.attempt(f"%{name} --nosuch").error
    assert type(error) is UsageError
    assert error.code == "unknown-option"  # type: ignore[attr-defined]


def test_tab_offers_installed_versions(run: Cells, distribution: Distribution) -> None:
    """Tab after a package's first letters offers it with the version that is installed."""
    distribution("demo-thing", "1.0")
    assert "%pin demo-thing==1.0" in offered(run.shell, "%pin demo-t")


@pytest.mark.parametrize(
    ("line", "expected", "kind"),
    [
        ("%setup fo", "forget", "command"),
        ("%setup check --s", "--strict", "option"),
        ("%cd_persist da", "data/", "folder"),
        ("%cd_persist drive:my", "mydata/", "folder"),
        ("%pin demo-thing==", "1.0", "package"),
        ("%secret delete HF", "HF_TOKEN", "secret"),
        ("%setup forget demo", "demo-thing", "name"),
    ],
)
def test_tab_offers_ours_alone(
    run: Cells, distribution: Distribution, line: str, expected: str, kind: str
) -> None:
    """What fits has its kind, and Python's names with that beginning are left out."""
    from IPython.core.completer import provisionalcompleter

    distribution("demo-thing", "1.0")
    run("%pin demo-thing==1.0")
    for folder in ("data", "drive/MyDrive/mydata"):
        os.makedirs(Path.home() / "work" / folder)
    run(f"%drive mount --provider folder {Path.home() / 'work' / 'drive'}")
    choose_store("file").set("HF_TOKEN", "of-a-test")
    run("forked = data = myself = HF_NAME = demonstration = 1")
    with provisionalcompleter():
        found = list(run.shell.Completer.completions(line, len(line)))
    assert expected in [one.text for one in found]
    if IPython.version_info >= (8, 6):
        assert [(one.text, one.type) for one in found] == [(expected, kind)]


def test_tab_leaves_files_to_ipython(run: Cells) -> None:
    """Behind an option that takes a file, and in another program's line, IPython completes."""
    for name in ("requests.txt", "requests-mine"):
        Path(name).touch()
    for line in ("%pin -r reque", "%jobs start -- cat reque"):
        found = offered(run.shell, line)
        assert f"{line}sts.txt" in found and not any("==" in one for one in found)


def test_two_shells_share_nothing(run: Cells, home: Path) -> None:
    """What one shell remembers, another in the same process does not know."""
    (home / "work" / "data").mkdir()
    other = Cells(new_shell(instance=False))
    other.shell.run_line_magic("load_ext", "colab_magics")
    run("%cd_persist data")
    assert run.steps() == ["%cd_persist data"]
    assert other.steps() == []
    other.shell.run_line_magic("unload_ext", "colab_magics")
    assert "%cd_persist data" in run("%setup")


def test_unload_and_load_of_two_shells_are_apart(run: Cells) -> None:
    """Loading and unloading in one shell changes nothing in another."""
    before = state(run.shell)
    other = new_shell(instance=False)
    other.run_line_magic("load_ext", "colab_magics")
    other.run_line_magic("unload_ext", "colab_magics")
    assert state(run.shell) == before

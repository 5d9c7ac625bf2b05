"""What others control never becomes code, or another line, in the setup cell."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Callable, Dict, List, Sequence, Tuple
from unittest.mock import Mock
from urllib.parse import quote as percent

import pytest
from doubles.files_server import Server, zenodo
from hypothesis import example, given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager
from support.cells import Cells

from colab_magics.cd_persist.step import DirectoryStep
from colab_magics.cli import write
from colab_magics.core.arguments import split
from colab_magics.core.controls import has_controls
from colab_magics.core.errors import NotebookError, input_errors
from colab_magics.core.origin import Source
from colab_magics.core.steps import STEPS
from colab_magics.core.steps import parse as parse_step
from colab_magics.github import gists
from colab_magics.record import cell, record
from colab_magics.record.cell import parse, render, step_line

Held = Callable[[int, int], None]

#: Where `str.splitlines` divides, and with it IPython.
SEPARATORS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
#: What makes a text look other than it is, or moves a terminal's cursor.
UNSEEN = "\0\t\x1b\x7f\x9b\u061c\u200e\u202e\u2066"
#: Code that leaves a trace where it is run.
CODE = "exec('RAN=1')#"


def replayed(run: Cells, lines: List[str]) -> bool:
    """Whether running a cell of these lines runs the code of a stranger."""
    run.attempt("RAN = 0")
    for line in lines:
        run.attempt(line)
    return bool(run.shell.user_ns["RAN"])


def harmless(lines: List[str]) -> bool:
    """Whether each line is one line, and IPython expands nothing in it."""
    return all(len(line.splitlines()) == 1 and not has_controls(line) for line in lines) and not (
        set("".join(lines)) & set("${}")
    )


#: Names that a server may give a file.
NAMES = [
    *(f"d{char}{CODE}" for char in SEPARATORS),
    *(f"d{char}.csv" for char in UNSEEN),
    f"d {CODE}",
    "d{exec('RAN=1')}",
    "d$RAN",
    f"..\u2028.{CODE}",
    "-rf",
    "~root",
    "--update",
    "drive:x",
    "what?",
    "'",
    '"""',
    "a\\",
    "#x",
    "x" * 500,
]


@pytest.mark.parametrize("form", ["filename*=UTF-8''{}", 'filename="{}"'])
def test_the_name_that_a_server_gives_a_file(
    form: str, server: Server, run: Cells, held: Held
) -> None:
    """A hostile ``Content-Disposition`` names a harmless file, and the line is one line."""
    lines: List[str] = []
    good = 0
    for at, name in enumerate(NAMES):
        text = percent(name) if "*" in form else name.replace("\r", "").replace("\n", "")
        header = form.format(text).encode("utf-8").decode("latin-1")
        url = server.put(f"/f{at}", b"1", headers={"Content-Disposition": f"attachment; {header}"})
        run(f"%fetch {url} data/{at}/")
        fresh = run.steps()[len(lines) :]
        good += len(fresh) == 1 and harmless(fresh)
        lines += fresh
    held(len(NAMES), good)
    assert good == len(NAMES) and not replayed(run, lines)


def test_the_names_in_a_listing_of_zenodo(server: Server, run: Cells, held: Held) -> None:
    """The files of a record get harmless names, each brought back by its one line."""
    names = {f"{at}{name}": b"%d" % at for at, name in enumerate(NAMES) if "\\" not in name}
    zenodo(server, "1", **names)
    run("%fetch zenodo:1 data/")
    lines = run.steps()
    good = sum(harmless([line]) for line in lines)
    held(len(names), good)
    assert good == len(names) and not replayed(run, lines)


def test_the_name_of_a_gist(held: Held) -> None:
    """The notebook of a gist gets a name that neither hides nor ends a line."""
    good = 0
    for name in NAMES:
        file = {f"../.{name}.ipynb": {"content": "{}"}}
        answer = SimpleNamespace(json={"files": file})
        api = Mock(return_value=answer)
        found, _ = gists.fetch(api, "1", "")
        good += not has_controls(found) and not found.startswith(".") and "/" not in found
    held(len(NAMES), good)
    assert good == len(NAMES)


#: Lines that hold what is expanded by IPython; X is what a stranger controls.
TYPED = [
    '%env_persist "TITLE={X}"',
    '%env_persist --prepend "PATH={X}"',
    '%cd_persist "{X}"',
    '%pin "demo @ https://host/{X}"',
    "%pin \"numpy; python_version > '{X}'\"",
    '%pin -r "{X}"',
    '%pin numpy --find-links "{X}"',
    '%drive mount "{X}"',
    '%drive mount --from "{X}"',
    '%drive mount --remote "a{X}:"',
    '%github clone "https://host/a{X}"',
    '%github clone "owner/name" "{X}"',
    '%github clone "owner/name@v{X}"',
    '%fetch "https://host/{X}"',
    '%fetch https://host/a "{X}"',
    '%apt "ffmpeg{X}"',
    '%secret "HF{X}"',
    '%gpu require "T4{X}"',
    '%gpu require --memory "15{X}GB"',
]


@pytest.mark.parametrize("line", TYPED)
def test_what_ipython_expands_in_a_line(line: str, run: Cells, held: Held) -> None:
    """A separator or a control in an argument is a UsageError; nothing is done, or remembered."""
    good = 0
    for char in SEPARATORS + UNSEEN:
        run.shell.user_ns["X"] = f"a{char}{CODE}"
        error = run.attempt(line).error
        good += type(error).__name__ == "UsageError" and not run.steps()
    held(len(SEPARATORS + UNSEEN), good)
    assert good == len(SEPARATORS + UNSEEN)


# ---------------------------------------------------------------------- each kind of line
#: Characters that shells, Python, IPython and pip read in ways of their own.
odd = st.text(
    st.sampled_from(
        SEPARATORS + UNSEEN + " '\"\\#?%!;,/$`{}()[]=<>~@:&|*-_.ab1\xa0\u3000é\U0001f600"
    ),
    max_size=8,
)
#: Words as each kind takes them, with something odd in each place; others take two odd words.
ODD_LINES: Dict[str, Callable[[str, str], Sequence[str]]] = {
    "gpu": lambda a, b: ("require", a, "--framework", "torch", "--count", "2"),
    "secret": lambda a, b: (a, b, "--from", "env"),
    "drive": lambda a, b: ("mount", a, "--from", b),
    "github": lambda a, b: ("clone", f"https://host/x{a}", f"d{b}"),
    "apt": lambda a, b: (f"ffmpeg{a}", f"git={b}"),
    "pin": lambda a, b: (f"x @ https://h/{a}", "-r", f"r{b}", "-e", f"e{a}", "-f", f"f{b}"),
    "fetch": lambda a, b: (f"https://host/x{a}", f"d{b}", "--unpack"),
    "env_persist": lambda a, b: (f"A={a}", f"B={b}"),
    "cd_persist": lambda a, b: (a,),
    "setup": lambda a, b: ("auto", "off"),
}


def as_ipython_reads(text: str) -> Tuple[str, List[str]]:
    """The magic and the words that IPython hands to it, of a cell that is one statement."""
    tree = ast.parse(TransformerManager().transform_cell(text))
    (statement,) = tree.body
    call = statement.value  # type: ignore[attr-defined]
    assert call.func.attr == "run_line_magic", text
    word, line = map(ast.literal_eval, call.args)
    return word, split(line).words


@pytest.mark.parametrize("word", STEPS)
def test_a_rendered_line_is_that_step_or_is_refused(word: str, long: bool, held: Held) -> None:
    """Of any words: the line reads back as the step, for us and for IPython, or there is none."""
    rounds = [0]

    @settings(max_examples=5000 if long else 150, deadline=None, database=None, derandomize=True)
    @given(first=odd, second=odd)
    @example(first="a?", second="b?")
    @example(first="-q", second="--dry-run")
    def check(first: str, second: str) -> None:
        rounds[0] += 1
        try:
            words = ODD_LINES.get(word, lambda a, b: (a, b))(first, second)
            step = parse_step(word, words)
            line = None if step is None else step_line(step)
        except input_errors():
            return
        if step is None or line is None:
            return
        before, *own, after = parse(f"%gpu\n{line.text}\n%gpu")
        assert [found.step for found in own] == [step] and before == after
        assert len(line.text.splitlines()) == len(line.text.split("\n"))
        assert not has_controls(line.text.replace("\n", ""))
        assert as_ipython_reads(line.text) == (word, list(step.arguments()))

    check()
    held(rounds[0], rounds[0])


@pytest.mark.parametrize("note", ["a\u2028b", "a\nb", "{X}", "$X", "a\x1b[2J", "T4\u202e"])
def test_a_note_is_no_line_and_no_code(note: str) -> None:
    """What a machine says of itself beside a line is left out where it would be more than that."""
    line = step_line(DirectoryStep("data"), note)
    assert line.text == "%cd_persist data" and line.comment == ""


@pytest.mark.parametrize("char", SEPARATORS[1:])
@pytest.mark.parametrize(
    "line", ["%gpu  # made on a{}" + CODE, "%cd_persist a{}" + CODE, "%pin a{}%gpu"]
)
def test_a_cell_that_holds_such_a_line_already(line: str, char: str) -> None:
    """What IPython reads as two lines is no step, says so, and stays to the character."""
    text = f"%gpu\n{line.format(char)}\n%drive mount"
    before, found, after = parse(text)
    assert (found.step, bool(found.problem)) == (None, True) and render(
        [before, found, after]
    ) == text
    assert before.step == parse_step("gpu", ()) and after.step == parse_step("drive", ["mount"])


@pytest.mark.parametrize(
    ("url", "mount"),
    [
        *((f"https://h/{text}", "") for text in ("a b", "a\u2028b", "{X}", "'", "$X", "a&b")),
        *((f"./{text}", "") for text in ('a" b', "a\u2028b", "{X}", "`a` b", "$X b", "a\nb")),
        *(("/drive/a", f"/drive{text}") for text in ("')", "\n", " a", "{X}")),
        ("h?", ""),
    ],
)
def test_the_line_that_installs_us(url: str, mount: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``direct_url.json`` with more than an address or a path in it gives a cell no line."""
    monkeypatch.setattr(cell, "portable_source", lambda host: Source(url, mount))
    (line,) = cell.bootstrap_lines()
    assert line.startswith("#") and line.isascii() and line.isprintable()


def test_what_cannot_be_a_line_is_not_written(tmp_path: Path) -> None:
    """``colab-magics setup write`` refuses it with one line, and the notebook stays as it was."""
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    before = path.read_bytes()
    for char in SEPARATORS + UNSEEN:
        with pytest.raises(input_errors()):
            write(path, [f"%env_persist 'A=1{char}{CODE}'"])
    assert path.read_bytes() == before


# ---------------------------------------------------------------------- code around a line
_HEAD = "# colab_magics:setup v1\n"


def recorded(text: str, line: str) -> List[str]:
    """A setup cell as it is put after a line was recorded in it; no lines: nothing was put."""
    word, *words = line[1:].split()
    writer = Mock(read=lambda: _HEAD + text)
    step = parse_step(word, words)
    assert step is not None
    try:
        record.add(writer, [(step, "")])
    except NotebookError:
        assert not writer.put.called
        return []
    lines: List[str] = writer.put.call_args[0][0].split("\n")
    return lines


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("%reload_ext colab_magics\n%env_persist A_B=1   # mine \\", 0),
        ("%reload_ext colab_magics\n%env_persist A_B=1   # mine \\\n", 4),
        ("code; \\", 0),
        ('HELP = """', 0),
        ("x = [", 0),
        ('HELP = """\n%load_ext colab_magics\n"""', 4),
        ("x = [\n%load_ext colab_magics\n]\n%load_ext colab_magics\ny", 5),
        ("%load_ext colab_magics \\\n  \ny", 3),
        ("code; \\\n# c\n%cd_persist ..", 3),
        ("%pin six==1\ncode; \\\n# c", 2),
    ],
)
def test_a_line_that_the_code_around_it_would_take_in(text: str, at: int) -> None:
    """It is put where it is read back, or nothing is written: it never ends in a string, a bracket
    or behind a backslash. ``at`` is its row, 0 for none.
    """
    line = "%pin six" if "%cd_persist" in text else "%cd_persist .."
    lines = recorded(text, line)
    assert (lines[at] == line) if at else not lines
    if at:
        assert any(one.step for one in parse("\n".join(lines)) if one.text == line)
        assert "\n".join(lines[:at] + lines[at + 1 :]) == _HEAD + text


def test_text_at_which_a_tokenizer_fails() -> None:
    """CPython 3.13.0 raises an error of its own for it: it is code, and stays as it is."""
    text = _HEAD + "f'''{\n]\n    return 1\n%pin a==1\n}'''"
    assert render(parse(text)) == text

"""The setup cell is text that people edit: what is read is written back to the character."""

from __future__ import annotations

import ast
from typing import List, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager
from support.setup_cells import MARKER, STEP_LINES, cells, pin, step, steps, texts

from colab_magics.core.arguments import split
from colab_magics.core.errors import NotebookError
from colab_magics.core.origin import newest
from colab_magics.core.steps import Step
from colab_magics.record.cell import (
    FORMAT,
    Line,
    brief,
    is_replaceable,
    is_setup,
    new_cell,
    parse,
    render,
    render_step,
    step_line,
)

TRY = "try:\n    import colab_magics\nexcept ModuleNotFoundError:\n"
LIBRARY = "git+https://github.com/me/lib"


def read(text: str) -> List[Step]:
    """The steps of a cell."""
    return [line.step for line in parse(text) if line.step is not None]


def as_ipython_reads(text: str) -> List[str]:
    """The words that IPython hands to the magic of a cell with one statement."""
    tree = ast.parse(TransformerManager().transform_cell(text))
    call = tree.body[0].value  # type: ignore[attr-defined]
    assert call.func.attr == "run_line_magic" and len(tree.body) == 1
    return split(ast.literal_eval(call.args[1])).words


# ---------------------------------------------------------------------- render ⇄ parse
@given(texts)
@example("%pin a \\\r\n    b\r\n")
@example('%pin ""')
@example("%pin a \\")
@example('x = """\n%pin a==1')
@example("\ud800\n%pin")
def test_any_text_is_rendered_as_it_was(text: str) -> None:
    """Reading a text and writing it back loses no character, whatever it holds."""
    assert render(parse(text)) == text


@given(cells)
def test_any_cell_is_rendered_as_it_was(text: str) -> None:
    """The same for cells as people leave them, with every kind of line."""
    assert render(parse(text)) == text


@given(cells, st.sampled_from(["\r\n", "\n"]))
def test_line_endings_do_not_change_what_a_line_means(text: str, newline: str) -> None:
    """A cell that came through Windows is kept to the byte; its one-line steps are the same."""
    text = text.replace(STEP_LINES[4], STEP_LINES[0])
    other = text.replace("\n", newline)
    assert render(parse(other)) == other
    assert read(other) == read(text)


@given(steps)
def test_a_step_is_read_back_from_its_line(one: Step) -> None:
    """What a step is rendered to means that step, in one line or in many."""
    assert [line.step for line in parse(render_step(one))] == [one]


@given(steps)
def test_ipython_reads_the_same_words(one: Step) -> None:
    """IPython's own transformer hands the magic the very words that the step is made of."""
    assert as_ipython_reads(render_step(one)) == list(one.arguments())


@pytest.mark.parametrize("line", STEP_LINES)
def test_an_edited_line_reads_as_ipython_runs_it(line: str) -> None:
    """A step that was typed or edited by hand is the one that running the cell will apply."""
    (found,) = read(line)
    word = line[1:].split()[0]
    assert found == step(word, *as_ipython_reads(line))


# ---------------------------------------------------------------------- what is a step
def test_a_line_edited_by_hand_is_the_step_that_it_says() -> None:
    """A version changed by hand in the cell is the version that is wanted from then on."""
    before = render([*new_cell(), step_line(pin("numpy==2.1.3", "pandas==2.2.3"))])
    after = before.replace("numpy==2.1.3", "numpy==2.2.0")
    assert read(after) == [pin("numpy==2.2.0", "pandas==2.2.3")]


@pytest.mark.parametrize(
    "code",
    [
        '"""\n%pin a==1\n"""',
        "s = '''\nit's \\\n%pin a==1\n'''",
        "f(\n    x,\n%pin a==1\n)",
        "x = [\n%pin a==1\n]",
        "if x:\n    %pin a==1",
        "try:\n\t%pin a==1\nfinally:\n\tpass",
        "x = 1 + \\\n%pin a==1",
        "!pip install \\\n%pin a==1",
        " %pin a==1",
        "x = %pin a==1",
        "# %pin a==1",
        "%pinned a==1",
        "%%pin\na==1",
        "!%pin a==1",
    ],
)
def test_a_magic_that_is_part_of_code_is_code(code: str) -> None:
    """Inside a string, a bracket, an indented block or another statement there is no step."""
    assert read(code) == []
    assert all(not line.problem for line in parse(code))


@pytest.mark.parametrize(
    "before",
    [
        "",
        "\n\n",
        '"""\ntext\n"""',
        "if x:\n    %pin b==1",
        "x = 1",
        "!echo don't",
        "!echo '(['",
        "files = !ls (",
        "%time f(",
        "%cd 'my",
        "x = 'an # apostrophe'",
        "f(1,\n  2)",
        "   odd\n indent",
        "\ufeff",
        "x = 1 \\\n  + 2",
        "!pip install \\\n  numpy",
        'x = """\n%time f("""\n!ls \'"""',
        "if x:\n    y = %time f('\n    !ls [",
        "%reload_ext colab_magics",
    ],
)
def test_a_magic_in_the_first_column_is_a_step(before: str) -> None:
    """Whatever whole statements stand before it, a line magic of ours is read as a step."""
    assert read(before + "\n%pin a==1\nx = 1") == [pin("a==1")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("%pin numpy ==1", "Did you mean numpy==1?"),
        ("%pin 'numpy", "quote is not closed"),
        ("%pin numpy=*  # why", "Not a requirement: numpy=*"),
        ('%pin ""', "Not a requirement"),
        ("%drive mount --provider nosuch", "nosuch"),
        ("%gpu require --memory blue", "blue is no size"),
        ("%cd_persist one two", "two"),
    ],
)
def test_a_bad_line_is_kept_and_says_why(line: str, problem: str) -> None:
    """A line that cannot be read stays to the character, is no step, and names its problem."""
    before, bad, after = parse(f"%gpu\n{line}\n%drive mount")
    assert (bad.text, bad.step) == (line, None)
    assert problem in bad.problem
    assert before.step == step("gpu") and after.step == step("drive", "mount")


@pytest.mark.parametrize("line", ["%cd_persist", "%drive", "%setup check", "%pin", "%setup write"])
def test_a_line_that_only_shows_is_no_step_and_no_problem(line: str) -> None:
    """Commands that may stand in a cell but record nothing are kept as they are."""
    assert parse(line) == [Line(line)]


# ---------------------------------------------------------------------- rewriting a line
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%pin a==1  # keep", "%pin a==2  # keep"),
        ("%pin   a==1\t#keep", "%pin a==2\t#keep"),
        ("%pin a==1", "%pin a==2"),
        ("%pin \\\n    a==1  # keep", "%pin a==2  # keep"),
        ("%pin a==1 -q  # see -o, --dry-run", "%pin -q a==2  # see -o, --dry-run"),
        ("%pin --no-record a==1", "%pin --no-record a==2"),
        ("%pin 'a \\\n ==1'  # it's so", "%pin a==2  # it's so"),
    ],
)
def test_comment_and_flags_stay_when_a_line_is_rewritten(line: str, expected: str) -> None:
    """Only what the step says changes; the comment and the flags were a person's choice."""
    (found,) = parse(line)
    rewritten = found.with_step(pin("a==2"))
    assert rewritten.text == expected
    assert parse(expected) == [rewritten]


@given(st.sampled_from(STEP_LINES))
def test_a_line_that_says_so_already_is_not_touched(line: str) -> None:
    """Quotes, spaces and line breaks of a person are kept where nothing changes."""
    (found,) = parse(line)
    assert found.step is not None
    assert found.with_step(found.step) is found


@pytest.mark.parametrize("count", [1, 5, 6, 9])
def test_more_than_five_pins_stand_one_on_a_line(count: int) -> None:
    """Up to five arguments share a line; more stand below each other, and mean the same."""
    one = pin(*(f"package{i}==1" for i in range(count)))
    text = render_step(one)
    assert len(text.split("\n")) == (1 if count <= 5 else count + 1)
    assert read(text) == [one]
    assert as_ipython_reads(text) == list(one.arguments())


def test_an_option_stays_beside_its_value() -> None:
    """``-r FILE`` is one argument of the count, and is never torn over two lines."""
    one = pin(*(f"p{i}==1" for i in range(5)), "-r", "my list.txt")
    assert render_step(one).split("\n")[-1] == "    -r 'my list.txt'"
    assert read(render_step(one)) == [one]


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (["https://host/a", "--sha256", "0" * 64], 1),
        (["https://host.example/data/train.csv", "data/", "--sha256", "0" * 64], 2),
        (["https://host.example/data/train.csv", "--token", "T", "--sha256", "0" * 64], 3),
        (["https://host.example/" + "a" * 100, "data/"], 1),
    ],
)
def test_what_is_long_stands_below_its_line(words: List[str], rows: int) -> None:
    """A line of more than 96 characters has its options below it, and means the same."""
    one = step("fetch", *words)
    text = render_step(one)
    assert len(text.split("\n")) == rows
    assert read(text) == [one] and as_ipython_reads(text) == list(one.arguments())
    assert "\n" not in brief(text) and "0" * 9 not in brief(text)


def test_a_note_stands_beside_a_new_line() -> None:
    """The note becomes the comment of the line, and is read back as one."""
    line = step_line(step("gpu"), "made on Tesla T4")
    assert line.text == "%gpu                        # made on Tesla T4"
    assert parse(line.text) == [line]


# ---------------------------------------------------------------------- the cell as a whole
def test_a_new_cell_is_a_setup_cell_without_steps() -> None:
    """A new cell carries the marker in ASCII, loads the extension last, and pins nothing."""
    text = render(new_cell())
    assert is_setup(text) and text.isascii()
    assert text.split("\n")[-1] == "%reload_ext colab_magics"
    assert parse(text) == new_cell()
    compile(TransformerManager().transform_cell(text), "setup cell", "exec")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MARKER, True),
        (f"#@title Mine\n\n# words\n{MARKER}\n%pin a==1", True),
        (f"{MARKER}\r\n%pin a==1", True),
        ("#colab_magics:setup v1", True),
        (f"import os\n{MARKER}", False),
        (f"  {MARKER}", False),
        (f's = """\n{MARKER}\n"""', False),
        ("# colab_magics:setup", False),
        ("", False),
    ],
)
def test_the_marker_counts_in_the_leading_comments_only(text: str, expected: bool) -> None:
    """A cell that quotes the marker further down is not taken for the setup cell."""
    assert is_setup(text) is expected


@pytest.mark.parametrize("version", [FORMAT + 1, 99])
def test_a_newer_format_is_refused(version: int) -> None:
    """A cell of a newer version of us is not guessed at; the error says what to upgrade."""
    text = f"#@title Setup\n# colab_magics:setup v{version} - x\n%pin a==1"
    assert is_setup(text)
    with pytest.raises(NotebookError, match=f"format v{version}.*reads v{FORMAT}") as caught:
        parse(text)
    assert f"pip install -U {newest()}," in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%setup write", True),
        ("\n%load_ext colab_magics\n%pin a==1\n\n%setup write --all", True),
        ("# why\n%pin a==1\n%setup write", False),
        ("%pin a==1  # why\n%setup write", False),
        ("%pip install -q colab-magics\n%load_ext colab_magics\n%setup write", True),
        ("%pip install numpy\n%setup write", False),
        (f"{TRY}    %pip install -q {LIBRARY}\n%setup write", True),
        (f"{TRY}    %pip install -q ./colab-magics\n    %pip install -q {LIBRARY}", False),
        (f"{TRY}    %pip install -q {LIBRARY}\n    %pip install -q ./colab-magics", False),
        (f"if 1:\n    %pip install -q {LIBRARY}\n%setup write", False),
        ("import os\n%setup write", False),
        ("%pin a ==1\n%setup write", False),
        ("%setup forget --all", False),
    ],
)
def test_only_our_own_lines_may_be_replaced(text: str, expected: bool) -> None:
    """A cell with code of the user, or a line that cannot be read, is not overwritten."""
    assert is_replaceable(text) is expected


@given(st.lists(steps, max_size=5))
def test_lines_of_steps_are_read_back(many: Sequence[Step]) -> None:
    """Steps below the head of a new cell are read back in their order."""
    text = render([*new_cell(), *map(step_line, many)])
    assert read(text) == list(many)

"""Merging steps into a setup cell: nothing that stands there moves, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from typing import FrozenSet, List, Sequence, Tuple

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from support.setup_cells import MARKER, OTHER_LINES, cells, pin, pins, step, steps

from colab_magics.core.errors import NotebookError
from colab_magics.core.steps import STEPS, Step
from colab_magics.record.cell import Line, is_setup, new_cell, parse, render, step_line
from colab_magics.record.merge import forget, merge

Key = Tuple[str, str]


def merged(text: str, *new: Step) -> str:
    """The text of a cell with steps taken in."""
    return render(merge(parse(text), [(one, "") for one in new])[0])


def forgotten(text: str, *selector: str) -> str:
    """The text of a cell with what a selector names taken out."""
    return render(forget(parse(text), selector)[0])


def keys(lines: Sequence[Line]) -> FrozenSet[Key]:
    """Everything that the steps of these lines decide."""
    return frozenset((x.step.word, key) for x in lines if x.step for key in x.step.keys)


def others(lines: Sequence[Line], new: Step) -> List[Step]:
    """The steps of the same kind that a step leaves as they are, in their order."""
    kin = [x.step for x in lines if x.step and x.step.word == new.word]
    return [part for one in kin for part in one.parts() if not part.keys & new.keys]


def is_subsequence(part: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether all of ``part`` stands in ``whole``, in the same order."""
    rest = iter(whole)
    return all(one in rest for one in part)


# ---------------------------------------------------------------------- what always holds
@given(cells, steps)
@example(f"{MARKER}\n%pin a==1", step("gpu"))
@example("try:\n    %load_ext colab_magics\nexcept ImportError:\n    raise", pin("a==1"))
@example("%pin a==1\n%pin a==2 \"a==3; python_version>='3'\"", pin("a==4"))
@example('s = """\n# text"""\n%pin a==1', step("gpu"))
def test_lines_that_stand_never_move(text: str, new: Step) -> None:
    """Lines keep text and order, but for the one that takes the step in and those it replaces."""
    before, after = parse(text), merge(parse(text), [(new, "")])[0]
    texts = [x.text for x in after]
    kin = [x for x in before if x.step and x.step.word == new.word]
    assert is_subsequence([x.text for x in before if x not in kin], texts)
    assert others(after, new) == others(before, new)
    untouched = [x.text for x in kin if not keys([x]) & keys([step_line(new)])]
    assert sum((Counter(untouched) - Counter(texts)).values()) <= 1


@given(cells, steps)
@example("%pin a==1\n%pin a==2 \"a==3; python_version>='3'\"", pin("a==4"))
def test_merging_loses_no_line_and_no_decision(text: str, new: Step) -> None:
    """Lines of the user are all there, and what was decided before still is, by somebody."""
    before, after = parse(text), merge(parse(text), [(new, "")])[0]
    lost = Counter(x.text for x in before if x.step is None)
    lost.subtract(Counter(x.text for x in after if x.step is None))
    assert not +lost
    assert keys(after) == keys(before) | {(new.word, key) for key in new.keys}


@given(cells, steps)
@example("%pin numpy==2.1.3", pin("NumPy"))
@example("%gpu\n%gpu require A100", step("gpu"))
def test_what_is_new_wins(text: str, new: Step) -> None:
    """After merging, the line that decides each thing that the new step decides is as it says.

    But for a bare ``%gpu`` and a bare name: see the tests of them.
    """
    after = merge(parse(text), [(new, "")])[0]
    standing = [part for x in after if x.step for part in x.step.parts()]
    for part in new.parts():
        same = [one for one in standing if (one.word, one.keys) == (part.word, part.keys)]
        timid = part in (step("gpu"), pin("NumPy"), pin("scikit-learn"))
        assert part in same[-1:] or (timid and same)


@given(cells, steps)
def test_merging_twice_is_merging_once(text: str, new: Step) -> None:
    """The second time nothing changes, and nothing is said to have changed."""
    once = merge(parse(text), [(new, "")])[0]
    again, changes = merge(once, [(new, "")])
    assert (again, changes) == (once, ())


@given(cells, st.lists(steps, max_size=4))
@example('s = """\n# text"""\n%pin a==1', [step("gpu")])
@example("x = [\n    1]", [step("gpu")])
def test_the_merged_text_is_read_as_it_was_meant(text: str, new: List[Step]) -> None:
    """No step lands inside a string or a block: reading the text again gives the same steps."""
    after = merge(parse(text), [(one, "") for one in new])[0]
    read = parse(render(after))
    assert [x.step for x in read if x.step] == [x.step for x in after if x.step]


@given(cells, st.lists(steps, max_size=4))
@example(f"{MARKER}\n%pin a==1", [step("gpu")])
@example(f"{MARKER}\n%pin a==1\n%reload_ext colab_magics", [step("gpu")])
def test_a_setup_cell_stays_one(text: str, new: List[Step]) -> None:
    """The marker stays in the leading comments, whatever is merged or forgotten."""
    assume(is_setup(text))
    assert is_setup(merged(text, *new))
    for word in STEPS:
        assert is_setup(forgotten(text, word))


@given(st.lists(steps, max_size=6))
def test_a_new_cell_stands_in_the_order_of_rank(new: List[Step]) -> None:
    """In a cell that only we wrote, what may ask a person or is read from comes first."""
    after = merge(new_cell(), [(one, "") for one in new])[0]
    ranks = [x.step.rank for x in after if x.step]
    assert ranks == sorted(ranks)
    assert [x.text for x in after][: len(new_cell())] == [x.text for x in new_cell()]


@given(cells, pins)
def test_what_was_merged_can_be_forgotten(text: str, new: Step) -> None:
    """Forgetting each key of a pin leaves none of it, and every other decision as it was."""
    before = parse(text)
    lines = merge(before, [(new, "")])[0]
    names = {key if key.startswith("-r ") else key.split(";")[0] for key in new.keys}
    for name in names:
        lines = forget(lines, ["pin", name.replace("-r ", "")])[0]
    gone = {
        (word, key)
        for word, key in keys(before)
        if word == "pin" and (key in names or key.split(";")[0] in names)
    }
    assert keys(lines) == keys(before) - gone


# ---------------------------------------------------------------------- the rules, one by one
def test_a_first_step_stands_below_the_head() -> None:
    """In a new cell the first step follows the line that loads the extension."""
    after = merge(new_cell(), [(pin("numpy==2.1.3"), "")])[0]
    assert [x.text for x in after[-2:]] == ["%reload_ext colab_magics", "%pin numpy==2.1.3"]


def test_a_note_is_put_beside_a_new_line_only() -> None:
    """What the machine was is noted once; a line that is there keeps the comment it has."""
    lines, _ = merge([], [(step("gpu"), "made on Tesla T4")])
    again, changes = merge(lines, [(step("gpu"), "made on NVIDIA L4")])
    assert render(lines) == render(again) == "%gpu                        # made on Tesla T4"
    assert changes == ()


@pytest.mark.parametrize(
    ("text", "new", "expected"),
    [
        # a later pin moves that requirement only
        ("%pin a==1 b==1", pin("b==2"), "%pin a==1 b==2"),
        ("%pin a==1\nx = 1\n%pin b==1", pin("a==2"), "%pin a==2\nx = 1\n%pin b==1"),
        ("%pin a==1", pin("b==1"), "%pin a==1 b==1"),
        ("%pin a==1\nx = 1\n%pin b==1", pin("c==1"), "%pin a==1\nx = 1\n%pin b==1 c==1"),
        ("%pin Demo_Thing==1", pin("demo.thing==2"), "%pin demo.thing==2"),
        ("%pin a[x]==1", pin("a==1"), "%pin a==1"),
        # two lines that decide the same: the first keeps its place
        ("%pin a==1\n%pin a==2 b==1", pin("a==3"), "%pin a==3\n%pin b==1"),
        ("%pin a==1\n%pin a==2  # why two", pin("a==3"), "%pin a==3\n# why two"),
        ("%pin a==1\n%pin a==2", pin("a==3"), "%pin a==3"),
        # files
        ("%pin -r a.txt", pin("-r", "b.txt"), "%pin -r a.txt -r b.txt"),
        ("%pin -r a.txt", pin("-r", "a.txt"), "%pin -r a.txt"),
        ("%pin -r a.txt", pin("a==1"), "%pin a==1 -r a.txt"),
        # one directory, one GPU, a drive for each mount point
        ("%cd_persist a  # why", step("cd_persist", "b"), "%cd_persist b  # why"),
        ("%gpu require T4", step("gpu", "require", "L4"), "%gpu require L4"),
        ("%drive mount", step("drive", "mount", "~/d"), "%drive mount\n%drive mount ~/d"),
        (
            "%drive mount",
            step("drive", "mount", "--provider", "folder"),
            "%drive mount --provider folder",
        ),
        # rank, among lines of the user
        ("%drive mount\n%cd_persist x", pin("a==1"), "%drive mount\n%pin a==1\n%cd_persist x"),
        ("%gpu\nx = 1\n%pin a==1", step("drive", "mount"), "%gpu\n%drive mount\nx = 1\n%pin a==1"),
        ("x = 1\n# why\n%pin a==1", step("gpu"), "x = 1\n%gpu\n# why\n%pin a==1"),
        ("%pin a==1\nx = 1", step("cd_persist", "x"), "%pin a==1\n%cd_persist x\nx = 1"),
        ("x = 1", pin("a==1"), "x = 1\n%pin a==1"),
        (f"{MARKER}\n%pin a==1", step("gpu"), f"{MARKER}\n%gpu\n%pin a==1"),
        (
            f"{MARKER}\n%reload_ext colab_magics\nx = 1",
            pin("a==1"),
            f"{MARKER}\n%reload_ext colab_magics\n%pin a==1\nx = 1",
        ),
    ],
)
def test_where_a_step_goes(text: str, new: Step, expected: str) -> None:
    """The examples of the design: same key, same line; new kind, by rank; the rest untouched."""
    assert merged(text, new) == expected


def test_a_marker_makes_a_requirement_of_its_own() -> None:
    """The same package under another marker stands beside the first, and each moves alone."""
    old, new = "numpy==1.24; python_version < '3.9'", "numpy==2.1; python_version >= '3.9'"
    text = merged("%gpu", pin(old), pin(new))
    assert parse(text)[-1].step == pin(old, new)
    text = merged(text, pin("numpy==2.2; python_version >= '3.9'"))
    assert parse(text)[-1].step == pin(old, "numpy==2.2; python_version >= '3.9'")
    assert parse(merged(text, pin("numpy==3")))[-1].step == pin(
        old, "numpy==2.2; python_version >= '3.9'", "numpy==3"
    )


def test_a_marker_stays_where_its_bare_name_moves() -> None:
    """A pin without a marker that stands on two lines takes no marked one with it."""
    text = "%pin a==1\n%pin a==2 'a==3; python_version < \"3\"'"
    assert merged(text, pin("a==4")) == "%pin a==4\n%pin 'a==3; python_version < \"3\"'"


def test_what_changed_is_said_as_old_and_new() -> None:
    """A new line is named, a moved pin as old -> new, and what stands already not at all."""
    lines = parse("%pin a==1 b==1")
    entries = [(pin("b==2", "a==1"), ""), (pin("c==1"), "")]
    assert merge(lines, entries)[1] == ("%pin b==1 -> %pin b==2", "%pin c==1")


def test_comments_of_the_user_survive() -> None:
    """Comments above, beside and below a line stay when the line changes or a new one comes."""
    text = "# above\n%pin a==1  # beside\n# below\n\n# end"
    assert merged(text, pin("a==2"), step("gpu"), step("cd_persist", "x")) == (
        "%gpu\n# above\n%pin a==2  # beside\n%cd_persist x\n# below\n\n# end"
    )


# ---------------------------------------------------------------------- forgetting
DRIVES = """%drive mount
%drive mount ~/gdrive
%drive mount '/mnt/my a'
%drive mount '/mnt/my b'
"""
CELL = f"""#@title Setup
{MARKER}
%reload_ext colab_magics
%gpu require T4
{DRIVES}x = 1  # mine
%pin numpy==2.1.3 Scikit_Learn==1.5 "numpy==1.24; python_version < '3.9'"  # keep
%pin torch==2.4.1 -r requirements.txt -r 'my list.txt'
%cd_persist drive:project
%setup auto off"""


@pytest.mark.parametrize(
    ("selector", "gone"),
    [
        (["numpy"], ["numpy==2.1.3 ", " \"numpy==1.24; python_version < '3.9'\""]),
        (["pin", "NumPy"], ["numpy==2.1.3 ", " \"numpy==1.24; python_version < '3.9'\""]),
        (["scikit-learn"], [" Scikit_Learn==1.5"]),
        (["scikit.learn==1.5"], [" Scikit_Learn==1.5"]),
        (["torch", "scikit-learn"], [" Scikit_Learn==1.5", " torch==2.4.1"]),
        (["torch", "nosuch"], [" torch==2.4.1"]),
        (["requirements.txt"], [" -r requirements.txt"]),
        (["pin", "my list.txt"], [" -r 'my list.txt'"]),
        (["drive", "/mnt/my b"], ["%drive mount '/mnt/my b'\n"]),
        (["drive"], [DRIVES]),
        (["drive", "~/gdrive"], ["%drive mount ~/gdrive\n"]),
        (["drive", "default"], ["%drive mount\n"]),
        (["gpu"], ["%gpu require T4\n"]),
        (["cd"], ["%cd_persist drive:project\n"]),
        (["cd_persist"], ["%cd_persist drive:project\n"]),
        (["auto"], ["\n%setup auto off"]),
    ],
)
def test_what_a_selector_names_is_taken_out(selector: List[str], gone: List[str]) -> None:
    """A kind, a name in any spelling, a file or a mount point: that goes, and nothing else."""
    expected = CELL
    for piece in gone:
        assert piece in expected
        expected = expected.replace(piece, "", 1)
    left = forget(parse(CELL), selector)[0]
    assert [(x.step or x.text, x.comment) for x in left] == [
        (x.step or x.text, x.comment) for x in parse(expected)
    ]


def test_a_whole_kind_goes_with_its_lines() -> None:
    """``forget pin`` takes every pin; what was taken is named, part by part."""
    lines, changes = forget(parse(CELL), ["pin"])
    assert [x.text for x in lines if "%pin" in x.text] == []
    assert changes[:2] == ("%pin numpy==2.1.3", "%pin Scikit_Learn==1.5")
    assert len(changes) == 6
    assert "x = 1  # mine" in render(lines)


@pytest.mark.parametrize("selector", [["nosuch"], ["pin", "nosuch"], ["drive", "/elsewhere"]])
def test_an_unknown_name_takes_nothing(selector: List[str]) -> None:
    """A name that stands nowhere leaves the cell as it is, and says that nothing changed."""
    lines, changes = forget(parse(CELL), selector)
    assert (render(lines), changes) == (CELL, ())


@given(st.lists(steps, max_size=4))
def test_all_takes_a_cell_that_is_ours(new: List[Step]) -> None:
    """``forget --all`` leaves no line of a cell that only we wrote, and names each step."""
    lines = merge(new_cell(), [(one, "") for one in new])[0]
    left, changes = forget(lines, [])
    assert left == [] and changes
    assert all(line.text in changes for line in lines if line.step)


@pytest.mark.parametrize(
    "line",
    [line for line in OTHER_LINES if line.strip() and "colab" not in line and line[0] != "#"],
)
def test_all_refuses_where_lines_of_the_user_stand(line: str) -> None:
    """``forget --all`` deletes no code of the user's own, and quotes what is in its way."""
    text = f"{MARKER}\n%reload_ext colab_magics\n%pin a==1\n{line}"
    with pytest.raises(NotebookError, match="lines of your own") as caught:
        forget(parse(text), [])
    assert line.split("\n")[-1].strip() in caught.value.message


@pytest.mark.parametrize(
    "head",
    [
        "%load_ext colab_magics",
        "%reload_ext colab_magics\r",
        "try:\n    import colab_magics\nexcept ModuleNotFoundError:\n"
        "    %pip install -q git+https://example.org/colab_magics@0123abc\n",
        "try:\n    import colab_magics\nexcept ModuleNotFoundError:\n"
        "    %pip install -q colab-magics~=0.0.1\n",
    ],
)
def test_all_takes_a_head_of_another_version(head: str) -> None:
    """Lines that an earlier release or another origin of ours wrote are not the user's own."""
    assert forget(parse(f"{MARKER}\n{head}\n%pin a==1"), [])[0] == []


def test_all_of_nothing_changes_nothing() -> None:
    """Where there is no cell there is nothing to forget, and nothing is claimed."""
    assert forget([], []) == ([], ())


def test_a_bare_name_takes_no_version_back() -> None:
    """A name without a version leaves the line that has one, however it is spelled."""
    for text in ("%pin numpy==2.1.3  # the paper's", "%pin pandas==2.2.3 numpy>=2"):
        assert merge(parse(text), [(pin("NumPy"), "")]) == (parse(text), ())


def test_a_look_at_the_gpu_does_not_take_a_requirement_back() -> None:
    """A bare ``%gpu`` leaves ``%gpu require`` as it stands; another requirement takes its place."""
    text = f"{MARKER}\n%gpu require T4  # the paper's"
    assert merged(text, step("gpu")) == text
    assert "%gpu require L4  # the paper's" in merged(text, step("gpu", "require", "L4"))

"""The one dialect of all magics: words, quotes, comments and common flags."""

from __future__ import annotations

import re
from typing import List

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from IPython.core.error import UsageError

from colab_magics.core.arguments import (
    FLAGS,
    Choice,
    Parser,
    quote,
    split,
    split_comment,
    split_flags,
)

#: Words as people may type them: anything that can be seen, and the space.
printable = st.text(st.characters(blacklist_categories=("C", "Z")) | st.just(" "), max_size=20)
awkward = st.text(st.sampled_from(" '\"\\#ab=%$-@"), max_size=8)
words = (printable | awkward).filter(lambda word: word not in FLAGS)


@given(st.lists(words, max_size=6))
@example(["#a", "a #b", "a#b", "it's", 'say "x"', "", "\\", "a\\ b", "'\""])
def test_quoted_words_are_read_back_as_they_were(typed: List[str]) -> None:
    """Any words, quoted and joined to a line, split into the same words, without a comment."""
    parts = split(" ".join(map(quote, typed)))
    assert (parts.words, parts.flags, parts.comment) == (typed, (), "")


@pytest.mark.parametrize(
    "word",
    [
        "torch==2.4.1",
        "numpy>=2,<3",
        "requests[socks]",
        "drive:project",
        "~/x",
        "git+https://x#egg=y",
        "--memory",
        "-r",
    ],
)
def test_a_plain_word_is_not_quoted(word: str) -> None:
    """A word that needs no quotes is written as it was typed."""
    assert quote(word) == word


@given(st.text(max_size=40))
def test_a_comment_is_cut_without_losing_a_character(line: str) -> None:
    """Code and comment together are the line, whatever it holds; only its end may be blank."""
    code, comment = split_comment(line)
    assert code + comment == (line if comment else line.rstrip())
    assert code == code.rstrip()
    assert not comment or comment.lstrip().startswith("#")


@pytest.mark.parametrize(
    ("line", "code", "comment"),
    [
        ("git+https://x#egg=y", "git+https://x#egg=y", ""),
        ("git+https://x#egg=y # why", "git+https://x#egg=y", " # why"),
        ("numpy==2.1.3  # why", "numpy==2.1.3", "  # why"),
        ("numpy\t# it's", "numpy", "\t# it's"),
        ("'a # b' c", "'a # b' c", ""),
        ('"a # b" # c', '"a # b"', " # c"),
        ("# all of it", "", "# all of it"),
        ("numpy ", "numpy", ""),
        ("", "", ""),
    ],
)
def test_where_a_comment_begins(line: str, code: str, comment: str) -> None:
    """``#`` begins a comment after white space and outside quotes, and only there."""
    assert split_comment(line) == (code, comment)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("numpy==2.1.3 pandas", ["numpy==2.1.3", "pandas"]),
        ("\"numpy>=2; python_version>='3.10'\"", ["numpy>=2; python_version>='3.10'"]),
        ("'a b'c", ["a bc"]),
        ("a\\ b", ["a b"]),
        ("''", [""]),
        ("  ", []),
    ],
)
def test_words_are_split_as_a_shell_would(line: str, words: List[str]) -> None:
    """Quotes group, and adjoining parts are one word."""
    assert split(line).words == words


@pytest.mark.parametrize("line", ["numpy 'x", '"', "a 'b' \"c # d", "it's"])
def test_an_unclosed_quote_is_exactly_a_usage_error(line: str) -> None:
    """IPython prints ``UsageError`` as one line, a subclass of it as a traceback: so exactly it."""
    with pytest.raises(UsageError) as caught:
        split(line)
    assert type(caught.value) is UsageError
    assert caught.value.code == "open-quote"  # type: ignore[attr-defined]


def test_common_flags_are_taken_out_wherever_they_stand() -> None:
    """Flags that every magic takes are named in full, once, and are no words of the step."""
    parts = split("-q numpy --dry-run -o --quiet # -h")
    assert parts.words == ["numpy"]
    assert parts.flags == ("quiet", "dry_run", "output")
    assert parts.comment == "# -h"


@given(st.lists(st.sampled_from([*FLAGS, "numpy", "-r", "--memory"]), max_size=8))
def test_flags_and_words_part_without_loss(typed: List[str]) -> None:
    """The words that are left are the others, in their order, and each flag is named once."""
    rest, flags = split_flags(typed)
    assert rest == [word for word in typed if word not in FLAGS]
    assert set(flags) == {FLAGS[word] for word in typed if word in FLAGS}
    assert len(flags) == len(set(flags))


@pytest.mark.parametrize("typed", [["--nosuch"], ["one", "two"], ["--mem", "4"], []])
def test_bad_arguments_are_exactly_a_usage_error(typed: List[str]) -> None:
    """An unknown, surplus, missing or abbreviated argument never leaves the kernel."""
    parser = Parser("%thing use")
    parser.add_argument("name")
    parser.add_argument("--memory")
    with pytest.raises(UsageError, match=r"%thing use: .*\nType %thing\? for examples") as caught:
        parser.parse_args(typed)
    assert type(caught.value) is UsageError


def tree() -> Parser:
    """A parser with a command that takes a folder, a flag and one of two colours."""
    parser = Parser("%paint")
    wall = parser.add_command("wall", "Paint a wall.")
    wall.add_argument("folder", nargs="?", default="")
    wall.add_argument("--colour", type=Choice("%paint", "colour", ("red", "blue")), default="")
    wall.add_argument("--twice", action="store_true", help="two coats")
    return parser


def test_a_command_has_arguments_of_its_own() -> None:
    """The command and its arguments are returned, in whichever order they are typed."""
    command, arguments = tree().parse_words(["wall", "--twice", "here", "--colour", "red"])
    assert (command, vars(arguments)) == (
        "wall",
        {"folder": "here", "twice": True, "colour": "red"},
    )
    assert tree().parse_words([])[0] == ""


@pytest.mark.parametrize(
    ("words", "code", "meant"),
    [
        (["wal"], "unknown-command", "Did you mean wall?"),
        (["wall", "--twise"], "unknown-option", "Did you mean --twice?"),
        (["wall", "--dryrun"], "unknown-option", "Did you mean --dry-run?"),
        (["wall", "--colour", "bleu"], "unknown-choice", "Did you mean blue?"),
        (["wall", "--colour"], "usage", ""),
        (["wall", "one", "two"], "usage", ""),
        (["xyzzy"], "unknown-command", ""),
    ],
)
def test_a_wrong_word_is_refused(words: List[str], code: str, meant: str) -> None:
    """A wrong word is a ``UsageError`` that names the closest right one, where one is close."""
    with pytest.raises(UsageError) as caught:
        tree().parse_words(words)
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert meant in str(caught.value) and ("Did you mean" in str(caught.value)) == bool(meant)


def test_completion_and_help_come_from_the_tree() -> None:
    """Tab offers commands, then a command's options, then an option's choices; help has them."""
    assert tree().complete([], "") == ["wall"]
    assert tree().complete(["wall"], "--") == ["--colour", "--twice"]
    assert tree().complete(["wall", "--colour"], "b") == ["blue"]
    text = tree().format_tree()
    assert "%paint wall [" in text and re.search(r"(?m)^ +--twice {2,}two coats$", text)

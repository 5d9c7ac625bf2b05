"""The options on ``%pin`` lines: read, kept apart in the setup cell, and told to installers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, List

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from IPython.core.error import UsageError
from support.setup_cells import pin

from colab_magics.core.errors import ColabMagicsError
from colab_magics.core.steps import Step
from colab_magics.pin.options import authenticated
from colab_magics.pin.requirements import split_extras, written
from colab_magics.pin.step import parse as parse_pin
from colab_magics.record.cell import new_cell, parse, render
from colab_magics.record.merge import forget, merge

URL, TWO = "https://one.example/simple", "https://two.example/simple"
MORE = "https://one.example/more/simple"
HASH = "--hash=sha256:" + "0" * 64

_texts = st.sampled_from(
    (
        "numpy==2.1.3",
        "numpy==1.26.4",
        "NumPy>=1",
        f"numpy==2.1.3 {HASH}",
        f"pandas==2.2.3 {HASH} {HASH[:-1]}1",
        "pandas==2.2.3",
        "requests[socks]>=2.31",
        "numpy>=2; python_version >= '3.10'",
        "demo @ git+https://example.org/demo@0123abc",
    )
)
_places = st.sampled_from((("-r", "r.txt"), ("-e", "mine"), ("-e", "my (own) [dev]"), ("-e", ".")))
_options = st.sampled_from(
    (
        (),
        ("-i", URL),
        ("--index-url", URL, "--index-auth", "MY_INDEX"),
        ("--extra-index-url", URL, "--extra-index-url", TWO),
        ("--pre", "--no-deps"),
        ("-f", "my links", "-c", "drive:held.txt"),
        ("--torch-backend", "cpu"),
        ("-U",),
    )
)
#: What people pin: requirements, a file or a folder, with options before or after.
pins = st.builds(
    lambda texts, place, options, first: pin(
        *(options if first else ()), *texts, *place, *(() if first else options)
    ),
    st.lists(_texts, min_size=1, max_size=3),
    st.just(()) | _places,
    _options,
    st.booleans(),
)


# ---------------------------------------------------------------------- lines of the setup cell
@given(st.lists(pins, max_size=6))
@example([pin("numpy==2.1.3", "-i", URL), pin("numpy==2.1.3"), pin("numpy==2.1.3", "-i", URL)])
@example([pin("numpy==2.1.3", "pandas==2.2.3"), pin(f"numpy==2.1.3 {HASH}")])
def test_each_key_stands_once_whatever_is_pinned(asked: List[Step]) -> None:
    """After any pins each key stands once; the text is read back as itself; again is no change."""
    lines = merge(new_cell(), [(one, "") for one in asked])[0]
    found = Counter(key for line in lines if line.step for key in line.step.keys)
    assert set(found.values()) <= {1}
    assert set(found) == {key for one in asked for key in one.keys}
    read = parse(render(lines))
    assert [line.step for line in read if line.step] == [line.step for line in lines if line.step]
    assert render(read) == render(lines)
    standing = [(line.step, "") for line in lines if line.step]
    assert merge(read, standing) == (read, ())


@given(st.lists(pins, min_size=1, max_size=6))
def test_the_last_pin_of_a_key_stands_with_its_options(asked: List[Step]) -> None:
    """What was pinned last is on a line of its own options, with nothing of the flags of once."""
    lines = merge(new_cell(), [(one, "") for one in asked])[0]
    standing = [part for line in lines if line.step for part in line.step.parts()]
    for part in asked[-1].parts():
        assert part in standing
    assert "--upgrade" not in render(lines) and "-U" not in render(lines)


def test_other_options_are_another_line() -> None:
    """The same options share a line; a package pinned with others moves, and leaves none behind."""
    lines = new_cell()
    for words in (["a==1", "-i", URL], ["b==1"], ["c==1", "--index-url", URL], ["b==2", "-i", URL]):
        lines = merge(lines, [(pin(*words), "")])[0]
    assert [x.text for x in lines if x.step] == [f"%pin a==1 c==1 b==2 --index-url {URL}"]
    lines = merge(lines, [(pin("c==1", "--pre"), "")])[0]
    assert sorted(x.text for x in lines if x.step) == [
        f"%pin a==1 b==2 --index-url {URL}",
        "%pin c==1 --pre",
    ]


def test_options_have_one_order() -> None:
    """However they are typed, the same options are equal, and are written in one order."""
    one = pin("a", "--pre", "--extra-index-url", TWO, "-i", URL)
    assert one == pin("-i", URL, "a", "--pre", "--pre", f"--extra-index-url={TWO}")
    assert one.arguments() == ("a", "--index-url", URL, "--extra-index-url", TWO, "--pre")


# ---------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    "words",
    [
        ["--pre"],
        ["-i", URL],
        ["--upgrade"],
        ["a", "--index-url"],
        ["a", "--pre=yes"],
        ["a", "--no-such-option"],
        ["a", "--ind", URL],
        ["a", "-x"],
        ["a", "--index-auth", "NAME"],
        ["-e", "git+https://one.example/x"],
        ["a==1", HASH],
    ],
)
def test_what_is_no_line(words: List[str]) -> None:
    """Options alone, unknown or cut short ones, and what would go nowhere are bad arguments."""
    with pytest.raises(UsageError) as caught:
        parse_pin(words)
    assert "%pin" in str(caught.value)


# ---------------------------------------------------------------------- what installers are told
@pytest.mark.parametrize(
    ("secret", "login"),
    [
        ("me:hunter2", "me:hunter2"),
        ("me:p@s:s/%", "me:p%40s:s%2F%25"),
        ("tok en", "__token__:tok%20en"),
    ],
)
def test_the_secret_goes_into_the_indexes(secret: str, login: str) -> None:
    """Into each index of the line, and nothing else; the variable's name goes no further."""
    line = {"index-url": URL, "extra-index-url": f"{MORE} {URL}", "index-auth": "X", "pre": "1"}
    one, two = (url.replace("//", f"//{login}@") for url in (URL, MORE))
    found = authenticated(line, {"X": secret})
    assert found == {"index-url": one, "extra-index-url": f"{two} {one}", "pre": "1"}


@pytest.mark.parametrize("environment", [{}, {"X": ""}])
def test_a_secret_that_is_not_set(environment: Any) -> None:
    """It says what is missing and what it is to hold; the name is not said: it may be a token."""
    with pytest.raises(ColabMagicsError) as caught:
        authenticated({"index-url": URL, "index-auth": "X"}, environment)
    assert caught.value.code == "no-secret"


def test_settings_are_pips(tmp_path: Path) -> None:
    """Each option is the setting of that name; places are absolute, and hold no white space."""
    line = ["-f", "a", "-f", "my links", "-f", URL, "-c", "c.txt", "--no-deps", "--pre"]
    found: Any = parse_pin(["x", *line])
    spaced = (tmp_path / "my links").as_uri()
    assert found.options.settings(lambda path: str(tmp_path / path)) == {
        "find-links": f"{tmp_path / 'a'} {spaced} {URL}",
        "constraint": str(tmp_path / "c.txt"),
        "no-deps": "1",
        "pre": "1",
    }


@pytest.mark.parametrize(
    ("typed", "bare", "extras"),
    [
        (".", ".", []),
        (".[dev]", ".", ["dev"]),
        ("/a b[x, y]", "/a b", ["x", "y"]),
        ("a[b]/c", "a[b]/c", []),
    ],
)
def test_extras_of_a_folder(typed: str, bare: str, extras: List[str]) -> None:
    """Extras stand in brackets at the end, and nowhere else."""
    assert split_extras(typed) == (bare, extras)


def test_a_path_with_spaces_is_written_as_a_url() -> None:
    """Only then, and with its extras as they are."""
    assert written("/a/b[x]") == "/a/b[x]"
    assert written("/a b/c[x,y]") == "file:///a%20b/c[x,y]"


def test_a_secret_goes_to_one_host() -> None:
    """Two hosts on a line with one secret are refused; two indexes of one host get it."""
    private = {"index-auth": "X", "index-url": URL, "extra-index-url": f"{URL}/more"}
    found = authenticated(private, {"X": "me:pw"})
    assert "me:pw@" in found["index-url"] and "me:pw@" in found["extra-index-url"]
    with pytest.raises(ColabMagicsError) as caught:
        authenticated({**private, "extra-index-url": TWO}, {"X": "me:pw"})
    assert caught.value.code == "unsafe-index"


@pytest.mark.parametrize("command", ["undo", "freeze"])
def test_a_command_is_no_package(command: str) -> None:
    """In a setup cell a command stands for itself; a version makes it a package."""
    assert parse_pin([command]) is None
    assert pin(f"{command}==1.0").keys == {command}


def test_a_folder_is_one_however_it_is_spelled() -> None:
    """``-e lib``, ``-e ./lib`` and ``-e lib/`` are one line, and any of them forgets it."""
    lines, _ = merge(new_cell(), [(pin("-e", one), "") for one in ("./lib", "lib", "lib/")])
    assert [line.text for line in lines if line.step] == ["%pin -e ./lib"]
    assert forget(lines, ["lib"])[1] == ("%pin -e ./lib",)
    assert forget(lines, ["./lib"])[1] == ("%pin -e ./lib",)

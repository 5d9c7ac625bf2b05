"""Requirements as people write them, read the one way in which they are kept."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.error import UsageError

from colab_magics.core.errors import ColabMagicsError
from colab_magics.pin.requirements import (
    body_words,
    carries_secret,
    key,
    normal,
    read_file,
    requirement,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NumPy==2.1.3", "numpy"),
        ("Demo_Thing.x>=1", "demo-thing-x"),
        ("requests[socks]", "requests"),
        ("a ; python_version<'3'", 'a; python_version < "3"'),
        ('a; python_version < "3"', 'a; python_version < "3"'),
        ("demo @ git+https://example.org/x@abc", "demo"),
    ],
)
def test_a_key_is_the_name_and_the_marker(text: str, expected: str) -> None:
    """Two spellings of a requirement have one key; another marker makes another."""
    assert key(text) == expected


@pytest.mark.parametrize("text", ["numpy=*", "", "a b", "https://x/y.whl", "==1", "a==1 # c", "-x"])
def test_what_is_no_requirement_is_exactly_a_usage_error(text: str) -> None:
    """IPython prints it as one line; the text and how to write it are named."""
    with pytest.raises(UsageError, match="Not a requirement: ") as caught:
        requirement(text)
    assert type(caught.value) is UsageError
    assert "numpy==2.1.3" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("numpy==2.1.3", "numpy==2.1.3"),
        ("  a ;  python_version < '3' ", "a ; python_version < '3'"),
        ("git+https://x/y@abc#egg=demo", "demo @ git+https://x/y@abc"),
        ("git+https://x/y#subdirectory=z&egg=demo_thing", "demo_thing @ git+https://x/y"),
        ("https://x/y.whl#egg=y", "y @ https://x/y.whl"),
    ],
)
def test_how_a_requirement_is_kept(text: str, expected: str) -> None:
    """White space is one space, and a bare URL is kept under the name that it gives itself."""
    assert normal(text) == expected
    assert normal(normal(text)) == normal(text)


@pytest.mark.parametrize("text", ["git+https://x/y@abc", "https://x/y.whl"])
def test_a_url_needs_a_name(text: str) -> None:
    """What cannot be checked by name cannot be pinned; the error says how to name it."""
    with pytest.raises(UsageError, match=r"No name for .*\nWrite it as: NAME @ URL") as caught:
        normal(text)
    assert type(caught.value) is UsageError


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("demo @ https://me:hunter2@x/y.whl", True),
        ("demo @ https://ghp_token@github.com/x", True),
        ("demo @ git+https://oauth2:TOKEN@x/y", True),
        ("demo @ GIT+HTTPS://oauth2:TOKEN@x/y", True),
        ("demo @ git+ssh://git:pass@x/y", True),
        ("demo @ git+ssh://git@github.com/x/y", False),
        ("demo @ git+https://x/y@v1.0", False),
        ("numpy==2.1.3", False),
        ("a b@c", False),
    ],
)
def test_a_password_in_a_url_is_seen(text: str, secret: bool) -> None:
    """User names and passwords count, a user of ssh without one, and ``@REF``, do not."""
    assert carries_secret(text) is secret


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("numpy==2.1.3\npandas\n", ["numpy==2.1.3", "pandas"]),
        ("\n# why\nnumpy >= 2  # it's new\n", ["numpy >= 2"]),
        ("a; python_version < '3'\r\nb\r\n", ["a; python_version < '3'", "b"]),
        ("numpy \\\n  >=2", ["numpy    >=2"]),
        ("-r list.txt", ["-r", "list.txt"]),
        ("-rlist.txt", ["-r", "list.txt"]),
        ("--requirement list.txt", ["-r", "list.txt"]),
        ("--requirement=my list.txt", ["-r", "my list.txt"]),
        ("-r my list.txt", ["-r", "my list.txt"]),
        ("x @ git+https://x#egg=y", ["x @ git+https://x#egg=y"]),
        ("", []),
    ],
)
def test_a_body_has_one_requirement_a_line(body: str, words: List[str]) -> None:
    """A ``%%pin`` body is read like a requirements file: spaces, comments, continued lines."""
    assert body_words(body) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--index-url https://x/y?a=b", ["--index-url", "https://x/y?a=b"]),
        ("--index-url=https://x/y?a=b", ["--index-url", "https://x/y?a=b"]),
        ("-e ./my folder", ["-e", "./my folder"]),
        ("--pre", ["--pre"]),
        ("numpy==2.1.3 \\\n  --hash=sha256:00", ["numpy==2.1.3    --hash=sha256:00"]),
    ],
)
def test_a_body_takes_options_and_hashes(line: str, words: List[str]) -> None:
    """An option of a body is the words that it would be on the line; hashes stay where they are."""
    assert body_words("pandas\n" + line) == ["pandas", *words]


@given(st.lists(st.sampled_from(["numpy==2.1.3", "", "# c", "a ; python_version < '3'", "-r f"])))
def test_no_line_of_a_body_is_lost(lines: List[str]) -> None:
    """Every line that says something is among the words, in its order."""
    said = [word for line in lines if line and line[0] != "#" for word in _as_words(line)]
    assert body_words("\n".join(lines)) == said


def _as_words(line: str) -> List[str]:
    return line.split() if line.startswith("-") else [line]


def test_a_file_is_read_with_those_it_includes(tmp_path: Path) -> None:
    """Included files count from the file that names them; options are kept apart."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "all.txt").write_text(
        "\ufeff# ours\r\n--extra-index-url https://x/simple\r\nnumpy == 2.1.3\r\n"
        "-r deep/more.txt  # more\r\ngit+https://x/y#egg=demo\r\n",
        encoding="utf-8",
    )
    (tmp_path / "deep" / "more.txt").write_text(
        "pandas==2.2.3 \\\n    ; python_version>='3'\n--requirement=last.txt\n"
    )
    (tmp_path / "deep" / "last.txt").write_text("-rnone-after-this.txt\nlast")
    (tmp_path / "deep" / "none-after-this.txt").write_text("")
    found, options = read_file(tmp_path / "all.txt")
    assert found == [
        "numpy == 2.1.3",
        "pandas==2.2.3 ; python_version>='3'",
        "last",
        "demo @ git+https://x/y",
    ]
    assert options == ["--extra-index-url https://x/simple"]


def test_hashes_stay_with_their_requirement(tmp_path: Path) -> None:
    """A hash is handed to the installer, which checks it; it is no part of the name or version."""
    (tmp_path / "locked.txt").write_text("pandas==2.2.3 \\\n    --hash=sha256:00\n")
    assert read_file(tmp_path / "locked.txt")[0] == ["pandas==2.2.3 --hash=sha256:00"]
    assert key("pandas==2.2.3 --hash=sha256:00") == "pandas"
    assert str(requirement("pandas==2.2.3 --hash=sha256:00").specifier) == "==2.2.3"


def test_a_path_in_an_option_counts_from_its_file(tmp_path: Path) -> None:
    """Installers read the lines in another folder: paths that are there are made absolute."""
    deep = tmp_path / "deep"
    (deep / "wheels").mkdir(parents=True)
    (deep / "held.txt").write_text("")
    lines = ["-c held.txt", "--constraint=held.txt", "-e .", "-e .[x]", "--find-links wheels"]
    kept = ["-f https://x/wheels", "-c gone.txt", "--pre", "--extra-index-url wheels"]
    (deep / "all.txt").write_text("\n".join([*lines, *kept]))
    (tmp_path / "top.txt").write_text("-r deep/all.txt")
    assert read_file(tmp_path / "top.txt")[1] == [
        f"-c {deep / 'held.txt'}",
        f"--constraint {deep / 'held.txt'}",
        f"-e {deep}",
        f"-e {deep / '.[x]'}",
        f"--find-links {deep / 'wheels'}",
        *kept,
    ]


def test_a_file_that_includes_itself_ends(tmp_path: Path) -> None:
    """Files that include each other are refused in one line, as pip refuses them."""
    (tmp_path / "a.txt").write_text("numpy\n-r b.txt\n")
    (tmp_path / "b.txt").write_text("pandas\n-r a.txt\n")
    with pytest.raises(ColabMagicsError, match=r"a\.txt") as caught:
        read_file(tmp_path / "a.txt")
    assert caught.value.code == "includes-itself"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error names the file that is missing, without the path of this machine."""
    (tmp_path / "a.txt").write_text("-r gone.txt\n")
    with pytest.raises(ColabMagicsError, match=r"gone\.txt") as caught:
        read_file(tmp_path / "a.txt")
    assert caught.value.code == "no-file"
    assert str(tmp_path) not in str(caught.value)

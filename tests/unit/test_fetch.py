"""``%fetch`` without a network: what a line means, how files are named, how lines are merged."""

from __future__ import annotations

from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colab_magics.core.errors import SourceError
from colab_magics.fetch.google_drive import shared_file
from colab_magics.fetch.step import FetchStep, parse
from colab_magics.fetch.urls import file_name, read_url
from colab_magics.record.cell import parse as parse_cell
from colab_magics.record.cell import render
from colab_magics.record.merge import merge

A, B = "https://host/a.bin", "https://host/b.bin"
HASH = "0" * 64


def keys(line: str) -> List[str]:
    step = parse(line.split())
    assert step is not None
    return sorted(step.keys)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (A, ["a.bin"]),
        (f"{A} data/", ["data/a.bin"]),
        (f"{A} ./data//", ["data/a.bin"]),
        (f"{A} data/b.bin", ["data/b.bin"]),
        (f"{A} {B} data", ["data/a.bin", "data/b.bin"]),
        (f"{A} data --unpack", ["data/a.bin"]),
        (f"{A} .", ["a.bin"]),
        (f"{A} ~", ["~/a.bin"]),
        (f"{A} drive:", ["drive:a.bin"]),
        (f"{A} drive:data/", ["drive:data/a.bin"]),
        ("drive:x/a.bin", ["a.bin"]),
        ("drive:x/a.bin drive:y/", ["drive:y/a.bin"]),
        ("https://host", ["host"]),
        ("https://host/a%20b.csv?x=1#y", ["a b.csv"]),
        ("hf://owner/name/sub/a.bin", ["a.bin"]),
        ("kaggle://owner/data", ["data.zip"]),
        ("kaggle://owner/data/sub/a.csv", ["a.csv"]),
        ("zenodo:12/a.csv", ["a.csv"]),
        ("https://drive.google.com/uc?id=abcdefghij w.pt", ["w.pt"]),
        ("s3://bucket/sub/a.bin data/", ["data/a.bin"]),
    ],
)
def test_where_a_line_puts_its_file(line: str, expected: List[str]) -> None:
    """The place is the key, whatever is on the machine."""
    assert keys(line) == expected


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("hf://o/n/a.bin", "https://huggingface.co/o/n/resolve/main/a.bin"),
        ("hf://o/n@v1.0/s/a b", "https://huggingface.co/o/n/resolve/v1.0/s/a%20b"),
        ("hf://spaces/o/n/a", "https://huggingface.co/spaces/o/n/resolve/main/a"),
        ("kaggle://o/n", "https://www.kaggle.com/api/v1/datasets/download/o/n"),
        ("kaggle://o/n/s/a b", "https://www.kaggle.com/api/v1/datasets/download/o/n/s%2Fa%20b"),
        ("https://github.com/o/r/blob/main/a.csv", "https://github.com/o/r/raw/main/a.csv"),
        ("https://huggingface.co/o/r/blob/main/a", "https://huggingface.co/o/r/resolve/main/a"),
        (
            "https://www.dropbox.com/s/x/a?rlkey=1&dl=0",
            "https://www.dropbox.com/s/x/a?rlkey=1&dl=1",
        ),
        ("sftp://me@host/a.csv", "sftp://me@host/a.csv"),
        (
            "https://drive.google.com/file/u/0/d/abcdefghij/view",
            "https://drive.google.com/uc?id=abcdefghij&export=download",
        ),
    ],
)
def test_what_a_kind_asks_for(typed: str, url: str) -> None:
    """Each kind of URL is a plain request to its service."""
    assert read_url(typed).url == url


def test_a_record_of_zenodo_is_listed_first() -> None:
    """Its files come with their checksums; one that is named is one of them."""
    answer = {"files": [{"key": "a b.csv", "checksum": "md5:abc"}, {"key": "c"}]}
    all_of_it = read_url("zenodo:12")
    assert all_of_it.several and all_of_it.listing == "https://zenodo.org/api/records/12"
    one, two = all_of_it.read(answer)
    assert one.url == "https://zenodo.org/api/records/12/files/a%20b.csv/content"
    assert (one.typed, one.md5, one.name) == ("zenodo:12/a%20b.csv", "abc", "a b.csv")
    assert two.md5 == "" and read_url("zenodo:12/c").read(answer) == [two]
    assert read_url(one.typed).read(answer) == [one]


def test_a_page_of_google_that_is_no_page_of_googles() -> None:
    """Whatever comes is a line that says what to do, never another error."""
    page = shared_file("https://drive.google.com/uc?id=abcdefghij").page
    assert page is not None
    bad = "<form action='http://[x'><input type=hidden name=id value=1>"
    for text in ("", "<form><input name=x>", "<title>\n", "\0<form action='/x'>", bad):
        with pytest.raises(SourceError):
            page(text, "https://drive.google.com/uc")


@given(st.text(max_size=300))
def test_a_name_from_a_server_is_a_name_in_a_folder(text: str) -> None:
    """It holds no folder, is none, and fits."""
    name = file_name(text)
    assert not {"/", "\\", "\0"} & {*name} and name not in {".", ".."}
    assert len(name.encode("utf-8", "replace")) <= 200


@given(
    st.sampled_from([A, "hf://o/n/a", "zenodo:1", "drive:x y/z"]),
    st.sampled_from(["", "data/", "a b/", "drive:x/"]),
    st.sampled_from(["", "1", "12"]),
    st.booleans(),
)
def test_a_line_is_read_back_as_itself(url: str, dest: str, strip: str, update: bool) -> None:
    """Its words mean it again."""
    step = FetchStep(url, dest, "", bool(strip), int(strip or 0), "NAME", update)
    assert parse(list(step.arguments())) == step


def test_files_get_lines_of_their_own() -> None:
    """Also out of a line that a person wrote for several; the same place has one line."""
    lines = parse_cell(f"%fetch {A} {B} data/\n%cd_persist data")
    merged, changes = merge(lines, [(FetchStep(A, "data/", HASH), "")])
    assert render(merged).split("\n") == [
        f"%fetch {A} data/ \\",
        f"    --sha256 {HASH}",
        f"%fetch {B} data/",
        "%cd_persist data",
    ]
    assert len(changes) == 1
    again, changes = merge(merged, [(FetchStep(A, "data/"), ""), (FetchStep(B, "data/"), "")])
    assert (again, changes) == (merged, ())
    other = FetchStep("https://mirror/a.bin", "data/a.bin", token="NAME")
    moved, _ = merge(merged, [(other, "")])
    assert render(moved).split("\n")[0] == "%fetch https://mirror/a.bin data/a.bin --token NAME"

"""Notebook files are edited cell by cell: every byte outside the setup cell stays."""

from __future__ import annotations

import json
import warnings
from typing import Any, Dict, List, Optional, Tuple

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.setup_cells import MARKER

from colab_magics.core.errors import NotebookError
from colab_magics.notebook.document import ROLE, Document
from colab_magics.record.cell import is_setup

pytestmark = pytest.mark.once

TEXT = f"#@title Setup\n{MARKER}\n%pin numpy==2.1.3  # élan"
OTHER = f"{MARKER}\n%gpu"

CODE: Dict[str, Any] = {
    "cell_type": "code",
    "execution_count": 3,
    "metadata": {"zoo": [1.10, 1e400, float("nan"), 10**30, 1e-7], "a": {"b": None}},
    "outputs": [{"name": "stdout", "output_type": "stream", "text": ["caf\u00e9 \U0001f600\n"]}],
    "source": ["x = '\":\"'\n", "print(x)"],
}
PROSE: Dict[str, Any] = {"cell_type": "markdown", "metadata": {}, "source": "# a [title], {x}"}


def book(*cells: Dict[str, Any], minor: int = 4, **extra: Any) -> Dict[str, Any]:
    """A notebook as Jupyter writes it: its keys in alphabetical order."""
    if minor >= 5:
        cells = tuple({**cell, "id": f"cell-{i}"} for i, cell in enumerate(cells))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "unknown": {"z": 1, "a": [2.50, "cells"]}}
    made = {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}
    return {**made, **extra}


def written(whole: Dict[str, Any], **options: Any) -> bytes:
    """A notebook as the bytes of a file."""
    return (json.dumps(whole, **{"indent": 1, "ensure_ascii": False, **options}) + "\n").encode()


LAST_KEY_FIRST = {
    "nbformat_minor": 4,
    "nbformat": 4,
    "metadata": {"cells": [{"source": "no cell"}], "orig_nbformat": 3},
    "cells": [CODE, PROSE],
}

#: Files as different programs write them.
FILES = {
    "jupyter": written(book(CODE, PROSE)),
    "indent 2": written(book(CODE, PROSE), indent=2),
    "tabs": written(book(CODE, PROSE, minor=5), indent="\t"),
    "one line": written(book(CODE, PROSE), indent=None),
    "compact": written(book(CODE, PROSE, minor=5), indent=None, separators=(",", ":")),
    "compact, one cell": written(book(PROSE), indent=None, separators=(",", ":")),
    "CRLF": written(book(CODE, PROSE)).replace(b"\n", b"\r\n"),
    "escapes": written(book(CODE, PROSE), ensure_ascii=True),
    "ids": written(book(CODE, PROSE, minor=5)),
    "minor 0": written(book(PROSE, minor=0)),
    "other order": written(LAST_KEY_FIRST),
    "odd numbers": written(book(CODE)).replace(b"Infinity", b"1e400").replace(b"2.5", b"2.50E0"),
    "no cells": written(book()),
    "no cells, one line": written(book(minor=5), indent=None),
    "no last newline": written(book(CODE)).rstrip(),
    "blank around": b"\n\n" + written(book(CODE)) + b"\n  \n",
    "colons in text": written(book({**PROSE, "source": ['d = {"a":']})),
    "unknown keys": written(book({**PROSE, "attachments": {}}, future={"cells": [1]})),
}

files = pytest.mark.parametrize("data", list(FILES.values()), ids=list(FILES))


def read(data: bytes) -> Document:
    """A notebook from its bytes."""
    return Document.parse(data, "x.ipynb")


def with_setup(data: bytes, text: Optional[str]) -> bytes:
    """The bytes of a notebook with this setup cell, or with none."""
    return read(data).with_setup(text, is_setup).encode()


def with_lock(data: bytes, lock: Optional[str]) -> bytes:
    """The bytes of a notebook with this lock in its metadata, or with none."""
    return read(data).with_stored("lock", lock).encode()


def outside(data: bytes) -> bytes:
    """The bytes of a file without those of its setup cell."""
    document = read(data)
    at = document.setup_index(is_setup)
    assert at is not None
    return b"".join(around(document, at))


def around(document: Document, at: int) -> Tuple[bytes, bytes]:
    """The bytes of a file before and behind one of its cells."""
    first, last = document.inner[: 2 * at + 1], document.inner[2 * at + 2 :]
    return b"".join([document.before, *first]), b"".join([*last, document.behind])


def validate(data: bytes) -> None:
    """Have nbformat check a file as strictly as it can, without mending anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nbformat.validate(nbformat.from_dict(json.loads(data)))


# ---------------------------------------------------------------------- a new cell
@files
def test_inserting_keeps_every_byte_outside_the_cell(data: bytes) -> None:
    """A new setup cell is put in at one point; what stood before and after it is as it was."""
    after = with_setup(data, TEXT)
    head, tail = around(read(after), 0)
    assert data.startswith(head.rstrip())
    assert data.endswith(tail.lstrip(b", \t\r\n"))
    before = json.loads(data)
    whole = json.loads(after)
    cell = whole["cells"].pop(0)
    assert repr(whole) == repr(before)  # repr: NaN is not equal to itself
    assert Document.source(cell) == TEXT
    assert cell["metadata"] == ROLE


@files
def test_inserting_and_removing_gives_the_same_bytes_back(data: bytes) -> None:
    """``forget --all`` undoes what the first insertion did, to the byte."""
    assert with_setup(with_setup(data, TEXT), None) == data


@files
def test_a_second_insertion_changes_nothing(data: bytes) -> None:
    """The same text is there already: the very same document comes back."""
    document = read(with_setup(data, TEXT))
    assert document.with_setup(TEXT, is_setup) is document
    assert read(data).with_setup(None, is_setup).text == data.decode()


@files
def test_the_result_is_a_valid_notebook(data: bytes) -> None:
    """The library nbformat finds no fault with a file that was valid, in any minor version."""
    if b"future" not in data and b"orig_nbformat" not in data:
        validate(with_setup(data, TEXT))
        validate(with_setup(with_setup(data, TEXT), OTHER))
    minor = json.loads(data)["nbformat_minor"]
    assert ("id" in read(with_setup(data, TEXT)).cells[0]) is (minor >= 5)


@files
def test_replacing_keeps_every_byte_outside_the_cell(data: bytes) -> None:
    """A changed setup cell changes its own bytes only, and there only the source."""
    first = with_setup(data, TEXT)
    second = with_setup(first, OTHER)
    assert outside(second) == outside(first)
    assert read(second).setup_text(is_setup) == OTHER
    assert with_setup(second, TEXT) == first


@files
def test_the_new_cell_is_written_in_the_style_of_the_file(data: bytes) -> None:
    """Indent, line endings, separators and escapes are those of the file, not ours."""
    after = with_setup(data, TEXT)
    text = after.decode()
    if b"\\u" in data:
        assert after.isascii()
    if b"\r\n" in data:
        assert after.count(b"\n") == after.count(b"\r\n")
    else:
        assert b"\r" not in after
    assert (data.strip().count(b"\n") == 0) == (after.strip().count(b"\n") == 0)
    start, end = len(around(read(after), 0)[0].decode()), -len(around(read(after), 0)[1].decode())
    assert ('"cell_type": ' in text[start:end]) == ('"nbformat": ' in data.decode())
    if text.startswith("{\n") or text.startswith("{\r\n"):
        step = text[1:].lstrip("\r\n").split('"')[0]
        newline = "\r\n" if "\r\n" in text else "\n"
        assert text[:start].endswith(newline + step * 2)
        assert f'{newline}{step * 3}"cell_type"' in text[start:end]
        assert text[start:end].endswith(newline + step * 2 + "}")


@files
def test_other_cells_in_several_places_are_one_edit_after_another(data: bytes) -> None:
    """Put in together they give what each alone would, in the file's own style."""
    document = read(data)
    new = {at: {**cell, "source": "new"} for at, cell in enumerate(document.cells)}
    expected = document
    for at, cell in new.items():
        expected = expected.with_cells([(at, cell)])
    assert document.with_cells(new.items()).text == expected.text
    assert document.with_cells(enumerate(document.cells)) is document


# ---------------------------------------------------------------------- a cell that stands
@pytest.mark.parametrize("at", [0, 1, 2])
def test_the_cell_is_replaced_and_removed_where_it_stands(at: int) -> None:
    """A setup cell that a person has moved keeps its place, and its own metadata and outputs."""
    setup = {
        **CODE,
        "metadata": {"scrolled": True, "cellView": "form"},
        "source": TEXT.splitlines(True),
    }
    cells: List[Dict[str, Any]] = [CODE, PROSE]
    cells.insert(at, setup)
    data = written(book(*cells))
    after = with_setup(data, OTHER)
    assert outside(after) == outside(data)
    expected = {**setup, "source": OTHER.splitlines(True)}
    assert repr(json.loads(after)["cells"][at]) == repr(expected)
    assert with_setup(data, None) == written(book(CODE, PROSE))


def test_a_source_that_is_one_string_is_read_and_replaced() -> None:
    """A text or a list of lines: both are allowed and read, and the same text is no change."""
    data = written(book({**CODE, "source": TEXT}, PROSE))
    document = read(data)
    assert document.setup_text(is_setup) == TEXT
    assert document.with_setup(TEXT, is_setup) is document
    assert read(with_setup(data, OTHER)).setup_text(is_setup) == OTHER
    assert outside(with_setup(data, OTHER)) == outside(data)


def test_metadata_alone_makes_no_setup_cell() -> None:
    """Front ends copy metadata when a cell is split: a cell without the marker is the user's."""
    own = {**CODE, "metadata": ROLE, "source": ["print('mine')"]}
    data = written(book(own, PROSE))
    assert read(data).setup_index(is_setup) is None
    changed = read(with_setup(data, TEXT))
    assert changed.setup_text(is_setup) == TEXT
    assert changed.cells[1] == own


def test_a_marker_in_prose_is_no_setup_cell() -> None:
    """A Markdown cell that begins with the marker is left alone; the new cell stands on top."""
    data = written(book({**PROSE, "source": [MARKER]}))
    assert read(data).setup_index(is_setup) is None
    assert read(with_setup(data, TEXT)).setup_index(is_setup) == 0


def test_two_setup_cells_are_refused() -> None:
    """Neither can be preferred: the error names both, counted as people count."""
    setup = {**CODE, "source": TEXT}
    document = read(written(book(setup, PROSE, setup)))
    with pytest.raises(NotebookError, match="Cells 1 and 3 are both setup cells"):
        document.with_setup(OTHER, is_setup)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-json"),
        (b"hello", "not-json"),
        (b'{"cells": [', "not-json"),
        (b"\xff\xfe\x00", "not-json"),
        (written(book(PROSE)).replace(b"title", b"\xff"), "not-json"),
        (b"[]", "not-format-4"),
        (b"{}", "not-format-4"),
        (b'{"worksheets": [], "nbformat": 3, "nbformat_minor": 0}', "not-format-4"),
        (b'{"cells": {}, "nbformat": 4, "nbformat_minor": 4}', "not-format-4"),
        (b'{"cells": [1], "nbformat": 4, "nbformat_minor": 4}', "not-format-4"),
        (b'{"cells": [], "nbformat": 5, "nbformat_minor": 0}', "not-format-4"),
        (b'{"cells": [], "nbformat": 4, "nbformat_minor": "x"}', "not-format-4"),
    ],
)
def test_what_is_no_notebook_is_refused(data: bytes, code: str) -> None:
    """Anything but JSON in format 4 is a `NotebookError` that names the file and the reason."""
    with pytest.raises(NotebookError, match=r"x\.ipynb is ") as caught:
        read(data)
    assert caught.value.code == code and caught.value.hint


# ---------------------------------------------------------------------- any notebook
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
sources = st.text(max_size=20) | st.lists(st.text(max_size=10), max_size=3)
any_cell = st.fixed_dictionaries(
    {
        "cell_type": st.sampled_from(["code", "markdown", "raw"]),
        "metadata": st.dictionaries(st.text(max_size=5), values, max_size=3),
        "source": sources,
    }
)
styles = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 1, 2, 4, "\t"]),
        "ensure_ascii": st.booleans(),
        "separators": st.sampled_from([None, (",", ":")]),
        "sort_keys": st.booleans(),
    }
)


@given(
    st.lists(any_cell, max_size=4),
    st.dictionaries(st.text(max_size=5), values, max_size=3),
    styles,
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([0, 4, 5]),
)
def test_any_notebook_keeps_its_bytes(
    cells: List[Dict[str, Any]],
    metadata: Dict[str, Any],
    style: Dict[str, Any],
    newline: str,
    minor: int,
) -> None:
    """Whatever a notebook holds, however it is laid out: in, changed, out, and it is as before."""
    whole = book(*cells, minor=minor, metadata=metadata)
    data = json.dumps(whole, **style).replace("\n", newline).encode("utf-8", "surrogatepass")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return  # half a surrogate pair, unescaped, is no UTF-8 file
    first = with_setup(data, TEXT)
    second = with_setup(first, OTHER)
    assert repr(json.loads(first)["cells"][1:]) == repr(json.loads(data)["cells"])
    assert outside(first) == outside(second)
    assert with_setup(first, TEXT) == first
    assert with_setup(second, None) == data


@files
def test_a_lock_is_one_line_of_the_file_and_goes_without_a_trace(data: bytes) -> None:
    """All else in the metadata stays; taken out, the bytes are those from before."""
    text = 'lock-version = "1.0"\nname = "é"\n'
    locked = with_lock(data, text)
    before, after = json.loads(data), json.loads(locked)
    assert after["metadata"].pop("colab_magics") == {"lock": text}
    assert repr(after) == repr(before)
    assert with_lock(locked, text) == locked
    assert len([line for line in locked.splitlines() if b"lock-version" in line]) == 1
    assert with_lock(with_lock(locked, "gzip:x"), None) == data
    assert locked.count(b"\n") - data.count(b"\n") <= 3


@given(st.dictionaries(st.text(max_size=5), values, max_size=3), styles, st.booleans())
def test_any_metadata_keeps_its_bytes(
    others: Dict[str, Any], style: Dict[str, Any], ours: bool
) -> None:
    """Whatever else stands in the notebook's metadata, and beside the lock in our own."""
    metadata = {"a": 1, "colab_magics": {**others, "lock": "old"}, "z": []} if ours else others
    data = json.dumps(book(PROSE, metadata=metadata), **style).encode("utf-8", "surrogatepass")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return
    locked = with_lock(data, "new")
    after = json.loads(locked)["metadata"]
    rest = {key: value for key, value in others.items() if key != "lock"}
    wanted = {"a": 1, "colab_magics": {**rest, "lock": "new"}, "z": []}
    assert repr(_sorted(after)) == repr(
        _sorted(wanted if ours else {**others, "colab_magics": {"lock": "new"}})
    )
    gone = json.loads(with_lock(locked, None))["metadata"]
    kept = {"a": 1, **({"colab_magics": rest} if rest else {}), "z": []}
    assert repr(_sorted(gone)) == repr(_sorted(kept if ours else others))
    assert ours or with_lock(locked, None) == data


def _sorted(value: Any) -> Any:
    """The same with every object in the order of its keys."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def test_half_a_character_stays_what_it_was() -> None:
    """Half a character, which JSON can say and UTF-8 cannot, is written as it came: an escape."""
    half = TEXT + "\n# \ud800"
    data = written(book({**CODE, "source": half}, PROSE), ensure_ascii=True)
    data = data.replace(b"\\u00e9", "\u00e9".encode())
    after = with_setup(data, half + "\n%gpu")
    assert b"# \\ud800\\n" in after and "\u00e9lan".encode() in after
    assert read(after).setup_text(is_setup) == half + "\n%gpu"
    assert outside(after) == outside(data)

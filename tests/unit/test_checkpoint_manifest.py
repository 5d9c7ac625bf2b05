"""A manifest is read back as it was written, and not at all where a byte of it is another."""

from __future__ import annotations

import json

import pytest

from colab_magics.checkpoint.manifest import (
    Cell,
    DamagedManifest,
    File,
    Lost,
    Manifest,
    Piece,
    Root,
    Segment,
    Variables,
    hash_bytes,
    parse,
    render,
)

pytestmark = pytest.mark.once

PIECE = Piece(hash_bytes(b"a"), 1, hash_bytes(b"ab"), 1)
MANIFEST = Manifest(
    1e9,
    "kernel",
    "nb.ipynb",
    (Root("drive:x", (File("a/\u00e9\udce9", "file", 0o644, 5, (PIECE,)),), ("b",)),),
    Variables(
        "3.13.0",
        (PIECE,),
        (Segment("x", "variable", 1),),
        ((PIECE, PIECE), ()),
        {"numpy": "2.1.3"},
        (Lost("g", "generator", "cannot pickle"),),
    ),
    (Cell("id", hash_bytes(b"c"), (PIECE,)), Cell("", hash_bytes(b"d"))),
    Cell("id", hash_bytes(b"e"), ()),
)


def test_a_manifest_is_read_as_it_was_written() -> None:
    """All fields come back, surrogates in names too; each piece is counted once."""
    assert parse(render(MANIFEST)) == MANIFEST
    assert MANIFEST.size == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"path":"a/', '"path":"../'),
        ('"path":"a/', '"path":"/'),
        ('"kind":"file"', '"kind":"device"'),
        ('"size":1', '"size":true'),
        ('"size":1', '"size":1e3'),
        ('"size":1', '"size":1,"more":1'),
        ('"pack":"', '"pack":"../'),
        ('"format":1', '"format":2'),
        ('"mode":420', '"mode":99999'),
        ('"time":1000000000.0', '"time":NaN'),
        ('"time":1000000000.0', '"time":1e300'),
        ('"cells":[', '"cells":[7,'),
        ('"lost":[', '"lost":[{"name":"x","type":3,"reason":""},'),
    ],
)
def test_a_manifest_of_another_hand_is_refused(old: str, new: str) -> None:
    """One with a right hash, but of a form that we would not write, is refused."""
    line = render(MANIFEST).split(b"\n")[0]
    assert json.loads(line)
    changed = line.decode().replace(old, new, 1).encode()
    assert changed != line
    with pytest.raises(DamagedManifest):
        parse(changed + b"\n" + hash_bytes(changed).encode() + b"\n")

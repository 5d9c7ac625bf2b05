"""Secrets are taken out of bytes, wherever the pieces are cut."""

from __future__ import annotations

from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colab_magics.core import redact
from colab_magics.core.redact import Redactor, redact_secrets, register_secret

SECRET = "hf_canary_value"


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets that a test makes known are forgotten behind it."""
    monkeypatch.setattr(redact, "_SECRETS", set())


@given(cuts=st.lists(st.integers(0, 60), max_size=8))
def test_wherever_it_is_cut(cuts: List[int]) -> None:
    """The pieces together are the text with the secret taken out, and nothing is lost."""
    redact.forget_secrets()
    register_secret(SECRET)
    data = f"a hf_ {SECRET}{SECRET} hf_canary_ {SECRET} hf_c".encode()
    ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    veil = Redactor()
    shown = b"".join(veil(data[a:b]) for a, b in zip(ends, ends[1:])) + veil(b"", last=True)
    assert shown == data.replace(SECRET.encode(), b"****")


@given(cuts=st.lists(st.integers(0, 90), max_size=8))
def test_one_within_another(cuts: List[int]) -> None:
    """A secret that is a part or a beginning of another is no reason to show the rest of it."""
    redact.forget_secrets()
    for secret in ("token-ABCDEF-XYZ123", "ABCDEF", "token-", "XYZ123-more"):
        register_secret(secret)
    text = "a token-ABCDEF-XYZ123 ABCDEF token-ABCDEF token-ABC XYZ123-more-ABCDE"
    data = text.encode()
    ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    veil = Redactor()
    shown = b"".join(veil(data[a:b]) for a, b in zip(ends, ends[1:])) + veil(b"", last=True)
    assert shown == redact_secrets(text).encode()


def test_pieces_of_one_overlap_another() -> None:
    """What is whole is taken out, although its end may begin another one; nothing is held long."""
    register_secret("ABCDEF")
    register_secret("DEFGHI")
    veil = Redactor()
    assert veil(b"x ABCDEF") + veil(b" y\n") == b"x **** y\n"


def test_each_line_of_a_secret() -> None:
    """A program prints a line of it; those that all keys have tell nothing and stay."""
    register_secret("-----BEGIN OPENSSH PRIVATE KEY-----\ncanary-one\n  canary-two\nshort\n")
    assert redact_secrets("canary-two canary-one short") == "**** **** short"
    assert (
        redact_secrets("-----BEGIN OPENSSH PRIVATE KEY-----")
        == "-----BEGIN OPENSSH PRIVATE KEY-----"
    )


def test_nothing_known_and_nothing_like_it() -> None:
    """Without secrets, or without a beginning of one, each piece comes at once."""
    veil = Redactor()
    assert veil(b"hf_can") == b"hf_can"
    register_secret(SECRET)
    assert veil(b"progress 10 %\r") == b"progress 10 %\r"
    assert veil(b"x hf_") == b"x " and veil(b"y") == b"hf_y"

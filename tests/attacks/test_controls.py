"""Characters that people do not see, in what strangers name."""

from __future__ import annotations

import sys
import unicodedata
from typing import Callable

from colab_magics.core.controls import clean_name, has_controls, visible

#: Unicode's Bidi_Control property, from UAX #9.
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def test_every_character_of_unicode(held: Callable[[int, int], None]) -> None:
    """Each control, separator and bidi control of Unicode is seen, cleaned and made visible."""
    hidden = [
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(char) in {"Cc", "Zl", "Zp"}
        or char in BIDI
        or len(f"a{char}b".splitlines()) > 1
    ]
    good = [
        char
        for char in hidden
        if has_controls(f"a{char}b")
        and clean_name(f"a{char}b") == "ab"
        and visible(f"a{char}b", allow="") not in {f"a{char}b", "ab"}
        and visible(f"a{char}b", allow="").isascii()
    ]
    held(len(hidden), len(good))
    assert good == hidden and len(hidden) > 70


def test_names_keep_what_people_see() -> None:
    """A name in any script, with spaces, dots and emoji inside, is left as it is."""
    for name in ("数据 v1.2.csv", "café.tar.gz", "a\u200db.txt", "x😀.ipynb"):
        assert clean_name(name) == name == visible(name) and not has_controls(name)
    assert clean_name(" ..\u2028.ssh \n") == "ssh"
    assert visible("a\tb\n\x1b]52;c;\ud800") == "a\tb\n\\x1b]52;c;\\ud800"

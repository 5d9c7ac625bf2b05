"""Characters that people do not see: controls, line separators and marks of writing direction.

Text from strangers may hold them: to end a line where a person sees none, to move a terminal's
cursor, or to show a name in another order than it has. Sources: Unicode's general categories Cc,
Zl and Zp, its property Bidi_Control (UAX #9), and `str.splitlines`, at whose separators IPython
splits a cell.
"""

from __future__ import annotations

import re

_CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029"
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_SURROGATES = "\ud800-\udfff"
_HIDDEN = re.compile(f"[{_CONTROLS}{_BIDI}]")
_UNPRINTABLE = re.compile(f"[{_CONTROLS}{_BIDI}{_SURROGATES}]")
_LAYOUT = "\n\t"


def has_controls(text: str) -> bool:
    """Tell whether a text holds a control, a line or paragraph separator, or a bidi control."""
    return _HIDDEN.search(text) is not None


def clean_name(name: str) -> str:
    """Return a file name without such characters, surrogates, leading dots and outer white space.

    It may be empty. Separators of folders are left for the caller, who knows the system.
    """
    return _UNPRINTABLE.sub("", name).strip().lstrip(".").strip()


def visible(text: str, allow: str = _LAYOUT) -> str:
    r"""Return a text in which each such character but those of ``allow`` is an escape (``\x1b``).

    Half a surrogate pair, which no stream can encode, becomes an escape too.
    """
    return _UNPRINTABLE.sub(lambda match: _escape(match.group(), allow), text)


def _escape(char: str, allow: str) -> str:
    if char in allow:
        return char
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"

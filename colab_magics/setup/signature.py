"""Signatures of dangerous lines, by which those that this user recorded are known again.

A signature is the HMAC-SHA256 of a line and its dangers: where what a line reads has changed, so
that there is another danger, it is another one. Those of a notebook are in its metadata
(`metadata_keys`, the value ``trust``), which anybody may have written; but none without the key.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Iterable, List, Optional, Sequence, Set

from ..core.effects import Effects
from ..core.files import read_own, save
from ..core.ownership import make_private
from ..core.steps import Step
from ..record.cell import render_step

_KEY = re.compile(rb"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")


def read_keys(places: Iterable[Path]) -> List[bytes]:
    """Return the keys that are there; none that others can read or write, or that is no key."""
    keys: List[bytes] = []
    for place in places:
        with suppress(OSError):  # `NotOwn` is one
            is_open = os.name != "nt" and place.lstat().st_mode & 0o077
            data = b"" if is_open else read_own(place).strip()
            keys += [data] if _KEY.fullmatch(data) else []
    return keys


def make_key(place: Path) -> bytes:
    """Make a key, and return it; `OSError` where it cannot be written."""
    if not place.parent.exists():
        make_private(place.parent)
    key = secrets.token_hex(32).encode()
    save(place, key)
    return key


def sign(step: Step, effects: Effects, key: bytes) -> str:
    """Return the signature of a line with its dangers."""
    dangers = (f"{danger.code} {danger.subject}" for danger in sorted(effects.dangers))
    message = "\0".join(["colab_magics line 1", render_step(step), *dangers])
    return hmac.new(key, message.encode("utf-8", "surrogatepass"), "sha256").hexdigest()


def decode(text: Optional[str]) -> Set[str]:
    """Return the signatures in the metadata; what is none is passed over."""
    return set(filter(_SIGNATURE.fullmatch, (text or "").split(" ")))


def is_signed(step: Step, effects: Effects, keys: Sequence[bytes], known: Set[str]) -> bool:
    """Tell whether this user's signature of a line is among those that are known."""
    return bool(known) and any(sign(step, effects, key) in known for key in keys)

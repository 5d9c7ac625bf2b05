"""Google Drive on loopback: the REST interface v3 and the login, with faults that tests plan.

It holds what matters of the real one: names that are not unique, ids that serve once, sessions that
take whole multiples of 256 KiB, documents without a size, fields that are sent only when asked for.
Content lies on disk, so that memory stays flat. `GoogleDrive` is what tests use;
``python -m doubles.google_drive`` serves it in a process of its own.
"""

from __future__ import annotations

from .drive import GoogleDrive
from .faults import (
    Fault,
    corrupt,
    cut,
    forbidden,
    lost_reply,
    partial,
    session_expired,
    slow,
    token_expired,
    too_many,
    unavailable,
)
from .files import DOCUMENT, FOLDER, ROOT, SHEET, SHORTCUT
from .http import Request
from .oauth import CLIENT_ID, CLIENT_SECRET, TOKEN
from .uploads import QUANTUM

__all__ = [
    "CLIENT_ID",
    "CLIENT_SECRET",
    "DOCUMENT",
    "FOLDER",
    "QUANTUM",
    "ROOT",
    "SHEET",
    "SHORTCUT",
    "TOKEN",
    "Fault",
    "GoogleDrive",
    "Request",
    "corrupt",
    "cut",
    "forbidden",
    "lost_reply",
    "partial",
    "session_expired",
    "slow",
    "token_expired",
    "too_many",
    "unavailable",
]

"""Keep secrets out of what is shown: known values, and logins in URLs."""

from __future__ import annotations

import json
import re
from typing import Iterator, List, Sequence, Set, Tuple
from urllib.parse import quote, quote_plus, unquote

_WORD = re.compile(r"\S+")
#: A host, and perhaps a port, as they stand in a URL between ``//`` and the path.
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d{0,5})?")
#: The same within another URL, and a login without a URL: ``user:password@host``.
_ENCODED = re.compile(r"(%2f%2f)(?:(?!%2f)\S)*?%40", re.I)
_LOGIN = re.compile(
    r"(?<![\w.%+-])(?!(?:mailto|drive|zenodo):)[\w.%+-]+:[^\s/\\@:]+@(?=[\w\[])", re.I
)

#: Values that are not to be shown, as they may be written; shorter ones would garble messages.
_SECRETS: Set[str] = set()
_SHORTEST = 6
#: A line of a key that every such key has.
_FRAME = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----")


def register_secret(value: str) -> None:
    """Show this value, and each of its lines, in no message and no error from now on."""
    lines = [text.strip() for text in value.splitlines()]  # programs are read line by line
    lines = [text for text in lines if not _FRAME.fullmatch(text)]
    for form in (value, value.strip(), quote(value, safe=""), quote_plus(value), *lines):
        if len(form) >= _SHORTEST:
            _SECRETS.update((form, json.dumps(form)[1:-1]))


def registered_secrets() -> List[str]:
    """Return the values that are hidden, for a process of ours that hides them too."""
    return sorted(_SECRETS)


def forget_secrets() -> None:
    """Forget all registered values."""
    _SECRETS.clear()


def redact_secrets(text: str) -> str:
    """Return a text in which each registered secret is ``****``."""
    for value in sorted(_SECRETS, key=len, reverse=True):
        text = text.replace(value, "****")
    return text


def holds_secret(text: str) -> bool:
    """Tell whether a text contains a registered secret, also as a URL writes it."""
    return any(redact_secrets(reading) != reading for reading in (text, unquote(text)))


class Redactor:
    """Redact registered secrets in bytes that come in pieces.

    What may be the beginning of one is held back until the next piece.
    """

    def __init__(self) -> None:
        self._held = b""

    def __call__(self, data: bytes, last: bool = False) -> bytes:
        """Return a piece without them; ``last``: nothing comes behind it."""
        if not _SECRETS:
            return data
        secrets = sorted((value.encode() for value in _SECRETS), key=len, reverse=True)
        data = self._held + data
        # Before any is taken out: a short one may be the beginning, or a part, of a longer one.
        partial = 0 if last else max(_overlap(data, secret) for secret in secrets)
        end = _move_cut(data, len(data) - partial, secrets)
        data, self._held = data[:end], data[end:]
        for secret in secrets:
            data = data.replace(secret, b"****")
        return data


def _move_cut(data: bytes, end: int, secrets: Sequence[bytes]) -> int:
    """Return where to cut so that no complete secret is cut in two: there, or behind it."""
    for secret in secrets:
        at = data.find(secret, max(end - len(secret) + 1, 0), end + len(secret) - 1)
        if at >= 0:
            return _move_cut(data, at + len(secret), secrets)
    return end


def _overlap(data: bytes, secret: bytes) -> int:
    """Return how many bytes at the end of the data a secret may begin with."""
    longest = min(len(data), len(secret) - 1)
    return next((n for n in range(longest, 0, -1) if data.endswith(secret[:n])), 0)


def userinfo_spans(text: str) -> Iterator[Tuple[int, int]]:
    """Yield the spans of user names and passwords of URLs, without the ``@`` behind them.

    They end at the last ``@`` before the path. Where what precedes the path is no host with a
    port, a password holds a raw ``/``: then at the last ``@`` of the word.
    """
    for word in _WORD.finditer(text) if "@" in text else ():
        last, at = text.rfind("@", word.start(), word.end()), word.start()
        while True:
            start = text.find("//", at, word.end()) + 2
            if not 2 <= start <= last:
                break
            at = text.find("/", start, word.end())
            at = word.end() if at < 0 else at
            cut = text.rfind("@", start, at)
            if cut < 0 and not _HOST.fullmatch(text, start, at):
                cut = last
            if cut >= 0:
                yield start, cut
                at = cut + 1


def redact(text: str) -> str:
    """Return a text in which secrets, and user names and passwords of URLs, are ``****``."""
    if "@" in text or "%40" in text:
        cuts = [0, *(cut for span in userinfo_spans(text) for cut in span), len(text)]
        text = "****".join(text[start:end] for start, end in zip(cuts[::2], cuts[1::2]))
        text = _LOGIN.sub("****@", _ENCODED.sub(r"\1****%40", text))
    return redact_secrets(text)

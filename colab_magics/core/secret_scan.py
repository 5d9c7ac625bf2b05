"""What looks like a secret: by its name, and by the shapes that services give their tokens.

Pure. It errs towards silence where only luck tells a token from something else: a hash, a UUID, a
commit or an image in Base64 is none.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from html import unescape
from itertools import groupby
from typing import Dict, Iterator, List, Match, Pattern, Tuple
from urllib.parse import unquote

#: A token stands alone: within a longer run of such characters it is part of something else.
_ALONE = r"(?:{})(?![A-Za-z0-9_-])"
_WITHIN = re.compile(r"[A-Za-z0-9_-]")
#: How each of these begins: looked for first, since long texts are searched for that much faster.
_BEGIN = re.compile(
    r"gh[pousr]_|github_|hf_|sk-|xox|AKIA|ASIA|AIza|GOCSPX-|ya29|glpat-|[sr]k_l|npm_|pypi-|eyJ"
    r"|KGAT_"
)

_SHAPES = {
    "a GitHub token": r"gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{50,255}",
    "a Hugging Face token": r"hf_[A-Za-z0-9]{30,}",
    "an OpenAI or Anthropic key": (
        r"sk-(?:[A-Za-z0-9]{32,}|(?:proj|svcacct|admin|ant|or)-[A-Za-z0-9_-]{32,})"
    ),
    "a Slack token": r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    "an AWS key": r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    "a Google key": r"AIza[0-9A-Za-z_-]{35}|GOCSPX-[0-9A-Za-z_-]{28}|ya29\.[0-9A-Za-z_-]{20,}",
    "a GitLab token": r"glpat-[0-9A-Za-z_-]{20,}",
    "a Stripe key": r"[sr]k_live_[0-9A-Za-z]{20,}",
    "a package index token": r"npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}",
    "a Kaggle token": r"KGAT_[0-9a-f]{32}",
    "a JSON Web Token": r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{10,}",
}

#: Kind of token -> how it is written.
_KINDS: Dict[str, Pattern[str]] = {
    kind: re.compile(_ALONE.format(shape)) for kind, shape in _SHAPES.items()
}
_PRIVATE = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")

#: What Kaggle gives out as ``kaggle.json``: a name and a key, within quotes of any kind.
_QUOTE = r"""\\{0,3}["']"""
_NAMED, _KEYED = (
    rf"username{_QUOTE}\s*:\s*{_QUOTE}",
    rf"key{_QUOTE}\s*:\s*{_QUOTE}[0-9a-f]{{32}}{_QUOTE}",
)
_KAGGLE = re.compile(
    rf"{_NAMED}[\w.-]{{1,60}}{_QUOTE}\s*,\s*{_QUOTE}{_KEYED}|{_KEYED}\s*,\s*{_QUOTE}{_NAMED}"
)

#: What a terminal does not show: escape sequences, other controls, and characters without width.
_UNSEEN = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
    r"|\\x00"
)
_TAG = re.compile(r"<[^<>]*>")
#: As a browser reads it, to which a sign within the quotes of a value, or a comment, ends nothing.
#: What is left open goes to the end, so that no text is read twice.
_BROWSER_TAG = re.compile(
    r"<!--(?s:.*?)(?:-->|\Z)"
    r"""|</?[A-Za-z!?](?:[^>=]+|=\s*(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z))?)*(?:>|\Z)"""
)
#: What may be text in Base64, perhaps in lines, which may be indented.
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}(?:\r?\n[ \t]*[A-Za-z0-9+/_-]{4,})*")
#: More of it is a picture, or a model: only what is ASCII in it is looked at, and the others of its
#: lines together.
_PICTURE = 1 << 16
_ASCII = re.compile(rb"[\t\n\r\x1b -~]{6,}")

# A scheme is short: without a limit a long list of numbers or names would take minutes.
_PASSWORD = re.compile(r"\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@\"'<>]*:([^\s/@\"'<>]+)@[\w.\[-]", re.I)
#: What stands in a URL for the password that a person, or a program, is to put there. A percent
#: sign or a dollar alone is a part of a password: ``p%40ss`` is how ``p@ss`` is written.
_PLACEHOLDER = re.compile(
    r".*\{.*\}.*|\$\w+|\$\(.*\)|%\(\w+\)s|%[sdr]|%\w+%|\*+|x+|\.+"
    r"|(my|your)?[-_]?(password|passwd|pass|pwd|secret|token|key)",
    re.I,
)
#: How code, ``repr`` and JSON write what cannot be typed.
_ESCAPE = re.compile(r"\\(?:([nrt\"'\\])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}

#: A literal behind ``=``, the name before it (also ``environ["NAME"]``), and a line ``%env``.
_LITERAL = re.compile(r"=\s*[rbuRBU]?([\"'])(?P<value>[\w.~!@#%^&*+/=-]{8,})\1")
_NAME = re.compile(r"([A-Za-z_]\w+)(?:[\"']\])?\s*(?::\s*[\w.\[\]]+\s*)?$")
_TYPED = re.compile(
    r"^[ \t]*(?:%env|%set_env|%env_persist|!?export)[ \t]+(\w+)[= ][\"']?([\w.~!@#%^&*+/=-]{8,})",
    re.M,
)
_LONG, _FILE = re.compile(r"(?=[A-Za-z]*\d)[A-Za-z0-9]{16}"), re.compile(r".*\.[A-Za-z]{2,4}")

#: Words of a name that make its value a secret, whole or as the end of a word: ``HFTOKEN``.
_SECRET = re.compile(r".*(TOKEN|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|APIKEY)")
#: Last words that say something about a secret: where it is, how long, of which kind.
_ABOUT = re.compile(
    r"FILE|FILENAME|PATH|DIR|FOLDER|NAME|ID|URL|URI|HOST|TYPE|FORMAT|LENGTH|LEN|LIMIT|COUNT|SIZE"
    r"|TTL|EXPIRY|TIMEOUT|ENABLED|DISABLED|HELPER|PROVIDER|STORE|BACKEND|CACHE|HOME|VERSION"
)
#: Words with which a token or a key is one of a text or a table, or no secret.
_OTHER = re.compile(
    r"MAX|MIN|NUM|EOS|BOS|UNK|PAD|SEP|CLS|MASK|PUBLIC|SORT|PRIMARY|FOREIGN|PARTITION"
)
_PLAIN = re.compile(r"|true|false|yes|no|on|off|none|auto|[01]", re.I)
_PATH = re.compile(r"(~|\.{0,2}|[A-Za-z]:)[/\\][^=+]*|[\w-]+:[\w./ -]+")


def looks_secret(name: str, value: str) -> bool:
    """Tell whether a variable of this name and value holds a secret."""
    return bool(find(value)) or (_names_secret(name, value) and not _PLAIN.fullmatch(value))


def find(text: str) -> Tuple[str, ...]:
    """Return the kinds of tokens in a text, each once: ``a GitHub token``."""
    begins = [match.start() for match in _BEGIN.finditer(text)]
    alone = [at for at in begins if not _WITHIN.match(text[max(0, at - 1) : at])]
    kinds = [k for k, shape in _KINDS.items() if any(shape.match(text, at) for at in alone)]
    if "username" in text and _KAGGLE.search(text):
        kinds.append("a key of Kaggle")
    if _PRIVATE.search(text):
        kinds.append("a private key")
    if any(not _PLACEHOLDER.fullmatch(password) for password in _PASSWORD.findall(text)):
        kinds.append("a URL with a password")
    return tuple(kinds)


def readings(text: str) -> Iterator[str]:
    """Yield a text as it is, then as a terminal and a browser show it, as a program reads what is
    written as escapes in it, as a server reads it in a URL, and what Base64 in it says.

    A secret in it is one in any of these readings. UTF-16 is read by leaving its zeros out.
    """
    yield text
    plain = _UNSEEN.sub("", text)
    seen = [plain]
    if "&" in plain or "<" in plain:
        seen += [unescape(unescape(tag.sub("", plain))) for tag in (_TAG, _BROWSER_TAG)]
    if "\\" in plain:
        seen.append(_UNSEEN.sub("", _ESCAPE.sub(_unescape, plain)))
    if "%" in plain:
        seen.append(unquote(plain))
    yield from (reading for reading in dict.fromkeys(seen) if reading != text)
    runs = dict.fromkeys(run for reading in dict.fromkeys(seen) for run in _find_base64(reading))
    yield "\n".join(text for run in runs for text in _decode(run))


def _find_base64(text: str) -> Iterator[str]:
    """Yield what may be Base64: lines as one run, and each alone, as it may end another."""
    for match in _BASE64.finditer(text):
        lines = match.group().split()
        run = "".join(lines)
        if len(run) >= _PICTURE:
            lines = ["".join(alike) for _, alike in groupby(lines, len)]
        yield from (run for run in dict.fromkeys([run, *lines]) if not run.isdigit())


def _unescape(escape: Match[str]) -> str:
    letter, *codes = escape.groups()
    return _LETTERS.get(letter, letter) if letter else chr(int(codes[0] or codes[1], 16))


def _decode(run: str) -> Iterator[str]:
    """Yield what Base64 says, in either of its alphabets, padded or not.

    It may begin at any letter: the letters before it may belong to something else.
    """
    run = run.replace("-", "+").replace("_", "/")
    for start in range(4):
        end = len(run) - ((len(run) - start) % 4 == 1)
        data = a2b_base64(run[start:end] + "==").replace(b"\0", b"")
        if len(run) < _PICTURE:
            yield data.decode("utf-8", "replace")
        else:
            yield "\n".join(text.decode("ascii") for text in _ASCII.findall(data))


def assigned(text: str) -> str:
    """Return the name to which code assigns a literal secret; empty where there is none.

    Words without a digit are none, and a key has to be long: it may be one of a table.
    """
    pairs: List[Tuple[str, str]] = _TYPED.findall(text)
    for literal in _LITERAL.finditer(text):
        before = _NAME.search(text[max(0, literal.start() - 100) : literal.start()])
        pairs += [(before[1], literal["value"])] if before else []
    for name, value in pairs:
        key = re.fullmatch(r"(.*)keys?", name, re.I)
        likely = key[1] and _LONG.search(value) if key else re.search(r"\d", value)
        other = _PLACEHOLDER.fullmatch(value) or _FILE.fullmatch(value)
        if likely and not other and looks_secret(name, value):
            return name
    return ""


def _names_secret(name: str, value: str) -> bool:
    """Tell whether a name says that its value is a secret, and not the file that holds it."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper().split("_")
    words = [word.rstrip("0123456789") for word in words if word.rstrip("0123456789")]
    if not words or _ABOUT.fullmatch(words[-1]) or any(map(_OTHER.fullmatch, words)):
        return False
    if any(_SECRET.fullmatch(word) for word in words if not word.startswith("CREDENTIAL")):
        return True
    if words[-1] in {"KEY", "KEYS", "CREDENTIAL", "CREDENTIALS"}:
        return not _PATH.fullmatch(value)
    return words[-1] in {"PWD", "PASS"} and len(words) > 1 and words[0] != "OLD"

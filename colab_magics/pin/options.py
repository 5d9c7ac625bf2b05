"""The options of a ``%pin`` line, as the pip settings that they stand for.

They reach the installer as settings do, through its environment: an index's URL may be private.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple
from urllib.parse import quote

from ..core.arguments import Parser
from ..core.errors import ColabMagicsError
from ..core.redact import register_secret
from .day import SETTING, cutoff
from .requirements import carries_secret, written

_OFTEN: Dict[str, Any] = {"action": "append", "default": []}
#: Option → what its help says, and how argparse takes it.
_OPTIONS: Dict[str, Tuple[str, Dict[str, Any]]] = {
    "--index-url": ("the index to take packages from", {"metavar": "URL"}),
    "--extra-index-url": ("one more index", {"metavar": "URL", **_OFTEN}),
    "--index-auth": (
        "the environment variable with USER:PASSWORD or a token for these indexes",
        {"metavar": "NAME"},
    ),
    "--find-links": ("a folder or a page with packages", {"metavar": "PLACE", **_OFTEN}),
    "--constraint": ("a file of versions to hold to", {"metavar": "FILE", **_OFTEN}),
    "--torch-backend": ("the build of PyTorch: auto, cpu, cu126, ...", {"metavar": "BACKEND"}),
    "--as-of": ("versions as they were on a day: 2020-07-11", {"metavar": "DAY"}),
    "--pre": ("take pre-releases too", {"action": "store_true"}),
    "--no-deps": ("leave out what they need", {"action": "store_true"}),
}
_SHORT = {"--index-url": ["-i"], "--find-links": ["-f"], "--constraint": ["-c"]}
#: Those whose value is a place that may be a path.
_PLACES = ("--find-links", "--constraint")

#: An address that all readers understand alike, and this machine's own hosts.
_INDEX = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:(?P<port>\d{1,5}))?"
    r"(/[^\s\\@]*)?"
)
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Options:
    """Options in the order of the table, as (option, value) pairs; "" where it has no value."""

    pairs: Tuple[Tuple[str, str], ...] = ()

    @classmethod
    def of(cls, parsed: Any) -> Options:
        """Return the options that a parser with `add_options` has parsed."""
        pairs: List[Tuple[str, str]] = []
        for option in _OPTIONS:
            value = getattr(parsed, option[2:].replace("-", "_"))
            values = value if isinstance(value, list) else [value] if value else []
            pairs += [(option, "" if text is True else text) for text in dict.fromkeys(values)]
        return cls(tuple(pairs))

    @property
    def words(self) -> Tuple[str, ...]:
        """The words that say them on a line."""
        return tuple(word for pair in self.pairs for word in pair if word)

    @property
    def day(self) -> str:
        """The day of ``--as-of``; empty without it."""
        return next((value for option, value in self.pairs if option == "--as-of"), "")

    def without_day(self) -> Options:
        """Return the same without ``--as-of``."""
        return Options(tuple(pair for pair in self.pairs if pair[0] != "--as-of"))

    @property
    def secret(self) -> bool:
        """Whether a URL holds a password, or a token may stand where its name belongs."""
        return any(
            carries_secret(value) or (option == "--index-auth" and value not in os.environ)
            for option, value in self.pairs
        )

    @property
    def paths(self) -> Tuple[str, ...]:
        """The values that are paths."""
        return tuple(value for option, value in self.pairs if _is_path(option, value))

    def settings(self, place: Callable[[str], str]) -> Dict[str, str]:
        """Return pip's settings; ``place`` makes a path that was typed absolute."""
        settings: Dict[str, str] = {}
        for option, value in self.spelled(lambda path: written(place(path))).pairs:
            name = option[2:]
            if option == "--as-of":
                name, value = SETTING, cutoff(value)
            settings[name] = " ".join(filter(None, [settings.get(name), value or "1"]))
        return settings

    def spelled(self, spell: Callable[[str], str]) -> Options:
        """Return the same with each path as ``spell`` writes it."""
        pairs = ((o, spell(value) if _is_path(o, value) else value) for o, value in self.pairs)
        return Options(tuple(pairs))


def _is_path(option: str, value: str) -> bool:
    return option in _PLACES and "://" not in value


NONE = Options()


def add_options(parser: Parser) -> None:
    """Let a parser take these options."""
    for option, (text, arguments) in _OPTIONS.items():
        parser.add_argument(option, *_SHORT.get(option, ()), help=text, **arguments)


def authenticated(
    settings: Mapping[str, str], environment: Mapping[str, str] = os.environ
) -> Dict[str, str]:
    """Return settings with the secret that ``index-auth`` names put into the line's indexes.

    The secret is ``USER:PASSWORD``, or a token alone. `ColabMagicsError` where it is not set, or
    would go to more than one server, or where others can read it.
    """
    result = dict(settings)
    name = result.pop("index-auth", "")
    if not name:
        return result
    secret = environment.get(name)
    if not secret:
        raise ColabMagicsError(
            "The variable that --index-auth names is not set; the index was not asked.",
            "Set it first, to USER:PASSWORD or a token: %secret NAME",
            code="no-secret",
        )
    register_secret(secret)
    register_secret(secret.partition(":")[2])  # an index may answer with it alone
    login = quote(secret if ":" in secret else f"__token__:{secret}", safe=":")
    indexes = {name: result.get(name, "").split() for name in ("index-url", "extra-index-url")}
    _check_servers([url for urls in indexes.values() for url in urls])
    for name, urls in indexes.items():
        if urls:
            result[name] = " ".join(url.replace("://", f"://{login}@", 1) for url in urls)
    return result


def _check_servers(urls: Sequence[str]) -> None:
    """Raise `ColabMagicsError` unless these are plain addresses of one server that is safe.

    Plain: uv and pip read others differently, such as those with a backslash.
    """
    servers = set()
    for url in urls:
        match = _INDEX.fullmatch(url.lower())
        if match is None or (match["scheme"] == "http" and match["host"] not in _LOOPBACK):
            raise ColabMagicsError(
                "--index-auth needs plain https addresses of an index; no index was asked.",
                "Write https://HOST/PATH, and no folder beside it; http only on this machine.",
                code="unsafe-index",
            )
        port = int(match["port"] or {"https": 443}.get(match["scheme"], 80))
        servers.add((match["scheme"], match["host"], port))
    if len(servers) > 1:
        raise ColabMagicsError(
            "--index-auth would give the secret to two servers; no index was asked.",
            "Keep one index on the line; the other one goes into pip.conf or a line of its own.",
            code="unsafe-index",
        )

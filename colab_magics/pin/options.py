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
from .requirements import carries_secret, written

#: Option → (pip's name of the setting, whether it has a value, whether it may be given often).
_KNOWN: Dict[str, Tuple[str, bool, bool]] = {
    "--index-url": ("index-url", True, False),
    "--extra-index-url": ("extra-index-url", True, True),
    "--index-auth": ("index-auth", True, False),
    "--find-links": ("find-links", True, True),
    "--constraint": ("constraint", True, True),
    "--torch-backend": ("torch-backend", True, False),
    "--pre": ("pre", False, False),
    "--no-deps": ("no-deps", False, False),
}
_SHORT = {"--index-url": "-i", "--find-links": "-f", "--constraint": "-c"}
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
        """The options among what a parser with `add_options` has found."""
        pairs: List[Tuple[str, str]] = []
        for option, (_, has_value, _) in _KNOWN.items():
            found = getattr(parsed, option[2:].replace("-", "_"))
            values = found if isinstance(found, list) else [found] if found else []
            pairs += [(option, value if has_value else "") for value in dict.fromkeys(values)]
        return cls(tuple(pairs))

    @property
    def words(self) -> Tuple[str, ...]:
        """The words that say them on a line."""
        return tuple(word for pair in self.pairs for word in pair if word)

    @property
    def secret(self) -> bool:
        """Whether a URL holds a password, or a token may stand where its name belongs."""
        names = [value for option, value in self.pairs if option == "--index-auth"]
        return any(carries_secret(value) for _, value in self.pairs) or any(
            name not in os.environ for name in names
        )

    @property
    def paths(self) -> Tuple[str, ...]:
        """The values that are paths."""
        found = (value for option, value in self.pairs if option in _PLACES)
        return tuple(value for value in found if "://" not in value)

    def settings(self, place: Callable[[str], str]) -> Dict[str, str]:
        """Pip's settings; ``place`` makes a path that was typed absolute."""
        found: Dict[str, List[str]] = {}
        for option, value in self.pairs:
            value = written(place(value)) if option in _PLACES and "://" not in value else value
            found.setdefault(_KNOWN[option][0], []).append(value or "1")
        return {name: " ".join(values) for name, values in found.items()}

    def spelled(self, spell: Callable[[str], str]) -> Options:
        """The same with each path as it should be recorded."""
        return Options(
            tuple(
                (option, spell(value) if option in _PLACES and "://" not in value else value)
                for option, value in self.pairs
            )
        )


NONE = Options()


def add_options(parser: Parser) -> None:
    """Let a parser take these options."""
    for option, (_, has_value, often) in _KNOWN.items():
        names = [option, *([_SHORT[option]] if option in _SHORT else [])]
        if not has_value:
            parser.add_argument(*names, action="store_true")
        elif often:
            parser.add_argument(*names, action="append", default=[])
        else:
            parser.add_argument(*names)


def authenticated(
    settings: Mapping[str, str], environment: Mapping[str, str] = os.environ
) -> Dict[str, str]:
    """The settings with the secret that ``index-auth`` names put into the indexes of the line.

    The secret is ``USER:PASSWORD``, or a token alone. `ColabMagicsError` where it is not set, or
    would go to more than one server, or where others can read it.
    """
    found = dict(settings)
    name = found.pop("index-auth", "")
    if not name:
        return found
    secret = environment.get(name)
    if not secret:
        raise ColabMagicsError(
            "The variable that --index-auth names is not set; the index was not asked.",
            "Set it first, to USER:PASSWORD or a token: %secret NAME",
        )
    register_secret(secret)
    register_secret(secret.partition(":")[2])  # an index may answer with it alone
    urls = " ".join(found.get(name, "") for name in ("index-url", "extra-index-url")).split()
    _check_servers(urls)
    login = quote(secret if ":" in secret else f"__token__:{secret}", safe=":")
    for setting in ("index-url", "extra-index-url"):
        urls = [url.replace("://", f"://{login}@", 1) for url in found.get(setting, "").split()]
        found.update({setting: " ".join(urls)} if urls else {})
    return found


def _check_servers(urls: Sequence[str]) -> None:
    """`ColabMagicsError` unless these are plain addresses of one server that is safe to log in to.

    Plain: uv and pip read others differently, such as those with a backslash.
    """
    servers = set()
    for url in urls:
        found = _INDEX.fullmatch(url.lower())
        if found is None or (found["scheme"] == "http" and found["host"] not in _LOOPBACK):
            raise ColabMagicsError(
                "--index-auth needs plain https addresses of an index; no index was asked.",
                "Write https://HOST/PATH, and no folder beside it; http only on this machine.",
            )
        port = int(found["port"] or {"https": 443}.get(found["scheme"], 80))
        servers.add((found["scheme"], found["host"], port))
    if len(servers) > 1:
        raise ColabMagicsError(
            "--index-auth would give the secret to two servers; no index was asked.",
            "Keep one index on the line; the other one goes into pip.conf or a line of its own.",
        )

"""What a line of a setup cell would do, told before it does it: data, never a message.

A URL is read as whoever carries it out may read it: where two readers differ, each server counts.
Sources: RFC 3986, "Authority"; UTS #46, by which ``requests`` and uv write a host in ASCII.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Callable, Iterable, List, Literal, Tuple
from urllib.parse import unquote

from .controls import visible
from .errors import ColabMagicsError
from .host import Host
from .redact import redact

#: What is rare and dangerous: something over a connection that others can change, an index that is
#: not this machine's, a secret for a server that is no known service, an archive over a repository,
#: and what decides whether this user is asked.
DangerCode = Literal["plain-http", "other-index", "secret-to-host", "into-repository", "trust"]

#: Where each service that lines have words for is, and where its answers lead.
SERVICES = {
    "github.com": ("codeload.github.com", "raw.githubusercontent.com"),
    "huggingface.co": ("cdn-lfs.huggingface.co", "cas-bridge.xethub.hf.co"),
    "drive.google.com": ("drive.usercontent.google.com",),
    "www.kaggle.com": ("storage.googleapis.com",),
    "zenodo.org": (),
    "pypi.org": ("files.pythonhosted.org",),
    "download.pytorch.org": (),
}
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")
_AUTHORITY = re.compile(r"([a-z][a-z0-9+.-]*):[/\\]{2}([^/?#]*)", re.I)
#: ``git@host:path``.
_SCP = re.compile(r"[\w.-]+@([\w.-]+):")
_PORTS = {"http": ":80", "https": ":443", "ftp": ":21", "ssh": ":22"}
_PLAIN = {"http", "git+http", "ftp", "git", "git+git"}


@dataclass(frozen=True, order=True)
class Danger:
    """What is rare and dangerous about a line; ``subject`` is the server or the place."""

    code: DangerCode
    subject: str


@dataclass(frozen=True)
class Effects:
    """What a line would do.

    ``installs`` are packages as the line has them; ``indexes`` where they are looked for; ``hosts``
    the servers that are contacted, in ASCII, with a port that is not the usual one; ``redirects``
    those of them that may send on to others which nobody knows before; ``secrets`` names;
    ``variables`` those of the environment that are set; ``writes`` places outside the working
    directory, and hidden ones in it; ``unknown`` is what cannot be known before, such as a file
    that is not there yet.
    """

    installs: Tuple[str, ...] = ()
    indexes: Tuple[str, ...] = ()
    hosts: Tuple[str, ...] = ()
    redirects: Tuple[str, ...] = ()
    secrets: Tuple[str, ...] = ()
    variables: Tuple[str, ...] = ()
    writes: Tuple[str, ...] = ()
    unknown: Tuple[str, ...] = ()
    dangers: Tuple[Danger, ...] = ()

    def without(self, others: Effects) -> Effects:
        """Return what is not among other effects."""
        return Effects(
            *(
                tuple(x for x in getattr(self, each.name) if x not in getattr(others, each.name))
                for each in fields(self)
            )
        )


def join(effects: Iterable[Effects]) -> Effects:
    """Return the effects of several lines, each once."""
    every = list(effects)
    columns = ([x for each in every for x in getattr(each, f.name)] for f in fields(Effects))
    return Effects(*(tuple(dict.fromkeys(column)) for column in columns))


# ---------------------------------------------------------------------- servers
def read_hosts(url: str) -> Tuple[str, ...]:
    """Return the server that a URL names, and any other that it may be read as; none: no server."""
    match = _AUTHORITY.match(url)
    if match is None:
        scp = _SCP.match(url)
        return (scp[1].lower(),) if scp else ()
    scheme, authority = match[1].lower().rpartition("+")[2], match[2]
    texts = re.split(r"[@\\]", authority) if "\\" in authority else [authority.rpartition("@")[2]]
    return tuple(dict.fromkeys(_in_ascii(text, _PORTS.get(scheme, "")) for text in texts if text))


def _in_ascii(text: str, usual_port: str) -> str:
    text = unquote(text)
    host, port = re.fullmatch(r"(.*?)(:\d*)?", text, re.S).groups()  # type: ignore[union-attr]
    if not host.isascii():
        import idna

        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError:  # no program can ask it
            host = host.encode("unicode_escape").decode()
    port = "" if port in (None, ":", usual_port) else port
    return visible(f"{host.lower()}{port}", allow="")


def is_plain(url: str) -> bool:
    """Tell whether others can change what comes from a URL; this machine's own servers excepted."""
    match = _AUTHORITY.match(url)
    return bool(match and match[1].lower() in _PLAIN and not _LOOPBACK.fullmatch(match[2].lower()))


def contact(url: str, secrets: Iterable[str] = ()) -> Effects:
    """Return the effects of asking a server, with secrets of these names."""
    hosts, names = read_hosts(url), tuple(secrets)
    known = [target for host in hosts for target in SERVICES.get(host, ())]
    others = tuple(host for host in hosts if host not in SERVICES)
    dangers: List[Danger] = [Danger("plain-http", host) for host in hosts if is_plain(url)]
    local = not is_plain(url) and all(map(_LOOPBACK.fullmatch, hosts))
    dangers += [Danger("secret-to-host", host) for host in others if names and not local]
    return Effects(hosts=(*hosts, *known), redirects=hosts, secrets=names, dangers=tuple(dangers))


def read_urls(text: str) -> Tuple[str, ...]:
    """Return the URLs in a text, such as a variable's value."""
    return tuple(re.findall(r"[a-z][a-z0-9+.-]*:[/\\]{2}[^\s\"',;]+", text, re.I))


# ---------------------------------------------------------------------- places
def write(host: Host, find_place: Callable[[], Path], label: str, tree: bool = False) -> Effects:
    """Return the effects of writing a file, or with ``tree`` files of any name below a folder.

    ``label`` names a place on a drive that is not mounted yet.
    """
    try:
        place = find_place()
    except ColabMagicsError:
        return Effects(writes=(label,))
    real = Path(os.path.realpath(place))
    dangers = tuple(
        Danger("trust", spell_outside(host, real) or label)
        for key in _list_guarded_places(host)
        if real == key or (tree and real in key.parents)
    )
    spelled = spell_outside(host, real)
    return Effects(writes=(spelled,) if spelled else (), dangers=dangers)


def spell_outside(host: Host, place: Path) -> str:
    """Return a place as the card shows it; empty for one in the working directory, not hidden."""
    start = Path(os.path.realpath(host.start))
    if place == start or start in place.parents:
        relative = place.relative_to(start)
        if not any(part.startswith(".") for part in relative.parts):
            return ""
    for prefix, root in (("drive:", host.places["drive"]()), ("~/", Path.home())):
        base = Path(os.path.realpath(root)) if root is not None else None
        if base is not None and (place == base or base in place.parents):
            return prefix + place.relative_to(base).as_posix() * (place != base)
    return str(place)


def _list_guarded_places(host: Host) -> List[Path]:
    """Return where keys may be by which a user's own lines are known; see ``setup/signature.py``.

    What writes there could pass for this user.
    """
    drive = host.places["drive"]()
    places = [host.trust_key, drive / "colab_magics/trust.key" if drive else None]
    return [Path(os.path.realpath(place)) for place in places if place is not None]


def clean_text(text: str) -> str:
    """Return a text of a line as the card shows it: without secrets, in one row."""
    return visible(redact(text), allow="")

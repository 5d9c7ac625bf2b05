"""What a kind of URL makes of what was typed: where the bytes are, and what they are called."""

import re
from pathlib import Path
from typing import IO, Any, Callable, List, NamedTuple, Optional, Tuple
from urllib.parse import unquote

from ..core.controls import clean_name
from ..core.host import Host


#: Bytes that come from elsewhere than the web, and how many (-1: not known).
Stream = Tuple[IO[bytes], int]

_LONGEST = 200
#: This machine, to which nobody listens.
_OWN = r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|$)"
#: What Windows gives another meaning.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.I)


class Request(NamedTuple):
    """One file.

    ``typed`` names it in a line, where a URL stands for several. ``login`` gives a name and a
    password for this server, if it has them. ``page`` reads an HTML page that comes instead of
    the file, with its address, and gives the file's own address, or raises. ``opened`` gives the
    bytes of what is not on the web.
    """

    url: str
    name: str = ""
    typed: str = ""
    md5: str = ""
    login: Callable[[], Optional[Tuple[str, str]]] = lambda: None
    page: Optional[Callable[[str, str], str]] = None
    opened: Optional[Callable[[Host], Stream]] = None


class Source(NamedTuple):
    """What a URL means: one file, or what a ``listing`` (JSON, at this address) is ``read`` as.

    ``name`` is what the file is called as far as the URL says.
    """

    name: str
    request: Request = Request("")
    listing: str = ""
    read: Callable[[Any], List[Request]] = lambda found: []
    several: bool = False


def exposed(url: str) -> bool:
    """Whether others can read what is sent there."""
    return url.lower().startswith("http://") and not re.match(_OWN, url, re.I)


def file_name(text: str) -> str:
    """A name that a server gave, as the name of a file in a folder; empty where none is left.

    It hides from nobody, is no option and no home, and IPython expands nothing in it.
    """
    name = _tidy(re.sub(r"[${}]", "_", clean_name(re.split(r"[/\\]", text)[-1])))
    return f"_{name}" if name.startswith(("-", "~")) else name


def _tidy(name: str) -> str:
    """A name that any system takes."""
    name = re.sub(r'[<>:"|?*]', "_", name).strip().rstrip(". ")
    name = f"_{name}" if _DEVICE.fullmatch(name) else name
    if len(name.encode("utf-8", "replace")) > _LONGEST:
        stem, suffix = Path(name).stem, Path(name).suffix[:20]
        name = stem.encode("utf-8", "replace")[: _LONGEST - 20].decode("utf-8", "ignore") + suffix
    return name


def last_part(path: str) -> str:
    """The name of a file at the end of a URL's path, which whoever typed it chose."""
    name = re.split(r"[/\\]", unquote(path).rstrip("/"))[-1]
    hidden = "." * name.startswith(".")
    return _tidy(hidden + clean_name(name) if clean_name(name) else "")

"""The kinds of URLs: each a function that says where the file is that was typed, and its name.

Sources: huggingface.co/docs/hub, "Downloading models" (``/resolve/``) and ``HF_ENDPOINT`` of
huggingface_hub; Kaggle's documentation of its public API; developers.zenodo.org, "Records".
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Callable, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ..core import secret_scan
from ..core.controls import clean_name
from ..core.errors import SourceError, bad_input, usage_error
from ..core.host import Host
from ..core.redact import redact_secrets, register_secret
from ..core.registry import load

#: What fsspec is given: file systems of plain files. Others run what a server says (``reference``),
#: or stand on another one.
_OTHERS = ("s3", "gs", "az", "ftp", "sftp", "file")
#: What a URL begins with → the function that reads it; the first that fits.
KINDS = {
    "https://drive.google.com/": "colab_magics.fetch.google_drive:shared",
    "https://docs.google.com/": "colab_magics.fetch.google_drive:shared",
    "https://": "colab_magics.fetch.urls:web",
    "http://": "colab_magics.fetch.urls:web",
    "hf://": "colab_magics.fetch.urls:hugging_face",
    "kaggle://": "colab_magics.fetch.urls:kaggle",
    "zenodo:": "colab_magics.fetch.urls:zenodo",
    "drive:": "colab_magics.fetch.urls:mounted",
    **{f"{scheme}://": "colab_magics.fetch.urls:other" for scheme in _OTHERS},
}
#: Where the services are; Hugging Face's own programs read ``HF_ENDPOINT`` too.
BASES = {
    "google": "https://drive.google.com",
    "hugging face": "https://huggingface.co",
    "kaggle": "https://www.kaggle.com",
    "zenodo": "https://zenodo.org",
}
#: Pages that show a file, as people copy them out of a browser → the file.
_SHOWN = (
    (r"^(https://github\.com/[^/]+/[^/]+)/blob/", r"\1/raw/"),
    (r"^(https://huggingface\.co/.+?)/blob/", r"\1/resolve/"),
    (r"^(https://www\.dropbox\.com/.+[?&])dl=0\b", r"\1dl=1"),
)
_HF = re.compile(r"hf://((?:datasets|spaces)/)?([\w.-]+/[\w.-]+?)(?:@([^/]+))?/(.+)")
_KAGGLE = re.compile(r"kaggle://(?:datasets/)?([\w.-]+/[\w.-]+)(?:/(.+))?")
_ZENODO = re.compile(r"zenodo:(?:10\.5281/zenodo\.)?(\d+)(?:/(.+))?")
_LONGEST = 200
#: This machine, to which nobody listens.
_OWN = r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|$)"
#: What Windows gives another meaning.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.I)
#: Bytes that come from elsewhere than the web, and how many (-1: not known).
Stream = Tuple[IO[bytes], int]


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


def is_url(text: str) -> bool:
    """Whether a word names something to fetch."""
    return re.match(r"(?:[a-z][a-z0-9+.-]*://|zenodo:|drive:)", text, re.I) is not None


def source(text: str) -> Source:
    """What a URL means; ``UsageError`` where it means nothing, or holds a secret."""
    _no_secret(text)
    kind = next((kind for kind in KINDS if text.lower().startswith(kind)), "")
    if not kind:
        raise usage_error(
            f"%fetch: {text.partition(':')[0]}: is nothing that can be fetched.",
            f"What can: {', '.join(dict.fromkeys(kind.partition(':')[0] for kind in KINDS))}",
        )
    function: Callable[[str], Source] = load(KINDS[kind])
    return function(text)


def web(text: str) -> Source:
    """``https://host/path/file.bin``."""
    try:
        parts = urlsplit(text)
        bad = not parts.hostname or parts.port == 0
    except ValueError:
        bad = True
    if bad:
        raise usage_error(f"%fetch: {text} is no address.", "Such as: https://host/data.zip")
    name = last_part(parts.path) or str(parts.hostname)
    for shown, file in _SHOWN:
        text = re.sub(shown, file, text)
    return Source(name, Request(text, name))


def hugging_face(text: str) -> Source:
    """``hf://OWNER/REPO[@REVISION]/PATH``, with ``datasets/`` or ``spaces/`` in front."""
    found = _HF.fullmatch(text)
    if found is None:
        raise usage_error(
            f"%fetch: {text} names no file.", "Such as: hf://datasets/owner/name@main/train.csv"
        )
    kind, repository, revision, path = found.groups()
    base = os.environ.get("HF_ENDPOINT", "").rstrip("/") or BASES["hugging face"]
    at = quote(unquote(revision or "main"), safe="")
    url = f"{base}/{kind or ''}{repository}/resolve/{at}/{quote(unquote(path))}"
    return Source(last_part(path), Request(url, last_part(path)))


def kaggle(text: str) -> Source:
    """``kaggle://OWNER/DATASET[/FILE]``; the whole of it is a ``.zip``."""
    found = _KAGGLE.fullmatch(text)
    if found is None:
        raise usage_error(
            f"%fetch: {text} names no dataset.", "Such as: kaggle://owner/dataset/train.csv"
        )
    dataset, path = found.groups()
    url = f"{BASES['kaggle']}/api/v1/datasets/download/{dataset}"
    url += f"/{quote(unquote(path), safe='')}" if path else ""
    name = last_part(path or f"{dataset}.zip")
    return Source(name, Request(url, name, login=_kaggle_login))


def zenodo(text: str) -> Source:
    """``zenodo:RECORD[/FILE]``; without a file, all of the record."""
    found = _ZENODO.fullmatch(text)
    if found is None:
        raise usage_error(f"%fetch: {text} names no record.", "Such as: zenodo:1234567/data.zip")
    record, path = found[1], unquote(found[2] or "")

    def read(answer: Any) -> List[Request]:
        try:
            found = _listed(answer, record)
        except (AttributeError, KeyError, TypeError):
            raise SourceError(
                f"Zenodo does not say what is in {record}.", "Look at the record in a browser."
            ) from None
        named = f"zenodo:{record}/{quote(path)}"
        return [one for one in found if not path or one.typed == named]

    listing = f"{BASES['zenodo']}/api/records/{record}"
    name = last_part(path) if path else f"zenodo-{record}"
    return Source(name, Request(""), listing, read, several=not path)


def _listed(answer: Any, record: str) -> List[Request]:
    """The files of a record, as Zenodo lists them."""
    found: List[Request] = []
    for file in answer.get("files") or ():
        key, (kind, _, value) = str(file["key"]), str(file.get("checksum", "")).partition(":")
        url = f"{BASES['zenodo']}/api/records/{record}/files/{quote(key, safe='')}/content"
        typed = f"zenodo:{record}/{quote(key)}"
        md5, name = value if kind == "md5" else "", file_name(key)
        if not name:
            raise KeyError(key)
        found.append(Request(url, name, typed, md5))
    return found


def _kaggle_login() -> Optional[Tuple[str, str]]:
    """As Kaggle's own program: variables of the environment, else the file that it gives out."""
    known: Dict[str, Any] = {}
    folder = os.environ.get("KAGGLE_CONFIG_DIR") or str(Path.home() / ".kaggle")
    with suppress(OSError, ValueError, TypeError):
        known = dict(json.loads((Path(folder) / "kaggle.json").read_text(encoding="utf-8")))
    user = os.environ.get("KAGGLE_USERNAME") or known.get("username")
    key = os.environ.get("KAGGLE_KEY") or known.get("key")
    if not user or not key:
        return None
    register_secret(str(key))
    return str(user), str(key)


# ---------------------------------------------------------------------- elsewhere than on the web
def mounted(text: str) -> Source:
    """``drive:folder/file``, from the drive wherever it is mounted."""
    path = re.sub(r"%(24|7[BbDd])", lambda found: chr(int(found[1], 16)), text)

    def opened(host: Host) -> Stream:
        place: Path = host.resolve(path)
        try:
            return place.open("rb"), place.stat().st_size
        except IsADirectoryError:
            raise SourceError(f"{path} is a folder.", "Name a file of it.") from None
        except OSError as error:
            raise SourceError(
                f"{path} cannot be read: {error.strerror}.",
                "Check the path; %drive says how the drive stands.",
            ) from None

    name = path.rstrip("/").replace("\\", "/").rpartition("/")[2].rpartition(":")[2] or "drive"
    return Source(name, Request(text, name, opened=opened))


def other(text: str) -> Source:
    """``s3://bucket/file``, ``gs://…``, ``ftp://…``: one file system of fsspec's, over no other."""
    scheme, _, place = text.partition("://")
    scheme = scheme.lower()
    if "::" in place:  # which fsspec reads as one file system over another
        raise usage_error("%fetch: that URL holds two colons in a row.", "Name the file alone.")

    def opened(host: Host) -> Stream:
        try:
            import fsspec
        except ImportError:
            raise SourceError(
                f"{scheme}:// needs fsspec, which is not installed.",
                "Install it: %pin colab-magics[fetch]",
            ) from None
        try:
            stream: Any = fsspec.open(f"{scheme}://{place}", "rb").open()
            return stream, int(getattr(stream, "size", None) or -1)
        except bad_input():
            raise
        except Exception as error:  # each file system has errors of its own
            raise _failed(scheme, error) from None

    name = last_part(place.partition("?")[0])
    return Source(name or scheme, Request(text, name, opened=opened))


def _failed(scheme: str, error: Exception) -> SourceError:
    """Why fsspec did not open it, in a line."""
    said = redact_secrets(" ".join(str(error).split())[:200])
    if isinstance(error, ImportError):
        return SourceError(
            f"{scheme}:// needs a package that is not installed: {said}", "Pin it, and run this."
        )
    if isinstance(error, FileNotFoundError):
        return SourceError("There is no such file there.", "Check the URL.")
    return SourceError(
        f"{scheme}:// cannot be read: {type(error).__name__}.", "Check the URL.", said
    )


# ---------------------------------------------------------------------- secrets
def exposed(url: str) -> bool:
    """Whether others can read what is sent there."""
    return url.lower().startswith("http://") and not re.match(_OWN, url, re.I)


def _no_secret(text: str) -> None:
    """Refuse a URL in which a password or a token stands, without showing it."""
    try:
        parts = urlsplit(text)
        password, query = parts.password, parse_qsl(parts.query)
        plain = parts.scheme in ("http", "https") and password is None
        named = parts.username if plain else None  # elsewhere it is just a name
    except ValueError:
        return  # no address at all, which is said elsewhere
    values = [value for name, value in query if secret_scan.looks_secret(_plain(name), value)]
    values += [one for one in (password, named) if one]
    if not values and not secret_scan.find(unquote(text)):
        return
    for value in (*values, *(() if values else (text,))):
        register_secret(value)
    raise usage_error(
        "%fetch: that URL holds a password or token; take it out of the cell.",
        "Keep it: %secret set NAME, and name it: --token NAME",
    )


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name)


# ---------------------------------------------------------------------- names of files
def file_name(text: str) -> str:
    """A name that a server gave, as the name of a file in a folder; empty where none is left.

    It hides from nobody, is no option and no home, and IPython expands nothing in it.
    """
    name = _tidy(re.sub(r"[${}]", "_", clean_name(re.split(r"[/\\]", text)[-1])))
    return f"_{name}" if name.startswith(("-", "~")) else name


def last_part(path: str) -> str:
    """The name of a file at the end of a URL's path, which whoever typed it chose."""
    name = re.split(r"[/\\]", unquote(path).rstrip("/"))[-1]
    hidden = "." * name.startswith(".")
    return _tidy(hidden + clean_name(name) if clean_name(name) else "")


def _tidy(name: str) -> str:
    """A name that any system takes."""
    name = re.sub(r'[<>:"|?*]', "_", name).strip().rstrip(". ")
    name = f"_{name}" if _DEVICE.fullmatch(name) else name
    if len(name.encode("utf-8", "replace")) > _LONGEST:
        stem, suffix = Path(name).stem, Path(name).suffix[:20]
        name = stem.encode("utf-8", "replace")[: _LONGEST - 20].decode("utf-8", "ignore") + suffix
    return name

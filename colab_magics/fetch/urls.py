"""The kinds of URLs: each has a function that returns where its file is, and the file's name.

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
from ..core.arguments import find_meant
from ..core.controls import clean_name
from ..core.errors import SourceError, input_errors, usage_error
from ..core.host import Host
from ..core.redact import redact_secrets, register_secret
from ..core.registry import load

#: Schemes for fsspec: file systems of plain files. Its others run what a server says
#: (``reference``), or are above another one.
_FSSPEC = ("s3", "gs", "az", "ftp", "sftp", "file")
#: Beginning of a URL -> the function that reads it; the first that fits.
KINDS = {
    "https://drive.google.com/": "colab_magics.fetch.google_drive:shared_file",
    "https://docs.google.com/": "colab_magics.fetch.google_drive:shared_file",
    "https://": "colab_magics.fetch.urls:web_file",
    "http://": "colab_magics.fetch.urls:web_file",
    "hf://": "colab_magics.fetch.urls:hugging_face_file",
    "kaggle://": "colab_magics.fetch.urls:kaggle_file",
    "zenodo:": "colab_magics.fetch.urls:zenodo_files",
    "drive:": "colab_magics.fetch.urls:drive_file",
    **{f"{scheme}://": "colab_magics.fetch.urls:fsspec_file" for scheme in _FSSPEC},
}
#: Where the services are; Hugging Face's own programs read ``HF_ENDPOINT`` too.
BASES = {
    "google": "https://drive.google.com",
    "hugging face": "https://huggingface.co",
    "kaggle": "https://www.kaggle.com",
    "zenodo": "https://zenodo.org",
}
#: Addresses of pages that show a file, as people copy them from a browser -> the file.
_PAGES = (
    (r"^(https://github\.com/[^/]+/[^/]+)/blob/", r"\1/raw/"),
    (r"^(https://huggingface\.co/.+?)/blob/", r"\1/resolve/"),
    (r"^(https://www\.dropbox\.com/.+[?&])dl=0\b", r"\1dl=1"),
)
#: The longest name of a file, in bytes.
_LONGEST = 200
#: This machine, where nobody can read what is sent.
_LOOPBACK = r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|$)"
#: Names that Windows reads as devices.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.I)


class Request(NamedTuple):
    """What a URL means: one file, or with a ``listing`` the files that ``read`` finds in it.

    ``typed`` names one of ``several`` files in a line. ``login`` returns a name and a password for
    this server, if there are any. ``page`` reads an HTML page that comes instead of the file, and
    its address, and returns the file's own address, or raises. ``open`` returns the bytes of what
    is not on the web, and how many they are (-1: unknown). ``listing`` is the address of JSON.
    """

    url: str
    name: str = ""
    typed: str = ""
    md5: str = ""
    login: Callable[[], Optional[Tuple[str, str]]] = lambda: None
    page: Optional[Callable[[str, str], str]] = None
    open: Optional[Callable[[Host], Tuple[IO[bytes], int]]] = None
    listing: str = ""
    read: Callable[[Any], List[Any]] = lambda answer: []
    several: bool = False


def is_url(text: str) -> bool:
    """Tell whether a word names something to fetch."""
    return re.match(r"(?:[a-z][a-z0-9+.-]*://|zenodo:|drive:)", text, re.I) is not None


def read_url(text: str) -> Request:
    """Return what a URL means; ``UsageError`` if it means nothing, or holds a secret."""
    _refuse_secret(text)
    kind = next((kind for kind in KINDS if text.lower().startswith(kind)), "")
    if not kind:
        schemes = [*dict.fromkeys(kind.partition(":")[0] for kind in KINDS)]
        scheme, hint = text.partition(":")[0], f"Supported: {', '.join(schemes)}"
        slip, message = find_meant(scheme, schemes), f"%fetch: {scheme}: is not supported."
        raise usage_error(message, hint, code="unknown-scheme", slip=slip)
    function: Callable[[str], Request] = load(KINDS[kind])
    return function(text)


def _bad_url(text: str, missing: str, example: str) -> Exception:
    return usage_error(f"%fetch: {text} {missing}.", f"For example: {example}", code="bad-url")


def web_file(text: str) -> Request:
    """Read ``https://host/path/file.bin``."""
    try:
        parts = urlsplit(text)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise _bad_url(text, "is not a valid address", "https://host/data.zip")
    name = last_part(parts.path) or str(parts.hostname)
    for page, file in _PAGES:
        text = re.sub(page, file, text)
    return Request(text, name)


def hugging_face_file(text: str) -> Request:
    """Read ``hf://OWNER/REPO[@REVISION]/PATH``, with ``datasets/`` or ``spaces/`` in front."""
    match = re.fullmatch(r"hf://((?:datasets|spaces)/)?([\w.-]+/[\w.-]+?)(?:@([^/]+))?/(.+)", text)
    if match is None:
        raise _bad_url(text, "names no file", "hf://datasets/owner/name@main/train.csv")
    kind, repository, revision, path = match.groups()
    base = os.environ.get("HF_ENDPOINT", "").rstrip("/") or BASES["hugging face"]
    at = quote(unquote(revision or "main"), safe="")
    url = f"{base}/{kind or ''}{repository}/resolve/{at}/{quote(unquote(path))}"
    return Request(url, last_part(path))


def kaggle_file(text: str) -> Request:
    """Read ``kaggle://OWNER/DATASET[/FILE]``; a whole dataset is a ``.zip``."""
    match = re.fullmatch(r"kaggle://(?:datasets/)?([\w.-]+/[\w.-]+)(?:/(.+))?", text)
    if match is None:
        raise _bad_url(text, "names no dataset", "kaggle://owner/dataset/train.csv")
    dataset, path = match.groups()
    url = f"{BASES['kaggle']}/api/v1/datasets/download/{dataset}"
    url += f"/{quote(unquote(path), safe='')}" if path else ""
    name = last_part(path or f"{dataset}.zip")
    return Request(url, name, login=_kaggle_login)


def _kaggle_login() -> Optional[Tuple[str, str]]:
    """Return name and key as Kaggle's own program reads them: from the environment or its file."""
    saved: Dict[str, Any] = {}
    folder = os.environ.get("KAGGLE_CONFIG_DIR") or str(Path.home() / ".kaggle")
    with suppress(OSError, ValueError, TypeError):
        saved = dict(json.loads((Path(folder) / "kaggle.json").read_text(encoding="utf-8")))
    user = os.environ.get("KAGGLE_USERNAME") or saved.get("username")
    key = os.environ.get("KAGGLE_KEY") or saved.get("key")
    if not user or not key:
        return None
    register_secret(str(key))
    return str(user), str(key)


def zenodo_files(text: str) -> Request:
    """Read ``zenodo:RECORD[/FILE]``; without a file it means all of the record."""
    match = re.fullmatch(r"zenodo:(?:10\.5281/zenodo\.)?(\d+)(?:/(.+))?", text)
    if match is None:
        raise _bad_url(text, "names no record", "zenodo:1234567/data.zip")
    record, path = match[1], unquote(match[2] or "")
    listing = f"{BASES['zenodo']}/api/records/{record}"

    def read(answer: Any) -> List[Request]:
        requests: List[Request] = []
        try:
            for file in answer.get("files") or ():
                key = str(file["key"])
                kind, _, value = str(file.get("checksum", "")).partition(":")
                url = f"{listing}/files/{quote(key, safe='')}/content"
                typed, md5 = f"zenodo:{record}/{quote(key)}", value if kind == "md5" else ""
                if not file_name(key):
                    raise KeyError(key)
                if path in ("", key):
                    requests.append(Request(url, file_name(key), typed, md5))
        except (AttributeError, KeyError, TypeError):
            message = f"Zenodo does not list the files of record {record}."
            raise SourceError(message, "Open the record in a browser.", code="bad-answer") from None
        return requests

    name = last_part(path) if path else f"zenodo-{record}"
    return Request("", name, listing=listing, read=read, several=not path)


# ---------------------------------------------------------------------- elsewhere than on the web
def drive_file(text: str) -> Request:
    """Read ``drive:folder/file``, on the drive wherever it is mounted."""
    path = re.sub(r"%(24|7[BbDd])", lambda match: chr(int(match[1], 16)), text)

    def open_file(host: Host) -> Tuple[IO[bytes], int]:
        place: Path = host.resolve(path)
        try:
            return place.open("rb"), place.stat().st_size
        except OSError as error:
            message = f"{path} cannot be read: {error.strerror}."
            hint = "Check the path. %drive shows the state of the drive."
            raise SourceError(message, hint, code="unreadable") from None

    name = path.rstrip("/").replace("\\", "/").rpartition("/")[2].rpartition(":")[2] or "drive"
    return Request(text, name, open=open_file)


def fsspec_file(text: str) -> Request:
    """Read ``s3://bucket/file``, ``gs://...``, ``ftp://...``: one file system of fsspec alone."""
    scheme, _, place = text.partition("://")
    scheme = scheme.lower()
    if "::" in place:  # which fsspec reads as one file system over another
        message = "%fetch: this URL has two colons in a row."
        raise usage_error(message, "Name the file alone.", code="bad-url")
    name = last_part(place.partition("?")[0]) or scheme
    return Request(text, name, open=lambda host: _open_fsspec(scheme, place))


def _open_fsspec(scheme: str, place: str) -> Tuple[IO[bytes], int]:
    try:
        import fsspec
    except ImportError:
        message = f"{scheme}:// needs fsspec, which is not installed."
        hint = "Install it: %pin fsspec"
        raise SourceError(message, hint, code="program-missing") from None
    try:
        stream: Any = fsspec.open(f"{scheme}://{place}", "rb").open()
        return stream, int(getattr(stream, "size", None) or -1)
    except input_errors():
        raise
    except Exception as error:  # each file system has errors of its own
        message = f"{scheme}:// cannot be read: {type(error).__name__}."
        hint = "Check the URL, and that the package for it is installed."
        details = redact_secrets(" ".join(str(error).split())[:200])
        raise SourceError(message, hint, details, code="unreadable") from None


# ---------------------------------------------------------------------- secrets
def others_can_read(url: str) -> bool:
    """Tell whether others can read what is sent to a URL."""
    return url.lower().startswith("http://") and not re.match(_LOOPBACK, url, re.I)


def _refuse_secret(text: str) -> None:
    """Refuse a URL that holds a password or a token, without showing it."""
    try:
        parts = urlsplit(text)
        password, query = parts.password, parse_qsl(parts.query)
    except ValueError:
        return  # it is no address, which is reported elsewhere
    values = [value for name, value in query if _looks_secret(name, value)]
    if password is not None:
        values.append(password)
    elif parts.scheme in ("http", "https") and parts.username:  # elsewhere it is just a name
        values.append(parts.username)
    if not any(values) and not secret_scan.find(unquote(text)):
        return
    for value in values or [text]:
        register_secret(value)
    message = "%fetch: this URL contains a password or token. Remove it from the cell."
    hint = "Store it: %secret set NAME, then use --token NAME"
    raise usage_error(message, hint, code="secret-in-line")


def _looks_secret(name: str, value: str) -> bool:
    return secret_scan.looks_secret(re.sub(r"\W", "_", name), value)


# ---------------------------------------------------------------------- names of files
def file_name(text: str) -> str:
    """Return a name from a server as the name of a file in a folder; empty if none is left.

    It is not hidden, no option and no home, and IPython expands nothing in it.
    """
    name = _portable(re.sub(r"[${}]", "_", clean_name(re.split(r"[/\\]", text)[-1])))
    return f"_{name}" if name.startswith(("-", "~")) else name


def last_part(path: str) -> str:
    """Return the name of a file at the end of a URL's path, which the user has typed."""
    name = re.split(r"[/\\]", unquote(path).rstrip("/"))[-1]
    hidden = "." * name.startswith(".")
    return _portable(hidden + clean_name(name) if clean_name(name) else "")


def _portable(name: str) -> str:
    """Return a name that every system allows."""
    name = re.sub(r'[<>:"|?*]', "_", name).strip().rstrip(". ")
    name = f"_{name}" if _DEVICE.fullmatch(name) else name
    if len(name.encode("utf-8", "replace")) > _LONGEST:
        stem, suffix = Path(name).stem, Path(name).suffix[:20]
        name = stem.encode("utf-8", "replace")[: _LONGEST - 20].decode("utf-8", "ignore") + suffix
    return name

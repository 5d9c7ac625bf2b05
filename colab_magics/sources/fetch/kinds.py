"""Kinds of addresses: what each is short for. A new one is a function and a line in `KINDS`."""

import json
import os
import re
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, NamedTuple, Optional
from urllib.parse import parse_qs, quote, unquote, urlsplit

from ...errors import SourceError, hide, usage_error
from ...host import Host
from ...registry import load
from .names import clean, file_name

__all__ = ["BASES", "KINDS", "PATIENCE", "Source", "is_address", "query", "source_of"]

#: Where the services are; a test, or a mirror, puts others here.
BASES = {
    "google": "https://drive.usercontent.google.com",
    "kaggle": "https://www.kaggle.com",
    "zenodo": "https://zenodo.org",
    "hf": "https://huggingface.co",
}

#: How an address begins → what makes a `Source` of it; the first that fits is taken.
KINDS = {
    r"https?://(drive|docs)\.google\.com/": "colab_magics.sources.fetch.google:source",
    r"https?://(www\.)?huggingface\.co/.+/blob/": "colab_magics.sources.fetch.kinds:_hf_page",
    r"https?://github\.com/[^/]+/[^/]+/blob/": "colab_magics.sources.fetch.kinds:_github_page",
    r"https?://(www\.)?zenodo\.org/records?/": "colab_magics.sources.fetch.kinds:_zenodo",
    r"https?://": "colab_magics.sources.fetch.kinds:_plain",
    r"hf://": "colab_magics.sources.fetch.kinds:_hf",
    r"kaggle://": "colab_magics.sources.fetch.kinds:_kaggle",
    r"zenodo:": "colab_magics.sources.fetch.kinds:_zenodo",
    r"drive:": "colab_magics.sources.fetch.kinds:_drive",
    r"[a-z][a-z0-9+.-]*://": "colab_magics.sources.fetch.kinds:_other",
}

#: Seconds to connect, and for the next bytes.
PATIENCE = (10, 60)


class Source(NamedTuple):
    """Where the bytes of an address are."""

    url: str = ""
    #: What the file is called; empty where only the server knows.
    name: str = ""
    headers: Dict[str, str] = {}
    #: What to do where the server lets nobody in.
    login: str = "With a token: %secret set NAME, and --token NAME behind this line."
    #: What the service says of it: ``md5:...``.
    checksum: str = ""
    #: The address that a page stands before, given that page; `SourceError` where it is no such.
    behind: Optional[Callable[[str], str]] = None
    #: Opens what is not asked for by http.
    open: Optional[Callable[[], BinaryIO]] = None


def is_address(word: str) -> bool:
    """Whether a word names something to fetch."""
    return any(re.match(start, word, re.I) for start in KINDS)


def source_of(address: str, host: Host) -> Source:
    """Where to get it; `SourceError` or ``UsageError`` where that cannot be said."""
    for start, target in KINDS.items():
        if re.match(start, address, re.I):
            found: Source = load(target)(address, host)
            return found
    raise usage_error(f"%fetch: {address} is no address.", "Such as: https://host/data.csv")


def _plain(address: str, host: Host) -> Source:
    return Source(address, file_name(address))


def _github_page(address: str, host: Host) -> Source:
    """The page of a file: the file itself is meant."""
    return Source(address.replace("/blob/", "/raw/", 1), file_name(address))


def _hf_page(address: str, host: Host) -> Source:
    path = urlsplit(address).path.replace("/blob/", "/resolve/", 1)
    return Source(_hf_base() + path, file_name(address), login=_HF_LOGIN)


def _hf(address: str, host: Host) -> Source:
    """``hf://[datasets/|spaces/]OWNER/NAME[@REV]/PATH``, as Hugging Face's own file system says."""
    match = re.fullmatch(
        r"hf://((?:datasets|spaces)/)?([^/@]+/[^/@]+)(?:@([^/]+))?/(.+)", address, re.I
    )
    if match is None:
        raise usage_error(
            f"%fetch: {address} names no file.", "Such as: hf://datasets/owner/name/data.csv"
        )
    kind, repository, revision, path = match.groups()
    revision = quote(unquote(revision or "main"), safe="")
    return Source(
        f"{_hf_base()}/{kind or ''}{repository}/resolve/{revision}/{path}",
        file_name(address),
        login=_HF_LOGIN,
    )


_HF_LOGIN = "Agree to its terms on its page if it has some; then: --token HF_TOKEN"


def _hf_base() -> str:
    # Hugging Face's own client goes by it too.
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or BASES["hf"]


def _kaggle(address: str, host: Host) -> Source:
    """``kaggle://OWNER/DATASET[/FILE]``: the dataset as a zip, or one file of it."""
    match = re.fullmatch(r"kaggle://(?:datasets/)?([^/]+)/([^/]+)(?:/(.+))?", address, re.I)
    if match is None:
        raise usage_error(f"%fetch: {address} is no dataset.", "Such as: kaggle://owner/dataset")
    owner, dataset, file = match.groups()
    url = f"{BASES['kaggle']}/api/v1/datasets/download/{owner}/{dataset}"
    return Source(
        f"{url}/{file}" if file else url,
        clean(unquote(file)) if file else f"{dataset}.zip",
        _kaggle_login(),
        "Make a token at kaggle.com/settings and put it at ~/.kaggle/kaggle.json",
    )


def _kaggle_login() -> Dict[str, str]:
    """As Kaggle's own client: by the environment, else by its file."""
    import base64

    token = os.environ.get("KAGGLE_API_TOKEN", "")
    if token:
        hide(token)
        return {"Authorization": f"Bearer {token}"}
    found = {key: os.environ.get(f"KAGGLE_{key.upper()}", "") for key in ("username", "key")}
    home = Path(os.environ.get("KAGGLE_CONFIG_DIR", "") or Path.home() / ".kaggle")
    if not all(found.values()):
        try:
            found = json.loads((home / "kaggle.json").read_text(encoding="utf-8"))
            both = f"{found['username']}:{found['key']}"
        except (OSError, ValueError, KeyError, TypeError):
            return {}
    else:
        both = f"{found['username']}:{found['key']}"
    hide(found["key"])
    return {"Authorization": f"Basic {base64.b64encode(both.encode()).decode()}"}


def _zenodo(address: str, host: Host) -> Source:
    """``zenodo:RECORD[/FILE]``, or the address of either on zenodo.org, with the hash it says."""
    match = re.fullmatch(
        r"(?:zenodo:|https?://(?:www\.)?zenodo\.org/records?/)(\d+)/?(?:files/)?([^?]*)(?:\?.*)?",
        address,
        re.I,
    )
    if match is None:
        raise usage_error(f"%fetch: {address} is no record.", "Such as: zenodo:1234567/data.csv")
    record, file = match.group(1), unquote(match.group(2))
    listed = {one["key"]: one for one in _asked(f"{BASES['zenodo']}/api/records/{record}", record)}
    if not file and len(listed) == 1:
        file = next(iter(listed))
    if file not in listed:
        some = ", ".join(list(listed)[:5]) or "none"
        raise SourceError(
            f"Zenodo's record {record} has {f'no {file}' if file else 'several files'}.",
            f"Name one of: {some}",
        )
    url = f"{BASES['zenodo']}/api/records/{record}/files/{quote(file)}/content"
    return Source(url, clean(file), checksum=str(listed[file].get("checksum", "")))


def _asked(url: str, record: str) -> Any:
    import requests

    try:
        answer = requests.get(url, timeout=PATIENCE)
        if answer.status_code == 404:
            raise SourceError(f"Zenodo has no record {record}.", "Check the number.")
        answer.raise_for_status()
        return answer.json()["files"]
    except (requests.RequestException, ValueError, KeyError):
        raise SourceError("Zenodo does not answer.", "Try again in a while.") from None


def _drive(address: str, host: Host) -> Source:
    """A file on the mounted drive: a copy on this machine is read faster."""
    path = host.resolve(address)
    if not path.is_file():
        raise SourceError(f"{address} is not there.", "Check the path: %drive")
    return Source(name=path.name, open=lambda: path.open("rb"))


def _other(address: str, host: Host) -> Source:
    """What fsspec knows: s3, gs, abfs, ftp, sftp and more."""
    scheme = urlsplit(address).scheme
    try:
        import fsspec
    except ImportError:
        raise SourceError(
            f"{scheme}:// needs fsspec, which is not installed.",
            "Install it: %pin fsspec (and what it needs, such as s3fs for s3://)",
        ) from None

    def opened() -> BinaryIO:
        found: BinaryIO = fsspec.open(address, "rb").open()
        return found

    name = clean(unquote(urlsplit(address).path.rpartition("/")[2]))
    return Source(name=name, open=opened)


def query(address: str) -> Dict[str, str]:
    """The values that stand behind the question mark, the first of each."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}

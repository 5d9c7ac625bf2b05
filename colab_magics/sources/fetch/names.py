"""What a file is called: as its address tells, or its server."""

import re
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ["clean", "file_name", "given_name"]


def file_name(address: str) -> str:
    """What a file will be called, as far as its address tells; a program tells nothing."""
    path = urlsplit(address).path if "://" in address else address.partition(":")[2]
    google = re.match(r"https?://(drive|docs)\.google\.com/", address)
    last = unquote(path.rstrip("/").rpartition("/")[2])
    if path.endswith("/content") and "/files/" in path:  # Zenodo's interface
        last = unquote(path.split("/")[-2])
    return last if "." in last.strip(".") and not google and clean(last) == last else ""


def clean(name: str) -> str:
    """A name that a server gave, without what leads elsewhere or cannot be shown."""
    last = re.split(r"[/\\]", name)[-1]
    last = re.sub(r"[\x00-\x1f\x7f<>:\"|?*]", "_", last).strip()
    return "" if last in ("", ".", "..") else last[-200:]


def given_name(answer: Any) -> str:
    """The name that a server gives, else the end of the address that it came from."""
    said = answer.headers.get("Content-Disposition", "")
    extended = re.search(r"filename\*\s*=\s*(?:UTF-8|utf-8)''([^;]+)", said)
    plain = re.search(r'filename\s*=\s*("((?:[^"\\]|\\.)*)"|[^;]+)', said)
    if extended:
        name = unquote(extended.group(1))
    elif plain:
        name = plain.group(2) if plain.group(2) is not None else plain.group(1).strip()
        with suppress(UnicodeError):  # servers send UTF-8 as it is, which is read as Latin-1
            name = name.encode("latin-1").decode("utf-8")
    else:
        name = unquote(urlsplit(answer.url).path.rstrip("/").rpartition("/")[2])
    html = "text/html" in answer.headers.get("Content-Type", "")
    return clean(name) or ("index.html" if html else "download")

"""What comes from elsewhere than the web: the drive that is mounted, and what fsspec reaches."""

import re
from pathlib import Path
from typing import Any

from ..core.errors import SourceError, bad_input, conceal, usage_error
from ..core.host import Host
from .source import Request, Source, Stream, last_part


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
    said = conceal(" ".join(str(error).split())[:200])
    if isinstance(error, ImportError):
        return SourceError(
            f"{scheme}:// needs a package that is not installed: {said}", "Pin it, and run this."
        )
    if isinstance(error, FileNotFoundError):
        return SourceError("There is no such file there.", "Check the URL.")
    return SourceError(
        f"{scheme}:// cannot be read: {type(error).__name__}.", "Check the URL.", said
    )

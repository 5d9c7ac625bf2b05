"""Where this package came from: what installs this very version elsewhere.

Source: PEP 610 (``direct_url.json``), which installers write for anything not from an index.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Optional

from .._version import __version__


def portable() -> str:
    """What pip can install this very version from on any machine; empty for a local copy."""
    try:
        url = _direct()
    except (metadata.PackageNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    if url is None:
        return f"colab-magics~={__version__}"
    return "" if re.match(r"([a-z]+\+)?file:", url) else url


def requirement() -> str:
    """The same for this machine, where a local copy can be had too."""
    folder = Path(__file__).resolve().parents[2]
    if (folder / "pyproject.toml").is_file():
        return str(folder)  # the checkout that this code runs from
    with suppress(metadata.PackageNotFoundError):
        url = _direct()
        if url is not None:
            return f"colab-magics @ {url}"
    return f"colab-magics=={__version__}"


def _direct() -> Optional[str]:
    """The URL that it was installed from, without a password; None: from an index."""
    text = metadata.distribution("colab-magics").read_text("direct_url.json")
    if text is None:
        return None
    origin = json.loads(text)
    url = re.sub(r"://[^/@]+@", "://", origin["url"])
    control = origin.get("vcs_info")
    return f"{control['vcs']}+{url}@{control['commit_id']}" if control else str(url)

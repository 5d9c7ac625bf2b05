"""How a fresh machine gets this package: the release, or the repository at its commit.

Source: PEP 610 (``direct_url.json``), which installers write for anything not from an index.
"""

import json
import re
from importlib import metadata
from typing import Tuple

from .._version import __version__

__all__ = ["install_lines"]


def install_lines() -> Tuple[str, ...]:
    """The lines of a setup cell that install colab_magics where it is missing."""
    wanted = _requirement()
    if not wanted:
        return ("# colab_magics came from a local copy: install it on a fresh machine first.",)
    return (
        "try:",
        "    import colab_magics",
        "except ModuleNotFoundError:",
        f"    %pip install -q {wanted}",
    )


def _requirement() -> str:
    """What pip can install this very version from; empty for a local copy."""
    try:
        text = metadata.distribution("colab-magics").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return ""
    if text is None:
        return f"colab-magics~={__version__}"
    origin = json.loads(text)
    version_control = origin.get("vcs_info")
    if not version_control or origin["url"].startswith("file:"):
        return ""
    url = re.sub(r"://[^/@]+@", "://", origin["url"])
    return f"{version_control['vcs']}+{url}@{version_control['commit_id']}"

